"""RaftNode in corners that no story comes to: what is asked twice, comes too late, or makes no sense there."""

from dataclasses import replace

import pytest

from raft.core import (
    Change,
    ChangeKind,
    ConfChange,
    ConfState,
    Entry,
    HardState,
    MemoryLog,
    Message,
    MessageKind,
    ProgressState,
    ProposalDropped,
    RaftConfig,
    RaftNode,
    Role,
    SnapshotMeta,
)
from tests.raft.test_node import lead, settle, start


def kinds(messages: list[Message]) -> list[tuple[int, int]]:
    """Kind and receiver of each."""
    return [(message.kind, message.to) for message in messages]


def test_a_leader_that_is_told_to_campaign_goes_on_leading() -> None:
    node, disk = lead()
    node.campaign(2)
    node.step(Message(MessageKind.TIMEOUT_NOW, 2, 1, 1), 2)
    assert (node.role, node.term) == (Role.LEADER, 1)
    assert not settle(node, disk)


def test_who_is_refused_by_a_majority_follows_and_tries_again_after_its_timeout() -> None:
    node, disk = start(1, (1, 2, 3), pre_vote=False)
    node.campaign(1)
    settle(node, disk)
    assert (node.role, node.term) == (Role.CANDIDATE, 1)
    for peer in (2, 3):
        assert node.role is Role.CANDIDATE
        node.step(Message(MessageKind.VOTE_RESPONSE, peer, 1, 1, reject=True), 1)
    assert (node.role, node.term, node.leader) == (Role.FOLLOWER, 1, 0)
    for now_us in range(2, 18):  # twelve ticks and up to half as many more, less one
        node.tick(now_us)
        settle(node, disk)
    assert (node.role, node.term) == (Role.FOLLOWER, 1)
    node.tick(18)
    settle(node, disk)
    assert (node.role, node.term) == (Role.CANDIDATE, 2)


def test_a_vote_that_comes_twice_is_one_vote() -> None:
    node, disk = start(1, (1, 2, 3, 4, 5), pre_vote=False)
    node.campaign(1)
    settle(node, disk)
    for _ in range(3):
        node.step(Message(MessageKind.VOTE_RESPONSE, 2, 1, 1), 1)
    assert node.role is Role.CANDIDATE
    node.step(Message(MessageKind.VOTE_RESPONSE, 9, 1, 1), 1)
    assert node.role is Role.CANDIDATE, "a stranger's counts for nothing"
    node.step(Message(MessageKind.VOTE_RESPONSE, 3, 1, 1), 1)
    assert node.role is Role.LEADER


def test_members_do_not_change_while_leadership_is_handed_over() -> None:
    node, disk = lead()
    node.transfer_leadership(3, 2)
    settle(node, disk)
    with pytest.raises(ProposalDropped, match="handed to 3"):
        node.propose_conf_change(ConfChange((Change(ChangeKind.REMOVE, 2),)), 2)


def test_a_hand_over_that_is_asked_for_twice_is_one() -> None:
    node, disk = lead()
    node.transfer_leadership(2, 2)
    assert kinds(settle(node, disk)) == [(MessageKind.TIMEOUT_NOW, 2)]
    node.transfer_leadership(2, 3)
    assert not settle(node, disk), "the order is on its way; a second one would come after an abort"
    node.transfer_leadership(1, 4)
    assert node.transfer_target == 0


def test_a_sole_voter_is_its_own_proof_of_leadership() -> None:
    node, disk = start()
    node.tick(1)
    number = node.read_index(2)  # its first entry is not committed yet
    assert not node.ready().reads
    node, disk = start()
    node.tick(1)
    settle(node, disk)
    number = node.read_index(2)
    assert node.ready().reads == [(number, 1)]


def test_without_a_lease_in_the_settings_there_is_none() -> None:
    node, _ = lead()
    node.step(Message(MessageKind.HEARTBEAT_RESPONSE, 2, 1, 1, sent=1), 2)
    assert not node.lease_valid(2)
    node, _ = lead(lease_us=10)
    node.step(Message(MessageKind.HEARTBEAT_RESPONSE, 2, 1, 1, sent=1), 2)
    assert node.lease_valid(2)


def behind_a_compacted_log() -> tuple[RaftNode, MemoryLog]:
    """A leader that finds node 3 at a place which its log does not reach back to."""
    node, disk = lead()
    for number in range(3):
        node.propose(b"%d" % number, 2)
    settle(node, disk)
    node.step(Message(MessageKind.APPEND_RESPONSE, 2, 1, 1, index=4), 2)
    settle(node, disk)
    disk.compact(3)
    node.step(Message(MessageKind.APPEND_RESPONSE, 3, 1, 1, index=4, reject=True, hint=0), 2)
    return node, disk


def test_a_follower_too_far_behind_waits_until_there_is_something_to_send() -> None:
    """No snapshot was ever offered."""
    node, disk = behind_a_compacted_log()
    assert not settle(node, disk)
    assert node.progress[3].state is not ProgressState.SNAPSHOT
    disk.offer_snapshot(SnapshotMeta(4, 1, ConfState((1, 2, 3))))
    node.step(Message(MessageKind.HEARTBEAT_RESPONSE, 3, 1, 1), 3)
    assert kinds(settle(node, disk)) == [(MessageKind.SNAPSHOT, 3)]


def test_who_is_sent_a_snapshot_is_sent_nothing_else_though_it_lives() -> None:
    node, disk = behind_a_compacted_log()
    disk.offer_snapshot(SnapshotMeta(4, 1, ConfState((1, 2, 3))))
    node.step(Message(MessageKind.HEARTBEAT_RESPONSE, 3, 1, 1), 3)
    settle(node, disk)
    node.step(Message(MessageKind.HEARTBEAT_RESPONSE, 3, 1, 1), 4)
    assert not settle(node, disk)
    assert node.progress[3].recent_active


def test_an_append_that_ends_before_what_is_committed_is_answered_with_that() -> None:
    node, disk = start(2, (1, 2, 3))
    entries = tuple(Entry(index, 1, 0, b"") for index in (1, 2, 3))
    node.step(Message(MessageKind.APPEND, 1, 2, 1, commit=3, entries=entries), 1)
    settle(node, disk)
    node.step(Message(MessageKind.APPEND, 1, 2, 1, index=1, log_term=1, commit=1, entries=entries[1:2]), 1)
    [answer] = settle(node, disk)
    assert (answer.kind, answer.index, answer.reject) == (MessageKind.APPEND_RESPONSE, 3, False)
    assert node.commit == 3


def test_a_snapshot_message_without_one_is_a_mistake_of_the_caller() -> None:
    node, _ = start(2, (1, 2, 3))
    with pytest.raises(ValueError, match="without snapshot"):
        node.step(Message(MessageKind.SNAPSHOT, 1, 2, 1), 1)


def test_entries_behind_a_snapshot_that_is_being_installed_are_compared_with_it() -> None:
    node, disk = start(2, (1, 2, 3))
    meta = SnapshotMeta(5, 1, ConfState((1, 2, 3)))
    node.step(Message(MessageKind.SNAPSHOT, 1, 2, 1, index=5, log_term=1, snapshot=meta), 1)
    ready = node.ready()
    entry = Entry(6, 1, 0, b"a")
    append = Message(MessageKind.APPEND, 1, 2, 1, index=5, log_term=1, entries=(entry,))
    node.step(append, 1)
    node.step(append, 1)  # once more, when the snapshot is not the end of the log any more
    assert (node.term_at(5), node.last_index) == (1, 6)
    disk.apply_snapshot(meta)
    node.advance(ready)
    settle(node, disk)
    assert disk.entries(6, 7, 100) == [entry]


def test_what_is_applied_already_may_be_said_again() -> None:
    node, _ = lead()
    node.applied_to(0)
    assert node.applied == 1


def test_a_node_knows_who_it_is_and_what_it_was_started_with() -> None:
    disk = MemoryLog()
    config = replace(RaftConfig(7), pre_vote=False)
    node = RaftNode(config, disk, HardState(), ConfState((7, 8)), 0, lambda bound: 0)
    assert (node.id, node.conf.voters, node.leader) == (7, (7, 8), 0)


def test_a_question_is_answered_by_the_members_that_are_left() -> None:
    node, disk = lead((1, 2))
    change = ConfChange((Change(ChangeKind.REMOVE, 2),))
    node.propose_conf_change(change, 2)
    settle_writes(node, disk)
    node.step(Message(MessageKind.APPEND_RESPONSE, 2, 1, 1, index=2), 2)
    settle_writes(node, disk)
    number = node.read_index(3)
    node.apply_conf_change(change)
    node.applied_to(2)
    ready = node.ready()
    assert ready.reads == [(number, 2)]
    assert not [message for message in ready.messages if message.kind == MessageKind.HEARTBEAT]


def settle_writes(node: RaftNode, disk: MemoryLog) -> None:
    """As `settle`, but nothing is applied."""
    while node.has_ready():
        ready = node.ready()
        if ready.persist:
            disk.append(ready.entries)
            node.advance(ready)


def test_nobody_is_sent_a_snapshot_who_has_not_been_heard_of() -> None:
    node, disk = behind_a_compacted_log()
    disk.offer_snapshot(SnapshotMeta(4, 1, ConfState((1, 2, 3))))
    for now_us in range(3, 3 + 12):  # an election timeout: who is there is counted anew
        node.tick(now_us)
        node.step(Message(MessageKind.HEARTBEAT_RESPONSE, 2, 1, 1), now_us)
        sent = settle(node, disk)
        assert (MessageKind.SNAPSHOT, 3) not in kinds(sent)
    node.step(Message(MessageKind.HEARTBEAT_RESPONSE, 3, 1, 1), 20)
    assert (MessageKind.SNAPSHOT, 3) in kinds(settle(node, disk))
