"""Members of the groups come to what the config file wants; a node is taken out step by step before it is rebuilt."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raft.core import Change, ChangeKind, ConfChange, ConfChangePending, ConfState, Role
from raft.storage import LogStore
from resp.values import Error
from server.cluster.identity import PeerCheck
from server.cluster.membership import Membership, RebuildRefused, promote_lag_max
from server.cluster.topology import NodeAddress, Topology
from tests.server.bench import Bench
from tests.server.service_node import ServiceNode

N1, N2, N3 = 1, 2, 3
OLD, NEW = b"o" * 16, b"n" * 16


def topology(nodes: int = 3, replicas: int = 3, me: int = N2) -> Topology:
    addresses = tuple(
        NodeAddress(number, f"n{number}", "127.0.0.1", 7000 + number, 17000 + number)
        for number in range(1, nodes + 1)
    )
    return Topology("test", me, addresses, 3, replicas, "forward")


class FakeShard:
    """A group that this node leads, with `conf`; changes take effect at once."""

    def __init__(self, conf: ConfState, leading: bool = True) -> None:
        self.role = Role.LEADER if leading else Role.FOLLOWER
        self.ready = leading
        self.changes: list[Change] = []
        self.pending = False
        """A change is under way."""
        self.peers: list[Any] = []
        self.group = SimpleNamespace(conf=conf, term=5, applied=10, last_index=12, status=self.status)

    def status(self) -> Any:
        return SimpleNamespace(raft=SimpleNamespace(commit=5000, peers=self.peers))

    def change_members(self, change: ConfChange) -> None:
        if self.pending:
            raise ConfChangePending
        (one,) = change.changes
        self.changes.append(one)

    def learns(self, **progress: Any) -> None:
        """What the leader knows of the learner n1."""
        known = {"id": N1, "match": 5000, "recent_active": True, "state": "replicate", **progress}
        self.peers = [SimpleNamespace(**known)]


class Links:
    def __init__(self) -> None:
        self.up = {N1, N3}
        self.cut: list[int] = []

    def connected(self, peer: int) -> bool:
        return peer in self.up

    def disconnect(self, peer: int, cause: str) -> None:
        self.up.discard(peer)
        self.cut.append(peer)


class Disk:
    """The disk thread; what it does is noted."""

    def __init__(self) -> None:
        self.jobs = 0

    async def call(self, job: Callable[[], Any]) -> Any:
        self.jobs += 1
        return job()


class World:
    """Membership of n2 with real records of its peers, and fakes around it."""

    def __init__(self, path: Path, *shards: FakeShard, topology: Topology) -> None:
        self.path = path
        self.topology = topology
        self.store = LogStore.open(path, create=True)
        self.peers = PeerCheck(self.store, topology)
        self.links, self.disk = Links(), Disk()
        self.shards = dict(enumerate(shards))
        self.membership = Membership(topology, self.shards, self.links, self.peers, self.disk)  # type: ignore[arg-type]

    def restart(self) -> None:
        """Only what is on disk is left."""
        self.store.close()
        self.__init__(self.path, *self.shards.values(), topology=self.topology)  # type: ignore[misc]


@pytest.fixture
def world(tmp_path: Path):
    worlds: list[World] = []

    def make(*shards: FakeShard, topology: Topology = topology()) -> World:  # noqa: B008
        worlds.append(World(tmp_path / str(len(worlds)), *shards, topology=topology))
        return worlds[-1]

    yield make
    for one in worlds:
        one.store.close()


# -- healing --------------------------------------------------------------------------------------------------------


def test_a_group_that_is_as_it_should_be_is_left_alone(world) -> None:
    shard = FakeShard(ConfState((N1, N2, N3)))
    world(shard).membership.heal()
    assert shard.changes == []


def test_a_replica_that_is_missing_becomes_a_learner_once_it_is_connected(world) -> None:
    shard = FakeShard(ConfState((N2, N3)))
    one = world(shard)
    one.links.up = {N3}
    one.membership.heal()
    assert shard.changes == []
    one.links.up = {N1, N3}
    one.membership.heal()
    assert shard.changes == [Change(ChangeKind.ADD_LEARNER, N1)]


def test_only_the_leader_of_a_group_changes_its_members(world) -> None:
    shard = FakeShard(ConfState((N2, N3)), leading=False)
    world(shard).membership.heal()
    assert shard.changes == []


@pytest.mark.parametrize(
    "progress",
    [
        {"match": 5000 - promote_lag_max - 1},
        {"recent_active": False},
        {"state": "snapshot"},
        {"id": N3},
    ],
)
def test_a_learner_that_has_not_caught_up_stays_one(world, progress: dict[str, Any]) -> None:
    shard = FakeShard(ConfState((N2, N3), learners=(N1,)))
    shard.learns(**progress)
    world(shard).membership.heal()
    assert shard.changes == []


def test_a_learner_that_has_caught_up_becomes_a_voter(world) -> None:
    shard = FakeShard(ConfState((N2, N3), learners=(N1,)))
    shard.learns(match=5000 - promote_lag_max)
    world(shard).membership.heal()
    assert shard.changes == [Change(ChangeKind.ADD_VOTER, N1)]


def test_one_change_at_a_time_and_none_in_a_joint_state(world) -> None:
    joint = FakeShard(ConfState((N2, N3), voters_outgoing=(N1, N2, N3)))
    busy = FakeShard(ConfState((N2, N3)))
    busy.pending = True
    free = FakeShard(ConfState((N2, N3)))
    world(joint, busy, free).membership.heal()
    assert (joint.changes, busy.changes) == ([], [])
    assert len(free.changes) == 1  # the group that can not now does not stand in the way of the next


async def test_a_fenced_node_is_not_added_even_over_a_link_that_is_still_there(world) -> None:
    shard = FakeShard(ConfState((N2, N3)))
    one = world(shard)
    await one.membership.fence(N1)
    one.links.up.add(N1)
    one.membership.heal()
    assert shard.changes == []


# -- rebuilding -----------------------------------------------------------------------------------------------------


async def test_from_the_fence_to_the_end_nobody_is_accepted_and_then_the_next_one(world) -> None:
    one = world(FakeShard(ConfState((N1, N2, N3))))
    assert one.peers(N1, OLD) is None
    assert "another data directory" in one.peers(N1, NEW)

    report = await one.membership.fence(N1)
    assert (report.peer, one.links.cut) == ("fenced", [N1])
    for incarnation in (OLD, NEW):
        assert "is being rebuilt" in one.peers(N1, incarnation)
    one.restart()
    assert "is being rebuilt" in one.peers(N1, OLD)

    one.shards[0].group.conf = ConfState((N2, N3))
    await one.membership.accept(N1)
    one.restart()
    assert one.peers(N1, NEW) is None
    assert "another data directory" in one.peers(N1, OLD)


async def test_it_is_taken_out_of_the_groups_led_here_and_only_when_fenced(world) -> None:
    led, learning = FakeShard(ConfState((N1, N2, N3))), FakeShard(ConfState((N2, N3), learners=(N1,)))
    free, followed = FakeShard(ConfState((N2, N3))), FakeShard(ConfState((N1, N2, N3)), leading=False)
    one = world(led, learning, free, followed)
    with pytest.raises(RebuildRefused, match="not fenced"):
        one.membership.remove(N1)
    await one.membership.fence(N1)
    report = one.membership.remove(N1)
    assert [shard.changes for shard in (led, learning, free, followed)] == [
        [Change(ChangeKind.REMOVE, N1)],
        [Change(ChangeKind.REMOVE, N1)],
        [],
        [],
    ]
    assert [(group.group, group.leading, group.members) for group in report.groups] == [
        (0, True, [N1, N2, N3]),
        (1, True, [N1, N2, N3]),
        (2, True, [N2, N3]),
        (3, False, [N1, N2, N3]),
    ]
    assert (report.groups[0].term, report.groups[0].applied, report.groups[0].last_index) == (5, 10, 12)


async def test_it_is_not_accepted_while_it_is_a_member_or_was_never_fenced(world) -> None:
    one = world(FakeShard(ConfState((N1, N2, N3))))
    with pytest.raises(RebuildRefused, match="not fenced"):
        await one.membership.accept(N1)
    await one.membership.fence(N1)
    with pytest.raises(RebuildRefused, match="is a member of shard group 0 still"):
        await one.membership.accept(N1)
    assert one.peers.fenced(N1)


async def test_a_group_that_could_not_go_on_without_it_keeps_it(world) -> None:
    one = world(FakeShard(ConfState((N1, N2))))
    with pytest.raises(RebuildRefused, match="has 2 voters, and without n1 n2 would be no majority"):
        await one.membership.fence(N1)
    assert not one.peers.fenced(N1)
    assert one.disk.jobs == 0


def test_the_only_replica_can_not_be_rebuilt(world) -> None:
    one = world(topology=topology(nodes=3, replicas=1))
    with pytest.raises(RebuildRefused, match="the only replica of shard group 1"):
        one.membership.check(N1)


def test_a_node_does_not_rebuild_itself(world) -> None:
    with pytest.raises(RebuildRefused, match="this is node n2"):
        world().membership.check(N2)


def test_it_is_told_how_the_node_looks_from_here(world) -> None:
    one = world()
    assert one.membership.check(N1).peer == "connected"
    one.links.up = set()
    assert one.membership.check(N1).peer == "absent"
    one.peers(N1, OLD)
    one.peers(N1, NEW)
    assert one.membership.check(N1).peer == "refused"


# -- the command ----------------------------------------------------------------------------------------------------


async def test_the_command_takes_the_steps(world) -> None:
    node = ServiceNode(nodes=3, me=N2)
    one = world(FakeShard(ConfState((N1, N2, N3))))
    node.membership = one.membership
    assert b'"absent"' not in await node.run("CLUSTER", "REBUILD", "CHECK", "n1")
    assert b'"fenced"' in await node.run("CLUSTER", "REBUILD", "fence", "n1")
    assert b'"fenced"' in await node.run("CLUSTER", "REBUILD", "REMOVE", "n1")
    assert (await node.run("CLUSTER", "REBUILD", "ACCEPT", "n1")).text.startswith(
        b"ERR node n1 is a member of"
    )
    one.shards[0].group.conf = ConfState((N2, N3))
    assert b'"absent"' in await node.run("CLUSTER", "REBUILD", "ACCEPT", "n1")
    assert await node.run("CLUSTER", "REBUILD", "CHECK", "n9") == Error(b"ERR Unknown node n9")
    assert await node.run("CLUSTER", "REBUILD", "NOSUCH", "n1") == Error(b"ERR syntax error")


async def test_a_node_alone_has_nobody_to_rebuild() -> None:
    reply = await ServiceNode().run("CLUSTER", "REBUILD", "CHECK", "n1")
    assert reply == Error(b"ERR This instance has cluster support disabled")


# -- the shard ------------------------------------------------------------------------------------------------------


def test_a_change_in_the_middle_of_a_turn_comes_between_the_writes_before_and_after_it(
    tmp_path: Path,
) -> None:
    # Effects are evaluated for the index that their entry will have.
    bench = Bench(tmp_path)
    proposed: list[int] = []

    def propose_conf_change(change: ConfChange) -> int:
        proposed.append(bench.group.propose(b""))
        return proposed[-1]

    bench.group.propose_conf_change = propose_conf_change  # type: ignore[attr-defined]
    before = bench.ask("SET", "a", "1")
    start = bench.group.last_index
    bench.shard.change_members(ConfChange((Change(ChangeKind.REMOVE, N1),)))
    after = bench.ask("SET", "b", "2")
    bench.turn()
    assert (proposed, bench.group.last_index) == ([start + 2], start + 3)
    bench.commit(start + 2)
    assert (before, after) == ([b"+OK\r\n"], [])
    bench.commit(start + 3)
    assert after == [b"+OK\r\n"]
    bench.store.close()
