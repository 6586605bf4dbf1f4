"""Whole nodes in one process: real log stores, real links over loopback, a toy key-value machine.

What a machine holds lives in a KeyValueDisk that outlives its node, as a data directory does. `lose_unsynced` plays a
power failure; leaving a node without it plays kill -9.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from raft.core.messages import NORMAL, ConfState, Entry, SnapshotMeta
from raft.core.ready import Role
from raft.runtime import Group, Host, HostOptions, Links
from raft.runtime.machine import Lag
from raft.storage import LogStore
from tests.ports import free_port

GROUP = 7
FAST = HostOptions(tick_s=0.01, election_ticks=50, maintenance_s=0.02)
"""Elections take half a second to one: longer than a busy disk takes for the two syncs of each."""
patience_s = 200
"""For a whole test; far above what any takes on a busy machine."""


@dataclass
class KeyValueDisk:
    """What a toy machine has stored."""

    data: dict[bytes, bytes] = field(default_factory=dict)
    applied: int = 0
    synced: tuple[dict[bytes, bytes], int] = field(default_factory=lambda: ({}, 0))
    staged: dict[bytes, bytes] = field(default_factory=dict)
    staged_token: bytes = b""
    staged_cursor: bytes = b""
    resumed_from: list[bytes] = field(default_factory=list)
    """The cursor that each snapshot_begin has given."""
    installs: int = 0

    def sync(self) -> None:
        self.synced = (dict(self.data), self.applied)

    def lose_unsynced(self) -> None:
        data, self.applied = self.synced
        self.data = dict(data)


class KeyValueGathering:
    """Of a KeyValueMachine. An entry counts as a record."""

    def __init__(self, machine: "KeyValueMachine", entries: list[Entry]) -> None:
        self._machine = machine
        self._entries = entries
        self.steps = 0
        """Entries gathered."""

    def step(self, records_max: int) -> int:
        count = min(records_max, len(self._entries) - self.steps)
        self.steps += count
        return count

    def write(self) -> None:
        assert self.steps == len(self._entries)
        disk = self._machine.disk
        for entry in self._entries:
            if entry.kind == NORMAL and entry.data:
                key, equals, value = entry.data.partition(b"=")
                if equals:
                    disk.data[key] = value
                else:
                    disk.data.pop(key, None)
            self._machine.applied_entries.append(entry.index)
        disk.applied = max(disk.applied, self._entries[-1].index)


class KeyValueMachine:
    """Entries are b"key=value"; b"key" deletes. Remembers what the host told it."""

    lag = Lag(0.05, 64 << 10)

    def __init__(self, disk: KeyValueDisk) -> None:
        self.disk = disk
        self.committed_index = 0
        self.applied_upto = 0
        self.applied_entries: list[int] = []
        self.roles: list[tuple[int, int, int]] = []
        self.confirmed: list[int] = []
        self.lost: list[int] = []
        self.before_read: Callable[[bytes], None] | None = None

    @property
    def applied_index(self) -> int:
        return self.disk.applied

    def begin_apply(self, entries: list[Entry]) -> "KeyValueGathering":
        return KeyValueGathering(self, entries)

    def applied(self, index: int) -> None:
        self.applied_upto = index

    def committed(self, index: int) -> None:
        self.committed_index = index

    def role_changed(self, role: int, term: int, leader: int) -> None:
        self.roles.append((role, term, leader))

    def reads_confirmed(self, context: int) -> None:
        self.confirmed.append(context)

    def reads_lost(self, context: int) -> None:
        self.lost.append(context)

    def snapshot_read(self, cursor: bytes, bytes_max: int) -> tuple[bytes, bytes | None]:
        if self.before_read is not None:
            self.before_read(cursor)
        keys = sorted(key for key in self.disk.data.copy() if key > cursor)
        chunk: list[bytes] = []
        for key in keys:
            chunk.append(key + b"=" + self.disk.data.get(key, b""))
            if sum(map(len, chunk)) >= bytes_max:
                return b"\n".join(chunk), key
        return b"\n".join(chunk), None

    def snapshot_begin(self, token: bytes) -> bytes:
        if token != self.disk.staged_token:
            self.disk.staged, self.disk.staged_token, self.disk.staged_cursor = {}, token, b""
        self.disk.resumed_from.append(self.disk.staged_cursor)
        return self.disk.staged_cursor

    def snapshot_write(self, token: bytes, chunk: bytes, next_cursor: bytes | None) -> None:
        assert token == self.disk.staged_token
        for line in chunk.split(b"\n"):
            key, _, value = line.partition(b"=")
            if key:
                self.disk.staged[key] = value
        self.disk.staged_cursor = next_cursor or b""

    def snapshot_install(self, meta: SnapshotMeta, consistent_index: int) -> None:
        assert consistent_index >= meta.index
        self.disk.data, self.disk.staged = self.disk.staged, {}
        self.disk.staged_token = self.disk.staged_cursor = b""
        self.disk.applied = meta.index
        self.disk.installs += 1
        self.disk.sync()


@dataclass
class Node:
    """A running node."""

    id: int
    store: LogStore
    host: Host
    links: Links | None
    group: Group
    machine: KeyValueMachine
    fatal: list[BaseException]

    @property
    def leads(self) -> bool:
        """It leads and has applied the no-op of its term."""
        return self.group.role is Role.LEADER and self.group.term_at(self.group.applied) == self.group.term

    async def put(self, key: bytes, value: bytes) -> int:
        """Propose, and wait until it is committed."""
        index = self.group.propose(key + b"=" + value)
        self.host.pump()
        await until(lambda: self.machine.committed_index >= index)
        return index


class Cluster:
    """Nodes 1..n with one group; each can be started and stopped on its own."""

    def __init__(self, path: Path, voters: tuple[int, ...], options: HostOptions = FAST) -> None:
        self.path = path
        self.voters = voters
        self.options = options
        self.disks: dict[int, KeyValueDisk] = {}
        self.nodes: dict[int, Node] = {}
        self._ports: dict[int, int] = {}
        self._stops: dict[int, trio.CancelScope] = {}
        self._ended: dict[int, trio.Event] = {}
        self._nursery: trio.Nursery | None = None

    @asynccontextmanager
    async def running(self, *node_ids: int) -> AsyncIterator["Cluster"]:
        with trio.fail_after(patience_s):
            async with AsyncExitStack() as stack:
                self._nursery = await stack.enter_async_context(trio.open_nursery())
                for node_id in node_ids:
                    await self.start(node_id)
                yield self
                for node_id in [*self.nodes]:
                    await self.stop(node_id)

    async def start(self, node_id: int) -> Node:
        """Returns when it is connected with all others that run: whoever is stopped next, the rest can go on."""
        assert self._nursery is not None
        self._ended[node_id] = trio.Event()
        node: Node = await self._nursery.start(self._run, node_id)
        await until(self._all_connected)
        return node

    def _all_connected(self) -> bool:
        return all(
            one.links is None or one is other or one.links.connected(other.id)
            for one in self.nodes.values()
            for other in self.nodes.values()
        )

    async def stop(self, node_id: int, *, clean: bool = True) -> None:
        """`clean=False`: as after kill -9, nothing is noted at the end."""
        if not clean:
            self.nodes[node_id].host.failed = ConnectionError("killed")
        self._stops[node_id].cancel()
        await self._ended[node_id].wait()

    async def _run(self, node_id: int, *, task_status: trio.TaskStatus[Node]) -> None:
        disk = self.disks.setdefault(node_id, KeyValueDisk())
        store = LogStore.open(self.path / f"n{node_id}", create=True)
        fatal: list[BaseException] = []
        links = None
        if len(self.voters) > 1 or node_id not in self.voters:
            links = Links(
                node_id=node_id,
                node_name=f"n{node_id}",
                cluster="test",
                incarnation=store.incarnation,
                listen=("127.0.0.1", self._ports.setdefault(node_id, free_port())),
                peers={peer: (f"n{peer}", "127.0.0.1", self._ports[peer]) for peer in self.nodes},
                secret="a secret",
                check_peer=lambda peer, incarnation: None,
            )
            await links.bind()
        machine = KeyValueMachine(disk)
        host = Host(
            node_id,
            store,
            links,
            self.options,
            sync_state=disk.sync,
            on_fatal=fatal.append,
            on_turn_end=lambda: None,
            seed=1,
        )
        group = host.add_group(GROUP, ConfState(self.voters if node_id in self.voters else ()), machine)
        for peer in self.nodes.values():
            assert peer.links is not None
            assert links is not None
            peer.links.set_peer(node_id, f"n{node_id}", "127.0.0.1", links.port)
        self.nodes[node_id] = Node(node_id, store, host, links, group, machine, fatal)
        try:
            with trio.CancelScope() as scope:
                self._stops[node_id] = scope
                async with trio.open_nursery() as nursery:
                    await nursery.start(host.run)
                    task_status.started(self.nodes[node_id])
        finally:
            await host.close()
            store.close()
            del self.nodes[node_id]
            self._ended[node_id].set()

    async def leader(self, *among: int) -> Node:
        """The node that leads, once there is one."""
        found: list[Node] = []

        def look() -> bool:
            found[:] = [
                node for node in self.nodes.values() if node.leads and (not among or node.id in among)
            ]
            return bool(found)

        await until(look)
        return max(found, key=lambda node: node.group.term)

    async def hand_over(self, target: int) -> Node:
        """Have the node `target` lead. A transfer that takes too long comes to nothing: it is asked for again."""

        def look() -> bool:
            for node in self.nodes.values():
                if node.leads and node.id != target and node.group.can_propose:
                    node.group.transfer(target)
                    node.host.pump()
            return self.nodes[target].leads

        await until(look)
        return self.nodes[target]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the cluster's own deadline ends a vain wait."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event, and must have none for tests
        await trio.sleep(0.005)


logging.getLogger("raft").setLevel(logging.INFO)
