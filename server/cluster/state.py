"""What all nodes share and no client's key holds: users, functions. The state of group 0, and who watches it.

Group 0 is a Raft group like the others, with a replica on every node and no slots, so that nothing that walks over
keys ever meets it. What it holds are STRING heads in database 0, named by owner: `acl:NAME`, `function:NAME`. A change
is a command of the table that runs on group 0 (CLUSTER in commands/table.py): evaluated at the leader, forwarded,
retried and answered as any write is. Its handler uses `read`, `write`, `forget` and `entries` of this file.

Every node follows its own replica: whoever keeps something in memory that follows from the state (compiled
libraries, the permissions of users) `watch`es its prefix and is told of each key that has become another. Nodes agree
on the sequence of changes, not on the moment; the client who asked for one gets its reply when the node that it
talks to has applied it (`wait_applied`), so that its next command sees it; and for a moment it is held until the other
nodes that can be reached have, too, so that what it does elsewhere sees it.

    @command("_functionkeep", arity=3, where=CLUSTER, group="scripting")
    def keep(view: View, args: Args) -> Reply:
        '''Keeps a library.'''
        state.write(view, b"function:" + args[1], args[2])

    node.state.watch(b"function:", lambda name, text: ...)  # text None: it has gone
    reply = await node.call(SYSTEM_GROUP, 0, [b"_functionkeep", name, text])

What has changed is what the replica says that it has applied (`Replica.changes`). After a start, and when a snapshot
was installed, all of the state is compared with what was shown. While a replica is not in one consistent state (for
some moments after a snapshot, or while the log is replayed at start), nothing new is shown.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeAlias

import trio

from server.keyspace.layout import HEAD_PREFIX_BYTES, HEADER_BYTES, STRING
from server.keyspace.slots import SLOTS

if TYPE_CHECKING:
    from raft.runtime.group import Group
    from server.keyspace.view import View

applied_wait_s = 2.0
"""How long the reply to a change waits for the client's node; a node that is further behind answers all the same."""

_HEADS, _HEADS_STOP = b"h", b"i"
"""The range of the records that are shown."""

Watcher: TypeAlias = Callable[[bytes, bytes | None], None]
"""Told the key without the watched prefix, and its value; None when it has gone."""


class StateReplica(Protocol):
    """What is needed of group 0's replica."""

    changes: deque[dict[bytes, bytes | None] | None] | None

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """What is applied here."""


class StateShard(Protocol):
    """What is needed of group 0's shard."""

    group: "Group"

    @property
    def replica(self) -> StateReplica:
        """Its data on this node."""


class ClusterState:
    """The shared state as this node's replica has it. For the loop's thread."""

    def __init__(self) -> None:
        self._shard: StateShard | None = None
        self._changes: deque[dict[bytes, bytes | None] | None] = deque()
        """What the replica has applied and the watchers may not know."""
        self._shown: dict[bytes, bytes] = {}
        """What the watchers have been told."""
        self._watchers: list[tuple[bytes, Watcher]] = []
        self._applied_index = 0
        """Log index up to which they have been told everything."""
        self._waiting: list[tuple[int, Callable[[], None]]] = []

    def follow(self, shard: StateShard) -> None:
        """Show what group 0 holds, from its data as found at start."""
        self._shard = shard
        self._changes = shard.replica.changes = deque()
        self._compare(shard)

    def watch(self, prefix: bytes, watcher: Watcher) -> None:
        """Tell `watcher` of every key under `prefix`: now of all that are there, then of each that changes."""
        self._watchers.append((prefix, watcher))
        for key, value in list(self._shown.items()):
            if key.startswith(prefix):
                watcher(key[len(prefix) :], value)

    def refresh(self) -> None:
        """Group 0 has applied something, or a snapshot was installed."""
        shard = self._shard
        if shard is None or not shard.group.consistent:
            return
        index = shard.group.applied
        while self._changes:
            changes = self._changes.popleft()
            if changes is None:
                self._compare(shard)
            else:
                self._show(changes.items())
        self._applied_index = index
        waiting, self._waiting = self._waiting, []
        for wanted, then in waiting:
            self.when_applied(wanted, then)

    async def wait_applied(self, index: int) -> None:
        """Return when this node shows the state as of log index `index`, or after `applied_wait_s`. Cancelling it
        changes nothing."""
        if index <= self._applied_index:
            return
        event = trio.Event()
        self.when_applied(index, event.set)
        with trio.move_on_after(applied_wait_s):
            await event.wait()

    def when_applied(self, index: int, then: Callable[[], None]) -> None:
        """Call `then` when this node shows the state as of log index `index`."""
        if index <= self._applied_index:
            then()
        else:
            self._waiting.append((index, then))

    def _compare(self, shard: StateShard) -> None:
        """Show all that is not as it was shown."""
        found = dict(shard.replica.scan(_HEADS, _HEADS_STOP))
        there = {where[HEAD_PREFIX_BYTES:] for where in found}
        for key in self._shown.keys() - there:
            del self._shown[key]
            self._tell(key, None)
        self._show(found.items())

    def _show(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        shown = self._shown
        for where, record in records:
            if not _HEADS <= where < _HEADS_STOP:
                continue
            key = where[HEAD_PREFIX_BYTES:]
            if record is None:
                if shown.pop(key, None) is not None:
                    self._tell(key, None)
            elif shown.get(key) != (value := record[HEADER_BYTES:]):
                shown[key] = value
                self._tell(key, value)

    def _tell(self, key: bytes, value: bytes | None) -> None:
        for prefix, watcher in self._watchers:
            if key.startswith(prefix):
                watcher(key[len(prefix) :], value)


# -- for the handlers of CLUSTER commands ----------------------------------------------------------------------


def read(view: "View", key: bytes) -> bytes | None:
    """The value of an entry, None when there is no such entry."""
    return view.payload(key, STRING)


def write(view: "View", key: bytes, value: bytes) -> None:
    """Make an entry, or replace it."""
    view.put(key, STRING, value)


def forget(view: "View", key: bytes) -> bool:
    """Delete an entry; whether there was one."""
    return view.delete(key)


def entries(view: "View", prefix: bytes) -> dict[bytes, bytes]:
    """Every entry under `prefix`: its key without that, and its value."""
    return {
        key[len(prefix) :]: record[HEADER_BYTES:]
        for _, _, key, record in view.scan_keys(0, 0, SLOTS)
        if record is not None and key.startswith(prefix)
    }
