"""Three hosts in one process, over loopback."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from raft.core.messages import (
    Change,
    ChangeKind,
    ConfChange,
    ConfState,
    Message,
    MessageKind,
    SnapshotMeta,
)
from raft.runtime.machine import Lag
from raft.runtime.wire import (
    SnapshotAnswer,
    SnapshotChunk,
    SnapshotOffer,
    decode_snapshot_frame,
    encode_messages,
    encode_snapshot_frame,
)
from raft.storage import GroupWrite
from raft.storage.records import Base
from tests.raft.runtime.harness import FAST, GROUP, Cluster, KeyValueMachine, Node, until
from tests.raft.storage.faults import fill_disk

SMALL_LOG = replace(
    FAST,
    log_retain_bytes=4 << 10,
    log_retain_entries=8,
    checkpoint_bytes=1 << 10,
    checkpoint_entries=4,
    snapshot_chunk_bytes=64,
    snapshot_window_chunks=2,
)


async def fill(node: Node, count: int, value: bytes = b"v") -> int:
    index = 0
    for number in range(count):
        index = await node.put(b"key%03d" % number, value)
    return index


async def caught_up(cluster: Cluster, index: int) -> None:
    await until(lambda: all(node.machine.applied_upto >= index for node in cluster.nodes.values()))


async def test_all_replicas_apply_what_the_leader_proposed(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, (1, 2, 3))
    async with cluster.running(1, 2, 3):
        leader = await cluster.leader()
        index = await fill(leader, 5)
        await caught_up(cluster, index)
        assert cluster.disks[1].data == cluster.disks[2].data == cluster.disks[3].data
        assert len(cluster.disks[1].data) == 5


async def test_when_the_leader_is_killed_another_takes_over_with_everything(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, (1, 2, 3))
    async with cluster.running(1, 2, 3):
        old = await cluster.leader()
        await old.put(b"a", b"1")
        await cluster.stop(old.id, clean=False)
        new = await cluster.leader()
        assert new.id != old.id
        index = await new.put(b"b", b"2")
        await cluster.start(old.id)
        await caught_up(cluster, index)
        assert cluster.disks[old.id].data == {b"a": b"1", b"b": b"2"}


async def test_a_new_leader_applies_at_once_what_was_put_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes calls once the no-op of its term is applied."""
    monkeypatch.setattr(KeyValueMachine, "lag", Lag(3600.0, 1 << 30))
    cluster = Cluster(tmp_path, (1, 2, 3))
    async with cluster.running(1, 2, 3):
        old = await cluster.leader()
        heir = next(node for node in cluster.nodes.values() if node is not old)
        await until(lambda: heir.machine.applied_upto > 1)
        await old.put(b"a", b"1")
        await cluster.hand_over(heir.id)
        assert cluster.disks[heir.id].data == {b"a": b"1"}


async def test_everything_survives_all_nodes_killed_at_once_and_their_unsynced_data_lost(
    tmp_path: Path,
) -> None:
    cluster = Cluster(tmp_path, (1, 2, 3))
    async with cluster.running(1, 2, 3):
        index = await fill(await cluster.leader(), 5)
        for node_id in (1, 2, 3):
            await cluster.stop(node_id, clean=False)
            cluster.disks[node_id].lose_unsynced()
        for node_id in (1, 2, 3):
            await cluster.start(node_id)
        await cluster.leader()
        await caught_up(cluster, index)
        assert all(len(disk.data) == 5 for disk in cluster.disks.values())


async def test_leadership_is_handed_over_on_request(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, (1, 2, 3))
    async with cluster.running(1, 2, 3):
        old = await cluster.leader()
        target = next(node_id for node_id in (1, 2, 3) if node_id != old.id)
        await cluster.hand_over(target)
        assert not old.group.lease_valid()
        assert not old.group.can_propose


async def test_a_new_leader_applies_the_first_entry_of_its_term_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have applied something just before: until the next turn nothing else would wake it."""
    monkeypatch.setattr(KeyValueMachine, "lag", Lag(3600.0, 1 << 30))
    cluster = Cluster(tmp_path, (1, 2, 3))
    async with cluster.running(1, 2, 3):
        old = await cluster.leader()
        target = next(node_id for node_id in (1, 2, 3) if node_id != old.id)
        new = await cluster.hand_over(target)
        await until(lambda: new.group.term_at(new.machine.applied_upto) == new.group.term)


async def test_a_change_of_members_is_applied_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then a leader has no lease, and takes no other change."""
    monkeypatch.setattr(KeyValueMachine, "lag", Lag(3600.0, 1 << 30))
    cluster = Cluster(tmp_path, (1, 2, 3))
    async with cluster.running(1, 2, 3):
        leader = await cluster.leader()
        gone = next(node_id for node_id in (1, 2, 3) if node_id != leader.id)
        leader.group.propose_conf_change(ConfChange((Change(ChangeKind.REMOVE, gone),)))
        leader.host.pump()
        await until(lambda: gone not in leader.group.conf.voters)


async def test_reads_are_confirmed_by_a_round_to_the_others_and_by_the_lease(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, (1, 2, 3))
    async with cluster.running(1, 2, 3):
        leader = await cluster.leader()
        context = leader.group.read_index()
        leader.host.pump()
        assert not leader.machine.confirmed
        await until(lambda: leader.machine.confirmed == [context])
        await until(leader.group.lease_valid)


async def test_a_leader_whose_disk_fails_falls_silent_and_the_others_go_on(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, (1, 2, 3))
    async with cluster.running(1, 2, 3):
        old = await cluster.leader()
        fill_disk(old.store)
        old.group.propose(b"a=1")
        old.host.pump()
        await until(lambda: bool(old.fatal))
        others = [node_id for node_id in (1, 2, 3) if node_id != old.id]
        new = await cluster.leader(*others)
        await new.put(b"b", b"2")


@pytest.mark.parametrize(
    "payload",
    [
        b"\xc1 no msgpack",
        b"\x91\x92\x07\x94\x63\x02\x01\x01",  # kind 99
        b"".join(
            *encode_messages([(GROUP, Message(MessageKind.HEARTBEAT, 3, 1, 99))])
        ),  # in the name of another
        b"".join(*encode_messages([(GROUP, Message(MessageKind.SNAPSHOT, 2, 1, 99))])),  # without its data
    ],
)
async def test_a_peer_that_sends_what_it_may_not_loses_its_link_and_nothing_else(
    tmp_path: Path, payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = Cluster(tmp_path, (1, 2, 3))
    async with cluster.running(1, 2, 3):
        leader = await cluster.leader()
        links = cluster.nodes[2].links
        assert links is not None
        await until(lambda: links.link("raft", 1) is not None)
        link = links.link("raft", 1)
        assert link is not None
        link.send(payload)
        await until(lambda: link.closed)
        index = await (await cluster.leader()).put(b"a", b"1")
        await caught_up(cluster, index)
        assert leader.group.term < 99
        assert all(not node.fatal for node in cluster.nodes.values())


async def without_a_follower(cluster: Cluster) -> tuple[Node, int, int]:
    """The leader, a follower that is down and can come back by a snapshot alone, and the index that it is to reach."""
    leader = await cluster.leader()
    down = next(node_id for node_id in (1, 2, 3) if node_id != leader.id)
    await cluster.stop(down, clean=False)
    index = await fill(leader, 60)
    await until(lambda: leader.group.first_index > index - 40)
    return leader, down, index


def in_the_middle_of_a_snapshot(leader: Node, act: Callable[[], None]) -> None:
    """Have `act` done once, on the loop, when about half of one has been read."""
    token = trio.lowlevel.current_trio_token()
    done = False

    def before_read(cursor: bytes) -> None:
        nonlocal done
        if cursor > b"key030" and not done:
            done = True
            trio.from_thread.run_sync(act, trio_token=token)

    leader.machine.before_read = before_read


async def test_a_follower_that_was_down_for_long_comes_back_by_snapshot(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, (1, 2, 3), SMALL_LOG)
    async with cluster.running(1, 2, 3):
        leader, down, index = await without_a_follower(cluster)
        returned = await cluster.start(down)
        await until(lambda: returned.machine.applied_upto >= index and returned.group.consistent)
        assert cluster.disks[down].installs == 1
        assert cluster.disks[down].data == cluster.disks[leader.id].data
        # The installed log carries on over a restart.
        await cluster.stop(down, clean=False)
        await cluster.start(down)
        index = await (await cluster.leader()).put(b"after", b"1")
        await caught_up(cluster, index)
        assert cluster.disks[down].installs == 1


async def test_the_log_stays_for_a_member_that_is_only_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have to write an entry that is longer than all that is retained."""
    monkeypatch.setattr("raft.runtime.group.IN_TOUCH_US", 3_600_000_000)
    cluster = Cluster(tmp_path, (1, 2, 3), SMALL_LOG)
    async with cluster.running(1, 2, 3):
        leader = await cluster.leader()
        await caught_up(cluster, await fill(leader, 1))
        slow = next(node for node in cluster.nodes.values() if node is not leader)
        may_write = threading.Event()
        persist = slow.store.persist

        def persist_slowly(writes: Sequence[GroupWrite]) -> None:
            may_write.wait()
            persist(writes)

        monkeypatch.setattr(slow.store, "persist", persist_slowly)
        try:
            index = await fill(leader, 5 * SMALL_LOG.log_retain_entries)
            await until(lambda: leader.group.log.durable_applied >= index - SMALL_LOG.checkpoint_entries)
            assert leader.group.first_index <= slow.group.log.last_index + 1
        finally:
            may_write.set()
        await caught_up(cluster, index)
        assert cluster.disks[slow.id].installs == 0
        index = await fill(leader, SMALL_LOG.checkpoint_entries)
        await until(lambda: leader.group.first_index > slow.group.applied - 2 * SMALL_LOG.log_retain_entries)


async def test_a_snapshot_goes_on_where_it_was_when_its_link_is_lost(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, (1, 2, 3), SMALL_LOG)
    async with cluster.running(1, 2, 3):
        leader, down, index = await without_a_follower(cluster)

        def cut_link() -> None:
            assert leader.links is not None
            link = leader.links.link("snapshot", down)
            assert link is not None
            link.close("the test cuts it")

        in_the_middle_of_a_snapshot(leader, cut_link)
        returned = await cluster.start(down)
        await until(lambda: returned.machine.applied_upto >= index and returned.group.consistent)
        first, second = cluster.disks[down].resumed_from
        assert first == b""
        assert second > b"key010"
        assert cluster.disks[down].installs == 1
        assert cluster.disks[down].data == cluster.disks[leader.id].data


async def test_a_snapshot_that_was_given_up_is_sent_anew_though_nothing_was_written_since(
    tmp_path: Path,
) -> None:
    """While nothing is sent the sender may sweep what nobody needs: it would stay where it is staged."""
    cluster = Cluster(tmp_path, (1, 2, 3), SMALL_LOG)
    async with cluster.running(1, 2, 3):
        leader, down, index = await without_a_follower(cluster)

        def give_up() -> None:
            [transfer] = leader.host.snapshots._outgoing.values()
            transfer.scope.cancel()

        in_the_middle_of_a_snapshot(leader, give_up)
        returned = await cluster.start(down)
        await until(lambda: returned.machine.applied_upto >= index and returned.group.consistent)
        assert cluster.disks[down].resumed_from == [b"", b""]
        assert cluster.disks[down].data == cluster.disks[leader.id].data


async def test_while_a_snapshot_waits_for_its_install_no_other_is_taken(tmp_path: Path) -> None:
    """It is staged in the same place."""
    cluster = Cluster(tmp_path, (1, 2, 3))
    async with cluster.running(4):
        node = cluster.nodes[4]
        disk_may_go_on = threading.Event()
        node.host.disk.submit(lambda: disk_may_go_on.wait(30), lambda _: None)
        node.group.node.step(Message(MessageKind.HEARTBEAT, 1, 4, 5), node.host.now_us())
        node.host.mark(node.group)
        node.host.pump()  # the term is being written: the install comes after that
        link = Sender()
        for index in (10, 20):
            meta = SnapshotMeta(index, 5, ConfState((1, 2, 3)))
            message = Message(MessageKind.SNAPSHOT, 1, 4, 5, index=index, log_term=5, snapshot=meta)
            token = b"%d" % index
            node.host.snapshots._on_frame(link, encode_snapshot_frame(SnapshotOffer(GROUP, token, message)))
            await until(lambda: bool(link.answers))
            if link.answers[0].refusal:
                break
            link.answers.clear()
            chunk = SnapshotChunk(GROUP, token, 0, b"key=%d" % index, None, index)
            node.host.snapshots._on_frame(link, encode_snapshot_frame(chunk))
            await until(lambda: node.group.commit > 0)
        assert link.answers[0].refusal == "another one is being installed"
        disk_may_go_on.set()
        await until(lambda: node.group.consistent and node.group.applied == 10)
        assert cluster.disks[4].data == {b"key": b"10"}


class Sender:
    """The other end of a snapshot lane: what it is answered."""

    peer = 1
    dialed = False

    def __init__(self) -> None:
        self.answers: list[SnapshotAnswer] = []

    def send(self, payload: bytes) -> bool:
        frame = decode_snapshot_frame(payload)
        if isinstance(frame, SnapshotAnswer):
            self.answers.append(frame)
        return True


async def test_writes_during_a_snapshot_are_not_lost_and_it_is_consistent_only_after_them(
    tmp_path: Path,
) -> None:
    """The snapshot is fuzzy: a key that was read before it changed is put right by the log."""
    cluster = Cluster(tmp_path, (1, 2, 3), SMALL_LOG)
    async with cluster.running(1, 2, 3):
        leader, down, index = await without_a_follower(cluster)
        last = 0

        async def write(key: bytes, value: bytes) -> int:
            """Applied when it returns: the read after it meets it."""
            index = await leader.put(key, value)
            await until(lambda: leader.machine.applied_upto >= index)
            return index

        def write_meanwhile(cursor: bytes) -> None:
            nonlocal last
            if cursor:
                key = b"key000" if cursor > b"key030" else b"key059"
                last = trio.from_thread.run(write, key, b"new" + cursor, trio_token=token)

        token = trio.lowlevel.current_trio_token()
        leader.machine.before_read = write_meanwhile
        returned = await cluster.start(down)
        await until(lambda: cluster.disks[down].installs == 1)
        await until(lambda: returned.machine.applied_upto >= last and returned.group.consistent)
        await until(lambda: leader.machine.applied_upto >= last)
        assert cluster.disks[down].data == cluster.disks[leader.id].data
        assert cluster.disks[down].data[b"key000"].startswith(b"new")
        assert returned.group.log.consistent_index > index


async def test_while_a_snapshot_is_installed_the_data_is_not_consistent(tmp_path: Path) -> None:
    """What the machine has then is the snapshot's data already, and the log still that from before."""
    cluster = Cluster(tmp_path, (1, 2, 3), SMALL_LOG)
    async with cluster.running(1, 2, 3):
        leader, down, _ = await without_a_follower(cluster)
        watched = threading.Event()

        def wait(cursor: bytes) -> None:
            watched.wait(30)

        leader.machine.before_read = wait
        returned = await cluster.start(down)
        install = returned.machine.snapshot_install
        seen: list[bool] = []

        def watched_install(meta: SnapshotMeta, consistent_index: int) -> None:
            install(meta, consistent_index)
            seen.append(returned.group.consistent)

        returned.machine.snapshot_install = watched_install  # type: ignore[method-assign]
        watched.set()
        await until(lambda: bool(seen) and returned.group.consistent)
        assert seen == [False]


async def test_the_log_is_compacted_only_as_far_as_the_data_is_synced(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, (1,), SMALL_LOG)
    async with cluster.running(1):
        node = await cluster.leader()
        disk = cluster.disks[1]
        unsynced_at: list[int] = []
        compact = node.store.compact

        def check(group_id: int, base: Base) -> None:
            unsynced_at.append(disk.synced[1] - base.durable_applied)
            compact(group_id, base)

        node.store.compact = check  # type: ignore[method-assign]
        index = await fill(node, 60)
        await until(lambda: node.group.first_index > index - 40)
        assert unsynced_at
        assert min(unsynced_at) >= 0
        await cluster.stop(1, clean=False)
        disk.lose_unsynced()
        node = await cluster.start(1)
        await until(lambda: node.machine.applied_upto >= index)
        assert len(disk.data) == 60


async def test_a_node_joins_as_learner_is_promoted_and_the_leader_is_removed(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, (1, 2, 3))
    async with cluster.running(1, 2, 3):
        leader = await cluster.leader()
        await leader.put(b"a", b"1")
        joined = await cluster.start(4)
        await change(leader, Change(ChangeKind.ADD_LEARNER, 4))
        assert leader.group.conf.learners == (4,)
        await until(lambda: cluster.disks[4].data == {b"a": b"1"})
        await until(lambda: joined.group.conf.learners == (4,))
        await change(leader, Change(ChangeKind.ADD_VOTER, 4))
        assert leader.group.conf.voters == (1, 2, 3, 4)
        leader.group.propose_conf_change(ConfChange((Change(ChangeKind.REMOVE, leader.id),)))
        leader.host.pump()
        rest = [node_id for node_id in (1, 2, 3, 4) if node_id != leader.id]
        new = await cluster.leader(*rest)
        await until(lambda: new.group.conf.voters == tuple(rest))
        index = await new.put(b"b", b"2")
        await until(lambda: joined.machine.applied_upto >= index)
        # The members are known after a restart, from the log alone.
        await cluster.stop(4)
        joined = await cluster.start(4)
        assert joined.group.conf.voters == tuple(rest)


async def change(leader: Node, *changes: Change) -> None:
    index = leader.group.propose_conf_change(ConfChange(changes))
    leader.host.pump()
    await until(lambda: leader.machine.applied_upto >= index)


async def test_heartbeats_do_not_wait_behind_what_takes_long_to_send(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry of 100 MB kept a slow network busy for longer than followers wait before they elect another leader."""
    cluster = Cluster(tmp_path, (1, 2, 3))
    async with cluster.running(1, 2, 3):
        leader = await cluster.leader()
        index = await leader.put(b"a", b"1")
        await caught_up(cluster, index)
        assert leader.links is not None
        term, stuffed = leader.group.term, []
        for peer in {1, 2, 3} - {leader.id}:
            link = leader.links.link("raft", peer)
            assert link is not None
            link.buffered_bytes = 1  # as if the socket took no more
            monkeypatch.setattr(link, "send", lambda payload: stuffed.append(payload) or True)
        index = leader.group.propose(b"b=2")
        leader.host.pump()
        await trio.sleep(5 * FAST.election_ticks * FAST.tick_s)
        assert stuffed
        assert leader.leads
        assert {node.group.term for node in cluster.nodes.values()} == {term}
        assert leader.machine.committed_index < index
