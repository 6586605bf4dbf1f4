"""A host with a sole voter: the standalone node."""

import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from raft.core import ConfState, Entry, HardState, NotLeader, ProposalDropped, RaftNode, Role, SnapshotMeta
from raft.runtime import Host
from raft.runtime.machine import Lag
from raft.storage import GroupWrite, LogDamaged, LogStore
from tests.raft.runtime.harness import (
    FAST,
    GROUP,
    Cluster,
    KeyValueDisk,
    KeyValueGathering,
    KeyValueMachine,
    until,
)
from tests.raft.storage.faults import fill_disk


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


async def test_the_loop_gathers_what_is_applied_step_by_step_and_the_thread_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raft.runtime.applying.RECORDS_OF_TURN", 3)
    threads: dict[str, set[str]] = {"step": set(), "write": set()}
    step, write = KeyValueGathering.step, KeyValueGathering.write
    steps: list[int] = []

    def noted_step(gathering: KeyValueGathering, records_max: int) -> int:
        threads["step"].add(threading.current_thread().name)
        steps.append(step(gathering, records_max))
        return steps[-1]

    def noted_write(gathering: KeyValueGathering) -> None:
        threads["write"].add(threading.current_thread().name)
        write(gathering)

    monkeypatch.setattr(KeyValueGathering, "step", noted_step)
    monkeypatch.setattr(KeyValueGathering, "write", noted_write)
    cluster = Cluster(tmp_path, (1,))
    async with cluster.running(1):
        node = await cluster.leader()
        await until(lambda: node.machine.applied_upto > 1)
        steps.clear()
        for number in range(10):
            index = node.group.propose(b"k%d=v" % number)
        node.host.pump()
        await until(lambda: node.machine.applied_upto >= index)
        assert steps == [3, 3, 3, 1]
        assert set(cluster.disks[1].data) == {b"k%d" % number for number in range(10)}
    assert threads == {"step": {threading.current_thread().name}, "write": {"raft-apply"}}


async def test_what_was_put_off_is_applied_when_somebody_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KeyValueMachine, "lag", Lag(3600.0, 1 << 30))
    cluster = Cluster(tmp_path, (1,))
    async with cluster.running(1):
        node = await cluster.leader()
        await node.put(b"a", b"1")
        assert cluster.disks[1].data == {}
        for _ in range(2):  # the second time nothing waits
            applied = trio.Event()
            node.group.apply_now(applied.set)
            await applied.wait()
            assert cluster.disks[1].data == {b"a": b"1"}


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
        fill_disk(node.store)
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


async def test_an_entry_that_no_peer_would_take_is_not_proposed(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, (1,), replace(FAST, entry_bytes_max=1000))
    async with cluster.running(1):
        node = await cluster.leader()
        with pytest.raises(ProposalDropped, match="at most 1000 bytes"):
            node.group.propose(bytes(1001))
        await node.put(b"k", bytes(998))


# What a restart finds


def a_log(path: Path, last: int) -> LogStore:
    """A node's log with entries up to `last`, all committed."""
    store = LogStore.open(path / "n1", create=True)
    store.create_group(GROUP, ConfState((1,)))
    entries = [Entry(index, 1, 0, b"k%d=v" % index) for index in range(2, last + 1)]
    store.write([GroupWrite(GROUP, HardState(1, 1, last), entries)])
    return store


async def test_a_crash_after_an_install_but_before_the_new_log_is_repaired(tmp_path: Path) -> None:
    store = a_log(tmp_path, 10)
    store.note_install(GROUP, SnapshotMeta(500, 3, ConfState((1,))), 500)
    store.close()
    cluster = Cluster(tmp_path, (1,))
    cluster.disks[1] = KeyValueDisk({b"new": b"data"}, 500)
    async with cluster.running(1):
        node = await cluster.leader()
        assert node.group.first_index == 501
        assert node.group.term > 3
        await node.put(b"a", b"1")
        await until(lambda: node.machine.applied_upto == node.group.last_index)
        await cluster.stop(1)
        assert cluster.disks[1].data == {b"new": b"data", b"a": b"1"}


async def test_a_crash_before_an_install_leaves_the_old_log_and_the_old_data(tmp_path: Path) -> None:
    store = a_log(tmp_path, 10)
    store.note_install(GROUP, SnapshotMeta(500, 3, ConfState((1,))), 500)
    store.close()
    cluster = Cluster(tmp_path, (1,))
    async with cluster.running(1):
        node = await cluster.leader()
        await until(lambda: node.machine.applied_upto >= 10)
        assert node.group.first_index == 2
        assert len(cluster.disks[1].data) == 9


async def refused(store: LogStore, applied: int, sentence: str) -> None:
    host = Host(
        1,
        store,
        None,
        FAST,
        sync_state=lambda: None,
        on_fatal=lambda error: None,
        on_turn_end=lambda: None,
        seed=1,
    )
    with pytest.raises(LogDamaged, match=sentence):
        host.add_group(GROUP, ConfState((1,)), KeyValueMachine(KeyValueDisk({}, applied)))
    await host.close()
    store.close()


async def test_a_log_that_lost_what_the_data_has_is_refused(tmp_path: Path) -> None:
    """Entries that we acknowledged are gone: to vote with that log could lose them for all."""
    await refused(a_log(tmp_path, 10), 12, "ends at 10, but its data already holds 12")


async def test_data_that_lost_what_had_been_synced_is_refused(tmp_path: Path) -> None:
    store = a_log(tmp_path, 10)
    log = store.group(GROUP)
    log.compacted(1, 1, log.conf, 8)
    store.compact(GROUP, log.base)
    await refused(store, 5, "ends at 5, but 8 had been synced")


async def test_ticks_are_never_closer_than_their_interval(
    tmp_path: Path, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promise lasts for so many of them: one that comes late must not be followed by one in time."""
    ticks_s: list[float] = []
    tick = RaftNode.tick

    def noted(node: RaftNode, now_us: int) -> None:
        ticks_s.append(trio.current_time())
        tick(node, now_us)

    monkeypatch.setattr(RaftNode, "tick", noted)
    cluster = Cluster(tmp_path, (1,))
    async with cluster.running(1):
        for _ in range(5):
            for intervals in (1.9, 0.2, 0.95):
                mock_clock.jump(FAST.tick_s * intervals)
                await wait_all_tasks_blocked()
    gaps_s = [later - earlier for earlier, later in pairwise(ticks_s)]
    assert len(gaps_s) > 5
    assert min(gaps_s) >= FAST.tick_s * 0.999
