"""A host with a sole voter: the standalone node."""

from pathlib import Path

import pytest

from raft.core import NotLeader, Role
from tests.raft.runtime.harness import FAST, GROUP, Cluster, until
from tests.raft.storage.faults import FailingWrites


async def test_what_is_committed_is_applied_and_is_there_after_kill(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, (1,))
    async with cluster.running(1):
        node = await cluster.leader()
        index = await node.put(b"a", b"1")
        await until(lambda: node.machine.applied_upto >= index)
        assert cluster.disks[1].data == {b"a": b"1"}
        await cluster.stop(1, clean=False)
        node = await cluster.start(1)
        await cluster.leader()
        assert cluster.disks[1].data == {b"a": b"1"}
        assert node.group.term_at(index) is not None


async def test_power_failure_that_loses_the_data_but_not_the_log_loses_nothing(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, (1,))
    async with cluster.running(1):
        node = await cluster.leader()
        for number in range(20):
            index = await node.put(b"k%d" % number, b"v")
        await until(lambda: node.machine.applied_upto >= index)
        await cluster.stop(1, clean=False)
        cluster.disks[1].lose_unsynced()
        assert cluster.disks[1].data == {}
        node = await cluster.start(1)
        await until(lambda: node.machine.applied_upto >= index)
        assert len(cluster.disks[1].data) == 20


async def test_clean_stop_notes_how_far_the_data_is_so_that_nothing_is_applied_again(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, (1,))
    async with cluster.running(1):
        node = await cluster.leader()
        index = await node.put(b"a", b"1")
        await until(lambda: node.machine.applied_upto >= index)
        await cluster.stop(1)
        node = await cluster.start(1)
        await cluster.leader()
        assert min(node.machine.applied_entries) > index


async def test_unclean_restart_applies_again_and_is_consistent_only_when_that_is_done(tmp_path: Path) -> None:
    """The unsynced data store may have lost an older part and kept a newer one."""
    cluster = Cluster(tmp_path, (1,))
    async with cluster.running(1):
        node = await cluster.leader()
        for number in range(5):
            index = await node.put(b"k", b"%d" % number)
        await until(lambda: node.machine.applied_upto >= index)
        await cluster.stop(1, clean=False)
        node = await cluster.start(1)
        assert node.group.log.consistent_index == index
        await cluster.leader()
        assert node.machine.applied_entries[0] == 2
        assert node.group.consistent


async def test_reads_are_confirmed_and_the_lease_holds_without_anybody_to_ask(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, (1,))
    async with cluster.running(1):
        node = await cluster.leader()
        assert node.group.lease_valid()
        context = node.group.read_index()
        node.host.pump()
        assert node.machine.confirmed == [context]


async def test_a_failed_write_stops_everything_and_nothing_is_acknowledged(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, (1,))
    async with cluster.running(1):
        node = await cluster.leader()
        before = node.machine.committed_index
        node.store._db = FailingWrites(node.store._db)
        node.group.propose(b"a=1")
        node.host.pump()
        await until(lambda: bool(node.fatal))
        assert "No space left" in str(node.fatal[0])
        assert node.machine.committed_index == before
        assert not node.group.can_propose
        assert not node.group.lease_valid()
        with pytest.raises(NotLeader):
            node.group.propose(b"b=1")


async def test_roles_are_told_before_commits(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, (1,))
    async with cluster.running(1):
        node = await cluster.leader()
        role, term, leader = node.machine.roles[-1]
        assert (role, leader) == (Role.LEADER, 1)
        assert term == node.group.term
        assert node.host.groups[GROUP] is node.group
        assert node.group.status().raft.role is Role.LEADER
        assert node.host.options is FAST
