"""A shard, the leader of a group, with Raft, the clock and the disk under the test's hand."""

from functools import partial
from pathlib import Path

from raft.core.errors import EntryTooLarge, NotLeader, ProposalDropped
from raft.core.messages import NORMAL, Entry
from raft.core.node import Role
from server.commands import all as all_commands
from server.commands.table import lookup
from server.dispatch import transactions
from server.keyspace.events import Event
from server.keyspace.hot import HotReplies
from server.keyspace.leveldb import DataStore
from server.shard.call import Call, Later
from server.shard.clock import TurnClock
from server.shard.overlay import Overlay
from server.shard.replica import Replica
from server.shard.shard import Shard
from server.telemetry.stats import Stats

assert all_commands.loaded
assert transactions.exec_
FOREVER_US = 1 << 62


def apply(machine: Shard | Replica, entries: list[Entry], records_max: int = 3) -> None:
    """Do as the host does, in steps that are too small for most."""
    gathering = machine.begin_apply(entries)
    while gathering.step(records_max) == records_max:
        pass
    gathering.write()


class FakeGroup:
    """Raft's side of a group, moved by hand. Its log is a list of entries; entry 1 is at index 0."""

    def __init__(self) -> None:
        self.term = 1
        self.log = [Entry(1, 1, NORMAL, b"")]
        self.commit = 1
        self.can_propose = True
        self.refusing = False
        self.entry_bytes_max = 1 << 30
        self.lease_until_us = FOREVER_US
        self.contexts = 0

    @property
    def last_index(self) -> int:
        return self.log[-1].index

    def term_at(self, index: int) -> int | None:
        return self.log[index - 1].term

    def propose(self, data: bytes) -> int:
        if self.refusing:
            raise ProposalDropped("full")
        if len(data) > self.entry_bytes_max:
            raise EntryTooLarge("too large")
        self.log.append(Entry(self.last_index + 1, self.term, NORMAL, data))
        return self.last_index

    def read_index(self) -> int:
        if not self.term:
            raise NotLeader(0)
        self.contexts += 1
        return self.contexts


def watched_revision(replies: list[bytes]) -> int:
    """What WATCH remembers of the only key that was asked about."""
    [reply] = replies
    return int(reply.splitlines()[1][1:])


class Bench:
    """One shard with everything around it under the test's hand."""

    def __init__(self, path: Path, *, use_lease: bool = True, clock: TurnClock | None = None) -> None:
        self.store = DataStore(path, block_cache_bytes=1 << 20, write_buffer_bytes=1 << 20)
        self.clock = clock or TurnClock()
        self.group = FakeGroup()
        self.heard: list[tuple[str, str]] = []
        """(event, key) of keyspace events that were published."""
        self.shard = Shard(
            Replica(self.store, 1),
            partial(Overlay, self.store),
            self.clock,
            Stats(),
            use_lease=use_lease,
            stale_max_ms=1000,
            cache_limit=100,
            hot=HotReplies(16, 100),
            on_change=lambda shard: None,
            on_dirty=lambda shard: None,
            on_events=self.take_events,
        )
        self.shard.group = self.group  # type: ignore[assignment]
        self.applied_upto = 0
        self.lead()

    def take_events(self, events: list[Event]) -> None:
        self.heard += [(name.decode(), key.decode()) for _, name, _, key in events]

    def lead(self, term: int | None = None) -> None:
        """Become leader, with the no-op of the term applied."""
        group = self.group
        group.term = term or group.term
        if group.log[-1].term != group.term:
            group.log.append(Entry(group.last_index + 1, group.term, NORMAL, b""))
        self.shard.role_changed(Role.LEADER, group.term, 1)
        self.commit(group.last_index)
        self.apply()

    def commit(self, index: int) -> None:
        self.group.commit = index
        self.shard.committed(index)

    def apply(self) -> None:
        """Apply what is committed."""
        entries = self.group.log[self.applied_upto : self.group.commit]
        if entries:
            apply(self.shard, entries)
            self.applied_upto = entries[-1].index
            self.shard.applied(self.applied_upto)

    def turn(self) -> None:
        """The turn ends; a new one begins."""
        self.shard.flush()
        self.clock.advance()

    def ask(self, *words: str) -> list[bytes]:
        """Send a command; the list gets its reply."""
        replies: list[bytes] = []
        args = [word.encode() for word in words]
        row = lookup(args)
        assert row is not None
        self.shard.submit(Call(row, args, 0, 2, Later(replies.append)))
        return replies

    def revision(self, key: str) -> int:
        """What WATCH would remember of `key`."""
        return watched_revision(self.ask("_WATCH", key))

    def follow(self, term: int) -> None:
        """Somebody else leads `term`."""
        self.group.term = term
        self.group.can_propose = False
        self.shard.role_changed(Role.FOLLOWER, term, 2)
