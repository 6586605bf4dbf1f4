"""The state that all nodes share: three whole nodes in one process, and who is told of what on each.

The commands here stand for those of users and functions: an owner keeps entries, and every node watches them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import hiredis
import pytest
import trio

from raft.core.node import Role
from server.cluster import state
from server.cluster.topology import SYSTEM_GROUP
from server.commands import all as all_commands
from server.commands.table import CLUSTER, Args, Reply, command
from server.config.file import load
from server.errors import CommandError
from server.keyspace.view import View
from server.node import Node
from tests.ports import free_port
from tests.processes.client import Client

assert all_commands.loaded
patience_s = 120


@command("_test_keep", arity=-3, where=CLUSTER, group="server")
def keep(view: View, args: Args) -> Reply:
    """Keeps a value under a name; returns what was there."""
    if args[2] == b"bad":
        raise CommandError(b"ERR no such value")
    before = state.read(view, b"test:" + args[1])
    state.write(view, b"test:" + args[1], args[2])
    return before


@command("_test_forget", arity=2, where=CLUSTER, group="server")
def forget(view: View, args: Args) -> Reply:
    """Forgets a name."""
    return int(state.forget(view, b"test:" + args[1]))


@command("_test_names", arity=1, where=CLUSTER, group="server")
def names(view: View, args: Args) -> Reply:
    """All names."""
    return sorted(state.entries(view, b"test:"))


class Member:
    """One node of the cluster, with what its watcher was told."""

    def __init__(self, config: Path, name: str) -> None:
        self._config = config
        self.name = name
        self.told: list[tuple[bytes, bytes | None]] = []
        self.known: dict[bytes, bytes] = {}
        self.node: Node
        self._scope: trio.CancelScope
        self._ended: trio.Event

    def _watch(self, key: bytes, value: bytes | None) -> None:
        self.told.append((key, value))
        if value is None:
            del self.known[key]
        else:
            self.known[key] = value

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Its life, until `stop`."""
        self._scope, self._ended = trio.CancelScope(), trio.Event()
        self.told, self.known = [], {}
        self.node = node = Node(load(self._config), self.name, lambda error: pytest.fail(repr(error)))
        try:
            node.state.watch(b"test:", self._watch)
            await node.listen()
            with self._scope:
                async with trio.open_nursery() as nursery:
                    node.reactor.wake_on(node.host.completions_fd)
                    await nursery.start(partial(node.host.run, watch_completions=False))
                    await nursery.start(node.reactor.run)
                    nursery.start_soon(self._deadlines)
                    task_status.started()
                    await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await node.host.close()
            node.close()
            self._ended.set()

    async def _deadlines(self) -> None:
        while True:
            await trio.sleep(0.02)
            self.node.clock.advance()
            self.node.end_turn()

    async def stop(self) -> None:
        self._scope.cancel()
        await self._ended.wait()

    async def ask(self, *args: bytes) -> object:
        return await self.node.call(SYSTEM_GROUP, 0, list(args))

    @property
    def leads(self) -> bool:
        return self.node.shards[SYSTEM_GROUP].ready

    async def knows(self, expected: dict[bytes, bytes]) -> None:
        """Wait until the watcher has heard of exactly this."""
        with trio.fail_after(patience_s):
            while self.known != expected:  # noqa: ASYNC110 -- there is no event for what is not supposed to happen
                await trio.sleep(0.01)


class Three:
    """The cluster."""

    def __init__(self, nursery: trio.Nursery, members: list[Member]) -> None:
        self._nursery = nursery
        self.members = members

    async def leader(self) -> Member:
        with trio.fail_after(patience_s):
            while True:
                for member in self.members:
                    if not member._ended.is_set() and member.leads:
                        return member
                await trio.sleep(0.01)

    async def followers(self) -> list[Member]:
        leader = await self.leader()
        return [member for member in self.members if member is not leader]

    async def start(self, member: Member) -> None:
        await self._nursery.start(member.run)


@asynccontextmanager
async def three(path: Path) -> AsyncIterator[Three]:
    lines = ['cluster = "state"', "groups = 2", "replicas = 2"]
    for name in ("n1", "n2", "n3"):
        data = path / name
        lines += [
            f"[nodes.{name}]",
            f"port = {free_port()}",
            f"peer_port = {free_port()}",
            f'data = "{data}"',
        ]
    lines += ["[storage]", "disk_free_min_mb = 0", "[raft]", "log_retain_mb = 1"]
    lines += ["election_timeout_ms = 1500", "leader_wait_ms = 100_000"]
    config = path / "cluster.toml"
    config.write_text("\n".join(lines) + "\n")
    async with trio.open_nursery() as nursery:
        cluster = Three(nursery, [Member(config, name) for name in ("n1", "n2", "n3")])
        for member in cluster.members:
            await cluster.start(member)
        yield cluster
        for member in cluster.members:
            await member.stop()


async def test_a_change_made_on_any_node_is_shown_on_all(tmp_path: Path) -> None:
    async with three(tmp_path) as cluster:
        await cluster.leader()
        expected = {}
        for number, member in enumerate(cluster.members):
            name = b"name%d" % number
            assert await member.ask(b"_test_keep", name, b"one") is None
            assert member.known[name] == b"one", "the node that was asked knows it when it answers"
            assert await member.ask(b"_test_keep", name, b"two") == b"one"
            assert member.known[name] == b"two"
            expected[name] = b"two"
        for member in cluster.members:
            await member.knows(expected)
            assert [value for key, value in member.told if key == b"name1"] in ([b"one", b"two"], [b"two"])
            assert await member.ask(b"_test_names") == sorted(expected)
        leader, follower = await cluster.leader(), (await cluster.followers())[0]
        refused = await follower.ask(b"_test_keep", b"name0", b"bad")
        assert isinstance(refused, hiredis.ReplyError)
        assert await leader.ask(b"_test_forget", b"name0") == 1
        assert await follower.ask(b"_test_forget", b"name0") == 0
        del expected[b"name0"]
        for member in cluster.members:
            await member.knows(expected)
            assert member.told.count((b"name0", None)) == 1


async def test_no_command_of_clients_meets_the_shared_state(tmp_path: Path) -> None:
    async with three(tmp_path) as cluster:
        leader = await cluster.leader()
        await leader.ask(b"_test_keep", b"name", b"value")
        port = leader.node.topology.nodes[leader.node.topology.me].port

        def look() -> None:
            with Client(port) as client:
                assert client.call("dbsize") == 0
                assert client.call("keys", "*") == []
                assert client.call("randomkey") is None
                assert client.call("scan", "0")[1] == []
                assert client.call("get", "test:name") is None
                assert client.call("flushall") == b"OK"
                assert "db0" not in client.call("info", "keyspace").decode()
                assert isinstance(client.call("_test_names"), hiredis.ReplyError)

        await trio.to_thread.run_sync(look)
        assert await leader.ask(b"_test_names") == [b"name"]


async def test_a_node_that_was_away_is_told_the_state_at_once_and_then_what_it_missed(tmp_path: Path) -> None:
    async with three(tmp_path) as cluster:
        away = (await cluster.followers())[0]
        await away.ask(b"_test_keep", b"old", b"1")
        await away.ask(b"_test_keep", b"gone", b"1")
        await away.stop()
        leader = await cluster.leader()
        await leader.ask(b"_test_keep", b"old", b"2")
        await leader.ask(b"_test_forget", b"gone")
        await cluster.start(away)
        assert away.told[:2] in (
            [(b"old", b"1"), (b"gone", b"1")],
            [(b"gone", b"1"), (b"old", b"1")],
        ), "what its own data says, before it has met anybody"
        await away.knows({b"old": b"2"})
        assert (b"gone", None) in away.told


async def test_after_a_snapshot_what_has_gone_is_told_too(tmp_path: Path) -> None:
    async with three(tmp_path) as cluster:
        away = (await cluster.followers())[0]
        await away.ask(b"_test_keep", b"gone", b"1")
        await away.ask(b"_test_keep", b"stays", b"1")
        await away.stop()
        leader = await cluster.leader()
        await leader.ask(b"_test_forget", b"gone")
        for number in range(20):
            await leader.ask(b"_test_keep", b"big", b"%d" % number * 100_000)
        for member in cluster.members:
            if member is not away:
                await member.node.host.compaction.checkpoint()
        first_index = (await cluster.leader()).node.shards[SYSTEM_GROUP].group.first_index
        assert first_index > 10, "what the node lacks has left the log"
        await cluster.start(away)
        await away.knows({b"stays": b"1", b"big": b"19" * 100_000})
        assert (b"gone", None) in away.told
        assert await away.ask(b"_test_keep", b"stays", b"2") == b"1"
        assert away.known[b"stays"] == b"2"


async def test_what_was_acknowledged_outlives_the_leader(tmp_path: Path) -> None:
    async with three(tmp_path) as cluster:
        await cluster.members[0].ask(b"_test_keep", b"name", b"value")
        survivor = (await cluster.followers())[0]
        leader = await cluster.leader()
        await leader.stop()
        assert await survivor.ask(b"_test_keep", b"name", b"next") == b"value"
        assert survivor.known == {b"name": b"next"}
        assert leader.node.shards[SYSTEM_GROUP].role == Role.LEADER, "it was the leader that stopped"
