"""RaftNode where a story of messages says too little: configuration, misuse, what a Ready shares."""

from typing import Any

import pytest

from raft.core import (
    CONF_CHANGE,
    Change,
    ChangeKind,
    ConfChange,
    ConfState,
    Corrupted,
    Entry,
    HardState,
    JointMode,
    MemoryLog,
    Message,
    MessageKind,
    NotLeader,
    ProgressState,
    RaftConfig,
    RaftNode,
    Role,
    SnapshotMeta,
    encode_conf_change,
)


def start(id: int = 1, voters: tuple[int, ...] = (1,), **settings: Any) -> tuple[RaftNode, MemoryLog]:
    disk = MemoryLog()
    config = RaftConfig(id=id, **settings)
    return RaftNode(config, disk, HardState(), ConfState(voters), 0, lambda bound: bound - 1), disk


def settle(node: RaftNode, disk: MemoryLog) -> list[Message]:
    """Do everything that is due; return what was sent."""
    sent: list[Message] = []
    while node.has_ready():
        ready = node.ready()
        sent += ready.messages
        if ready.persist:
            disk.append(ready.entries)
            node.advance(ready)
            sent += ready.messages_after
        if ready.committed:
            node.applied_to(ready.committed[-1].index)
    return sent


def lead(voters: tuple[int, ...] = (1, 2, 3), **settings: Any) -> tuple[RaftNode, MemoryLog]:
    node, disk = start(1, voters, **settings)
    node.campaign(1)
    settle(node, disk)
    node.step(Message(MessageKind.PRE_VOTE_RESPONSE, 2, 1, 1), 1)
    settle(node, disk)
    node.step(Message(MessageKind.VOTE_RESPONSE, 2, 1, 1), 1)
    settle(node, disk)
    node.step(Message(MessageKind.APPEND_RESPONSE, 2, 1, 1, index=1), 1)
    settle(node, disk)
    assert (node.role, node.commit) == (Role.LEADER, 1)
    return node, disk


@pytest.mark.parametrize(
    "settings",
    [
        {"id": 0},
        {"id": 1, "election_ticks": 2, "heartbeat_ticks": 2},
        {"id": 1, "heartbeat_ticks": 0},
        {"id": 1, "lease_us": 1000, "check_quorum": False},
        {"id": 1, "lease_us": -1},
        {"id": 1, "apply_bytes_max": 0},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    """Rule 10 among them: no lease without check-quorum."""
    with pytest.raises(ValueError, match=r"must|lease|positive"):
        RaftConfig(**settings)


def test_a_sole_voter_leads_from_its_first_tick() -> None:
    node, disk = start()
    node.tick(1)
    settle(node, disk)
    assert (node.role, node.leader, node.commit, node.applied) == (Role.LEADER, 1, 1, 1)
    assert node.lease_valid(1)


def test_a_restarted_sole_voter_leads_from_its_first_tick() -> None:
    disk = MemoryLog()
    disk.append([Entry(1, 1, 0, b"")])
    node = RaftNode(RaftConfig(1), disk, HardState(1, 1, 1), ConfState((1,)), 1, lambda bound: 0)
    node.tick(1)
    assert node.role is Role.LEADER


def test_only_the_ready_that_is_out_can_be_advanced_and_once() -> None:
    node, disk = start()
    node.tick(1)
    ready = node.ready()
    disk.append(ready.entries)
    node.advance(ready)
    with pytest.raises(ValueError, match="once"):
        node.advance(ready)


def test_while_a_ready_is_written_nothing_else_is_given_to_write() -> None:
    node, disk = lead()
    node.propose(b"a", 2)
    first = node.ready()
    node.propose(b"b", 3)
    assert not node.has_ready()
    second = node.ready()
    assert (first.persist, second.persist, second.entries, second.messages_after) == (True, False, [], [])
    disk.append(first.entries)
    node.advance(first)
    assert [entry.data for entry in node.ready().entries] == [b"b"]


def test_entries_gather_while_a_write_is_under_way_and_leave_in_one_message_with_the_next() -> None:
    node, disk = lead()
    node.propose(b"a", 2)
    first = node.ready()
    node.propose(b"b", 3)
    node.propose(b"c", 4)
    assert node.ready().messages == []
    disk.append(first.entries)
    node.advance(first)
    [message] = node.ready().messages
    assert [entry.data for entry in message.entries] == [b"b", b"c"]


def test_a_leader_sends_before_its_own_disk_is_done_and_counts_it_after() -> None:
    node, disk = lead()
    node.propose(b"a", 2)
    ready = node.ready()
    assert [message.kind for message in ready.messages] == [MessageKind.APPEND]
    node.step(Message(MessageKind.APPEND_RESPONSE, 2, 1, 1, index=2), 2)
    assert node.commit == 1
    disk.append(ready.entries)
    node.advance(ready)
    assert node.commit == 2


def test_two_followers_can_commit_without_the_leaders_disk() -> None:
    """It is committed, but not handed out here before it is stable here (rule 4)."""
    node, disk = lead()
    node.propose(b"a", 2)
    ready = node.ready()
    for peer in (2, 3):
        node.step(Message(MessageKind.APPEND_RESPONSE, peer, 1, 1, index=2), 2)
    assert node.commit == 2
    assert node.ready().committed == []
    disk.append(ready.entries)
    node.advance(ready)
    assert [entry.data for entry in node.ready().committed] == [b"a"]


def test_proposals_of_one_turn_leave_together_and_shared() -> None:
    node, _ = lead()
    node.step(Message(MessageKind.APPEND_RESPONSE, 3, 1, 1, index=1), 1)
    node.propose(b"a", 2)
    node.propose(b"b", 2)
    to_2, to_3 = node.ready().messages
    assert [entry.data for entry in to_2.entries] == [b"a", b"b"]
    assert to_2.entries is to_3.entries


def test_a_commit_reaches_an_idle_follower_at_the_next_tick() -> None:
    node, disk = lead()
    node.tick(2)
    assert [(message.kind, message.to, message.commit) for message in settle(node, disk)] == [
        (MessageKind.HEARTBEAT, 2, 1)
    ]
    node.tick(3)
    node.tick(4)
    kinds = [message.kind for message in settle(node, disk)]
    assert kinds == [MessageKind.HEARTBEAT, MessageKind.HEARTBEAT]


def test_stepping_down_is_due_even_if_nothing_is_to_be_sent() -> None:
    node, disk = lead(election_ticks=4, heartbeat_ticks=3)
    for now in range(2, 10):
        node.tick(now)
        if node.role is not Role.LEADER:
            break
        settle(node, disk)
    assert node.has_ready()
    ready = node.ready()
    assert (ready.role, ready.leader, ready.persist) == (Role.FOLLOWER, 0, False)


def test_a_message_for_somebody_else_changes_nothing() -> None:
    node, _ = start(1, (1, 2))
    node.step(Message(MessageKind.HEARTBEAT, 2, 3, 9), 1)
    assert (node.term, node.has_ready()) == (0, False)


def test_two_leaders_in_one_term_are_reported() -> None:
    node, _ = lead()
    with pytest.raises(Corrupted, match="so do we"):
        node.step(Message(MessageKind.HEARTBEAT, 2, 1, 1), 2)


def test_losing_leadership_forgets_what_belonged_to_it() -> None:
    node, _ = lead()
    node.propose(b"abc", 2)
    question = node.read_index(2)
    node.transfer_leadership(3, 2)
    assert node.uncommitted_bytes == 3
    node.step(Message(MessageKind.HEARTBEAT, 3, 1, 2), 3)
    ready = node.ready()
    assert ready.reads_lost == [question]
    assert (node.uncommitted_bytes, node.transfer_target, node.progress) == (0, 0, {})
    with pytest.raises(NotLeader) as refusal:
        node.read_index(3)
    assert refusal.value.leader == 3


def test_read_numbers_grow_across_terms() -> None:
    """Rule 9: a question of this term never has the number of one of an earlier term."""
    node, disk = lead()
    first = node.read_index(2)
    node.step(Message(MessageKind.HEARTBEAT, 3, 1, 2), 3)
    settle(node, disk)
    for now in range(4, 40):
        node.tick(now)
    settle(node, disk)
    node.step(Message(MessageKind.PRE_VOTE_RESPONSE, 2, 1, node.term + 1), 40)
    settle(node, disk)
    node.step(Message(MessageKind.VOTE_RESPONSE, 2, 1, node.term), 40)
    settle(node, disk)
    assert node.role is Role.LEADER
    assert node.read_index(41) > first


def test_progress_and_status_tell_the_same() -> None:
    node, _ = lead()
    assert node.progress[2].state is ProgressState.REPLICATE
    assert node.progress[3].state is ProgressState.PROBE
    status = node.status()
    assert [(peer.id, peer.match, peer.next, peer.state) for peer in status.peers] == [
        (1, 1, 2, "replicate"),
        (2, 1, 2, "replicate"),
        (3, 0, 1, "probe"),
    ]
    assert (status.first_index, status.last_index, node.term_at(1)) == (1, 1, 1)


def test_an_applied_index_is_never_ahead_of_what_was_handed_out() -> None:
    node, _ = start()
    with pytest.raises(ValueError, match="handed out"):
        node.applied_to(1)


def test_nobody_reports_about_strangers() -> None:
    node, _ = lead()
    node.report_unreachable(9)
    node.report_snapshot(9, ok=True)
    node.report_unreachable(1)
    assert node.progress[1].state is ProgressState.REPLICATE


def test_the_memory_log_refuses_holes_and_forgets_what_is_compacted() -> None:
    disk = MemoryLog()
    with pytest.raises(ValueError, match="append at 2"):
        disk.append([Entry(2, 1, 0, b"")])
    disk.append([Entry(index, 1, 0, b"") for index in (1, 2, 3)])
    copy = disk.copy()
    disk.compact(2)
    assert (disk.first_index, disk.last_index, copy.first_index) == (3, 3, 1)
    with pytest.raises(ValueError, match="append at 2"):
        disk.append([Entry(2, 1, 0, b"")])
    disk.apply_snapshot(SnapshotMeta(9, 2, ConfState((1,))))
    assert (disk.first_index, disk.last_index, disk.term(9)) == (10, 9, 2)


def test_the_lease_ends_a_fixed_time_after_what_a_quorum_acknowledged() -> None:
    node, _ = lead(lease_us=1000)
    assert node.lease_until_us == 0
    node.step(Message(MessageKind.HEARTBEAT_RESPONSE, 2, 1, 1, sent=500), 600)
    assert node.lease_until_us == 1500
    assert (node.lease_valid(1499), node.lease_valid(1500)) == (True, False)
    node.step(Message(MessageKind.HEARTBEAT_RESPONSE, 3, 1, 1, sent=700), 800)
    node.step(Message(MessageKind.HEARTBEAT_RESPONSE, 3, 1, 1, sent=300), 800)
    assert node.lease_until_us == 1700
    node.transfer_leadership(3, 800)
    assert node.lease_until_us == 0


def test_what_is_applied_is_as_old_as_the_answer_that_came_back_with_its_index() -> None:
    """To hear from a leader is not enough: heartbeats may come in late, entries too, and wait for the disk, or to be
    applied."""
    node, disk = start(1, (1, 2))
    assert node.fresh_as_of_us == 0

    def heartbeat(index: int, stamp: int, now_us: int) -> int:
        """The stamp of the answer."""
        node.step(Message(MessageKind.HEARTBEAT, 2, 1, 1, index=index, hint=stamp), now_us)
        return settle(node, disk)[-1].hint

    stamp = heartbeat(0, 0, 10)
    assert node.fresh_as_of_us == 0, "the leader has no lease, or no answer yet"
    stamp = heartbeat(0, stamp, 20)
    assert node.fresh_as_of_us == 10
    stamp = heartbeat(1, stamp, 30)
    heartbeat(2, stamp, 40)
    assert node.fresh_as_of_us == 10, "the entries have not come"
    entries = (Entry(1, 1, 0, b""), Entry(2, 1, 0, b""))
    node.step(Message(MessageKind.APPEND, 2, 1, 1, commit=2, entries=entries), 50)
    assert node.fresh_as_of_us == 10, "nor are they applied"
    settle(node, disk)
    assert node.fresh_as_of_us == 20
    heartbeat(2, stamp, 1000)
    assert node.fresh_as_of_us == 30, "however long it was under way"
    for stranger in (stamp - 1000, stamp + 1000):
        heartbeat(2, stranger, 1001)
        assert node.fresh_as_of_us == 30, "another process of this node sent that"


def test_a_heartbeat_brings_back_the_time_of_the_last_answer_while_there_is_a_lease() -> None:
    node, disk = lead(lease_us=1000)
    node.step(Message(MessageKind.HEARTBEAT_RESPONSE, 2, 1, 1, hint=70, sent=500), 600)

    def brought_back(now_us: int) -> dict[int, int]:
        for _ in range(2):
            node.tick(now_us)
        sent = settle(node, disk)
        return {message.to: message.hint for message in sent if message.kind == MessageKind.HEARTBEAT}

    assert brought_back(1499) == {2: 70, 3: 0}
    assert brought_back(1500) == {2: 0, 3: 0}, "somebody else may lead by now"


def test_a_heartbeat_names_all_that_is_committed() -> None:
    node, disk = lead()
    for _ in range(2):
        node.tick(2)
    heartbeats = [message for message in settle(node, disk) if message.kind == MessageKind.HEARTBEAT]
    assert {(message.to, message.index, message.commit) for message in heartbeats} == {(2, 1, 1), (3, 1, 0)}


def test_only_what_is_stable_counts_as_the_leaders_own() -> None:
    node, disk = lead()
    node.propose(b"a", 2)
    first = node.ready()
    node.propose(b"b", 2)
    disk.append(first.entries)
    node.advance(first)
    node.step(Message(MessageKind.APPEND_RESPONSE, 2, 1, 1, index=3), 3)
    assert node.commit == 2


def test_there_is_no_lease_before_the_terms_first_commit() -> None:
    node, disk = start(1, (1, 2), lease_us=1000)
    node.campaign(1)
    settle(node, disk)
    node.step(Message(MessageKind.PRE_VOTE_RESPONSE, 2, 1, 1), 1)
    settle(node, disk)
    node.step(Message(MessageKind.VOTE_RESPONSE, 2, 1, 1), 1)
    settle(node, disk)
    node.step(Message(MessageKind.HEARTBEAT_RESPONSE, 2, 1, 1, sent=1), 2)
    assert not node.lease_valid(2)
    node.step(Message(MessageKind.APPEND_RESPONSE, 2, 1, 1, index=1, sent=1), 2)
    assert node.lease_valid(2)


def save_commit(node: RaftNode) -> None:
    """A membership change was committed: it is handed out once the disk knows."""
    ready = node.ready()
    assert ready.persist
    assert ready.committed == []
    node.advance(ready)
    assert node.ready().committed


def test_there_is_no_lease_while_a_committed_membership_change_is_not_applied() -> None:
    """Others may have applied it and elect with the new quorum already."""
    node, disk = lead(lease_us=1000)
    change = ConfChange((Change(ChangeKind.REMOVE, 3),))
    index = node.propose_conf_change(change, 2)
    ready = node.ready()
    disk.append(ready.entries)
    node.advance(ready)
    node.step(Message(MessageKind.APPEND_RESPONSE, 2, 1, 1, index=index, sent=2), 2)
    assert node.commit == index
    assert not node.lease_valid(3)
    save_commit(node)
    assert not node.lease_valid(3)
    node.apply_conf_change(change)
    node.applied_to(index)
    assert node.lease_valid(3)


def joint() -> tuple[RaftNode, MemoryLog]:
    """A leader in the joint state of (1 4 5) and (1 2 3)."""
    node, disk = lead()
    add = [Change(ChangeKind.ADD_VOTER, id) for id in (4, 5)]
    remove = [Change(ChangeKind.REMOVE, id) for id in (2, 3)]
    change = ConfChange((*add, *remove), JointMode.EXPLICIT)
    index = node.propose_conf_change(change, 2)
    node.step(Message(MessageKind.APPEND_RESPONSE, 2, 1, 1, index=index), 2)
    settle(node, disk)
    node.apply_conf_change(change)
    return node, disk


@pytest.mark.parametrize("first", [2, 4])
def test_in_the_joint_state_neither_majority_commits_alone(first: int) -> None:
    node, disk = joint()
    index = node.propose(b"a", 3)
    settle(node, disk)
    node.step(Message(MessageKind.APPEND_RESPONSE, first, 1, 1, index=index), 3)
    assert node.commit < index
    node.step(Message(MessageKind.APPEND_RESPONSE, 6 - first, 1, 1, index=index), 3)
    assert node.commit == index


@pytest.mark.parametrize("first", [2, 4])
def test_in_the_joint_state_neither_majority_confirms_a_read_alone(first: int) -> None:
    node, disk = joint()
    settle(node, disk)
    question = node.read_index(3)
    node.ready()
    node.step(Message(MessageKind.HEARTBEAT_RESPONSE, first, 1, 1, context=question), 3)
    assert node.ready().reads == []
    node.step(Message(MessageKind.HEARTBEAT_RESPONSE, 6 - first, 1, 1, context=question), 3)
    assert node.ready().reads == [(question, node.commit)]


def test_a_smaller_quorum_settles_what_waited_for_the_larger() -> None:
    node, disk = lead((1, 2))
    change = ConfChange((Change(ChangeKind.REMOVE, 2),))
    index = node.propose_conf_change(change, 2)
    node.propose(b"a", 2)
    question = node.read_index(2)
    settle(node, disk)
    node.step(Message(MessageKind.APPEND_RESPONSE, 2, 1, 1, index=index), 2)
    save_commit(node)
    node.apply_conf_change(change)
    node.applied_to(index)
    ready = node.ready()
    assert [entry.data for entry in ready.committed] == [b"a"]
    assert [number for number, _ in ready.reads] == [question]


def test_a_transfer_to_a_member_that_is_removed_meanwhile_ends() -> None:
    node, disk = lead()
    change = ConfChange((Change(ChangeKind.REMOVE, 3),))
    index = node.propose_conf_change(change, 2)
    settle(node, disk)
    node.transfer_leadership(3, 2)
    node.step(Message(MessageKind.APPEND_RESPONSE, 2, 1, 1, index=index), 2)
    save_commit(node)
    node.apply_conf_change(change)
    assert node.transfer_target == 0
    assert node.propose(b"a", 3) == index + 1


def test_a_follower_commits_only_what_the_message_proves_to_agree() -> None:
    """Its tail may be another history: the leader's commit index says nothing about it."""
    disk = MemoryLog()
    disk.append([Entry(index, 1, 0, b"x") for index in (1, 2, 3)])
    node = RaftNode(RaftConfig(2), disk, HardState(1, 0, 0), ConfState((1, 2, 3)), 0, lambda bound: 0)
    node.step(Message(MessageKind.APPEND, 1, 2, 2, index=1, log_term=1, commit=3), 1)
    assert node.commit == 1


def test_a_leader_that_stepped_down_has_promised_nobody_anything() -> None:
    node, disk = start(1, (1, 2))
    node.step(Message(MessageKind.HEARTBEAT, 2, 1, 1), 1)
    node.step(Message(MessageKind.TIMEOUT_NOW, 2, 1, 1), 1)
    settle(node, disk)
    node.step(Message(MessageKind.VOTE_RESPONSE, 2, 1, 2), 1)
    assert node.role is Role.LEADER
    settle(node, disk)
    node.step(Message(MessageKind.HEARTBEAT_RESPONSE, 2, 1, 5), 2)
    node.step(Message(MessageKind.VOTE, 2, 1, 6, index=9, log_term=5), 2)
    assert node.vote == 2


def test_questions_before_the_first_commit_are_lost_with_the_leadership() -> None:
    node, disk = start(1, (1, 2))
    node.campaign(1)
    settle(node, disk)
    node.step(Message(MessageKind.PRE_VOTE_RESPONSE, 2, 1, 1), 1)
    settle(node, disk)
    node.step(Message(MessageKind.VOTE_RESPONSE, 2, 1, 1), 1)
    question = node.read_index(2)
    node.step(Message(MessageKind.HEARTBEAT, 2, 1, 2), 3)
    assert node.ready().reads_lost == [question]


def test_only_answers_to_the_vote_that_goes_on_count() -> None:
    node, disk = start(1, (1, 2))
    node.step(Message(MessageKind.HEARTBEAT, 2, 1, 3), 1)
    for now in range(2, 40):
        node.tick(now)
    settle(node, disk)
    assert (node.role, node.term) == (Role.PRE_CANDIDATE, 3)
    node.step(Message(MessageKind.PRE_VOTE_RESPONSE, 2, 1, 3), 40)  # granted when term 3 was asked for
    node.step(Message(MessageKind.VOTE_RESPONSE, 2, 1, 3), 40)
    assert (node.role, node.term) == (Role.PRE_CANDIDATE, 3)
    node.step(Message(MessageKind.PRE_VOTE_RESPONSE, 2, 1, 4), 40)
    assert (node.role, node.term) == (Role.CANDIDATE, 4)


def asking(conf: ConfState, *entries: Entry) -> RaftNode:
    """Node 1 in term 3, asking for pre-votes; of its log only entry 1 is known to be committed."""
    disk = MemoryLog()
    disk.append([Entry(1, 1, 0, b""), *entries])
    node = RaftNode(RaftConfig(1), disk, HardState(3, 0, 1), conf, 1, lambda bound: 0)
    for now in range(12):
        node.tick(now)
    assert node.role is Role.PRE_CANDIDATE
    return node


REMOVE_3 = Entry(2, 2, CONF_CHANGE, encode_conf_change(ConfChange((Change(ChangeKind.REMOVE, 3),))))


@pytest.mark.parametrize("term", [2, 3])
def test_a_refusal_tells_what_is_committed_even_one_of_a_lower_term(term: int) -> None:
    """It was removed by a change that we have and did not know to be committed (rule 19)."""
    node = asking(ConfState((1, 2, 3)), REMOVE_3)
    node.step(Message(MessageKind.PRE_VOTE_RESPONSE, 3, 1, term, commit=2, reject=True, hint_term=2), 20)
    assert (node.commit, node.role) == (2, Role.FOLLOWER)


def test_a_request_tells_what_is_committed() -> None:
    node = asking(ConfState((1, 2, 3)), Entry(2, 2, 0, b"a"))
    node.step(Message(MessageKind.PRE_VOTE, 3, 1, 4, index=2, log_term=2, commit=2, hint_term=2), 20)
    assert node.commit == 2


def test_what_is_committed_elsewhere_is_not_what_we_have_at_that_index() -> None:
    node = asking(ConfState((1, 2, 3)), Entry(2, 2, 0, b"a"))
    node.step(Message(MessageKind.PRE_VOTE_RESPONSE, 3, 1, 3, commit=2, reject=True, hint_term=3), 20)
    node.step(Message(MessageKind.PRE_VOTE_RESPONSE, 3, 1, 3, commit=9, reject=True, hint_term=3), 20)
    assert node.commit == 1


def test_a_committed_membership_change_is_due_even_if_nothing_else_is() -> None:
    node, disk = lead()
    index = node.propose_conf_change(ConfChange((Change(ChangeKind.REMOVE, 3),)), 2)
    writing = node.ready()
    for peer in (2, 3):
        node.step(Message(MessageKind.APPEND_RESPONSE, peer, 1, 1, index=index), 2)
    assert not node.ready().persist
    disk.append(writing.entries)
    node.advance(writing)
    assert node.has_ready()
    save_commit(node)
