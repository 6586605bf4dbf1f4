"""Broken variants of the core, to prove that the simulator notices.

Each mutant replaces one function and puts in a bug that some Raft implementation once had, or that a reader
of the paper could well write. `hunt` runs seeds until one fails. To add one: write what it patches, name the
profile in which its bug can show and the rules that may catch it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from raft.core import election, membership, node, reads, replication
from raft.core.freshness import Freshness
from raft.core.log import RaftLog
from raft.core.messages import ConfChange, ConfState, Entry, Message, MessageKind, SnapshotMeta
from raft.core.node import RaftNode
from raft.core.ready import Ready, Role
from raft.core.state import State
from raft.core.tracker import Progress
from tests.sim.violation import InvariantViolation
from tests.sim.world import simulate

STEPS = 1_500


@dataclass(frozen=True, slots=True)
class Mutant:
    """`rules`: the violations by which it may be found, or the name of what the core itself raises."""

    name: str
    profile: str
    rules: tuple[str, ...]
    install: Callable[[pytest.MonkeyPatch], None]
    seeds_max: int = 1000

    def hunt(self) -> tuple[int, str] | None:
        """Return the first failing seed and the rule that it broke, None if all pass."""
        for seed in range(self.seeds_max):
            try:
                simulate(seed, self.profile, STEPS)
            except InvariantViolation as violation:
                return seed, violation.rule
            except Exception as error:
                return seed, type(error).__name__
        return None


def _pretending(function: Callable[..., Any], **fields: object) -> Callable[..., Any]:
    """`function` of a State, which it sees with other values in these fields."""

    def pretending(state: State, *args: object) -> Any:
        before = {name: getattr(state, name) for name in fields}
        for name, value in fields.items():
            setattr(state, name, value)
        try:
            return function(state, *args)
        finally:
            for name, value in before.items():
                setattr(state, name, value)

    return pretending


# Durability


def _send_early(patch: pytest.MonkeyPatch, kind: MessageKind) -> None:
    """Messages of `kind` leave before the write that they depend on."""
    take = RaftNode.ready

    def ready(self: RaftNode) -> Ready:
        taken = take(self)
        taken.messages += [message for message in taken.messages_after if message.kind == kind]
        taken.messages_after = [message for message in taken.messages_after if message.kind != kind]
        return taken

    patch.setattr(RaftNode, "ready", ready)


def _vote_before_it_is_durable(patch: pytest.MonkeyPatch) -> None:
    _send_early(patch, MessageKind.VOTE_RESPONSE)


def _acknowledge_before_stable(patch: pytest.MonkeyPatch) -> None:
    _send_early(patch, MessageKind.APPEND_RESPONSE)


def _hand_out_unstable(patch: pytest.MonkeyPatch) -> None:
    """etcd #14370: a single voter applied what it had not written yet."""

    def has_committed(log: RaftLog, _durable_commit: int) -> bool:
        return log.handed < log.commit and log.snapshot is None

    def take_committed(log: RaftLog, durable_commit: int) -> list[Entry]:
        if not has_committed(log, durable_commit):
            return []
        entries = log.entries(log.handed + 1, log.commit + 1, log.apply_bytes_max)
        log.handed = entries[-1].index
        return entries

    patch.setattr(RaftLog, "has_committed", has_committed)
    patch.setattr(RaftLog, "take_committed", take_committed)


def _stable_by_bare_index(patch: pytest.MonkeyPatch) -> None:
    """ABA: a write that is done makes stable whatever is at its indexes now."""
    stable = RaftLog.stable

    def bare(log: RaftLog, snapshot: SnapshotMeta | None, entries: Sequence[Entry]) -> None:
        if entries and log.unstable:
            written = range(log.offset, min(entries[-1].index, log.last_index) + 1)
            entries = [log.unstable[index - log.offset] for index in written]
        stable(log, snapshot, entries)

    patch.setattr(RaftLog, "stable", bare)


def _count_own_unwritten_entries(patch: pytest.MonkeyPatch) -> None:
    """A leader counts itself for what it has only in memory."""
    patch.setattr(RaftLog, "stable_index", property(lambda log: log.last_index))
    append = replication.append

    def counted(state: State, kind: int, data: bytes) -> int:
        index = append(state, kind, data)
        replication.acknowledge_own(state)
        return index

    patch.setattr(replication, "append", counted)


def _vote_forgotten_at_restart(patch: pytest.MonkeyPatch) -> None:
    init = State.__init__

    def forgetful(state: State, *arguments: object) -> None:
        init(state, *arguments)  # type: ignore[arg-type]
        state.vote = 0
        state.durable = state.durable._replace(vote=0)

    patch.setattr(State, "__init__", forgetful)


def _vote_leaves_once_the_term_is_durable(patch: pytest.MonkeyPatch) -> None:
    """A vote in a term that is on disk already is as much of a promise as one in a new term."""

    def term_only(state: State) -> bool:
        return state.durable.term == state.term

    patch.setattr(State, "_term_durable", term_only)
    patch.setattr(RaftLog, "commit_to_save", lambda log, durable_commit: False)


# Elections and the log


def _commit_an_old_term_by_counting(patch: pytest.MonkeyPatch) -> None:
    """Section 5.4.2 of the paper, figure 8."""
    patch.setattr(replication, "maybe_commit", _pretending(replication.maybe_commit, term_start=0))


def _vote_for_everybody(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(_handlers(patch), MessageKind.VOTE, _forgetful_vote)


def _forgetful_vote(state: State, message: Message) -> None:
    state.vote = 0
    election.on_vote_request(state, message)


def _handlers(patch: pytest.MonkeyPatch) -> dict[int, Callable[[State, Message], None]]:
    """The core's table of message handlers, as a dict that a mutant may edit."""
    handlers = dict(enumerate(node._HANDLERS))
    patch.setattr(node, "_HANDLERS", handlers)
    return handlers


def _vote_for_a_shorter_log(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RaftLog, "up_to_date", lambda log, index, term: term >= log.last_term)


def _append_without_looking_at_the_term_before(patch: pytest.MonkeyPatch) -> None:
    append_after = RaftLog.append_after

    def unchecked(log: RaftLog, index: int, term: int, entries: Sequence[Entry]) -> bool:
        if log.first_index - 1 <= index <= log.last_index:
            term = log.term(index)
        return append_after(log, index, term, entries)

    patch.setattr(RaftLog, "append_after", unchecked)


def _truncate_what_agrees(patch: pytest.MonkeyPatch) -> None:
    """A late, shorter APPEND cuts off what the follower has acknowledged since."""

    def truncating(log: RaftLog, index: int, term: int, entries: Sequence[Entry]) -> bool:
        if not log.matches(index, term):
            return False
        fresh = [entry for entry in entries if entry.index > log.commit]
        if fresh:
            log._replace(fresh)
        return True

    patch.setattr(RaftLog, "append_after", truncating)


def _acknowledge_the_whole_log(patch: pytest.MonkeyPatch) -> None:
    """What stands behind the entries of an APPEND may be an older leader's."""
    acknowledge = replication._acknowledge

    def boast(state: State, message: Message, index: int) -> None:
        if message.kind == MessageKind.APPEND:
            index = max(index, state.log.last_index)
        acknowledge(state, message, index)

    patch.setattr(replication, "_acknowledge", boast)


def _commit_behind_what_was_compared(patch: pytest.MonkeyPatch) -> None:
    """The leader's commit index holds for the entries that it has sent, not for an old tail behind them."""

    def on_append(state: State, message: Message) -> None:
        replication.on_append(state, message)
        log = state.log
        if log.matches(message.index, message.log_term):
            log.commit_to(min(message.commit, log.last_index))

    _handlers(patch)[MessageKind.APPEND] = on_append


def _heartbeat_tells_more_than_is_known_to_match(patch: pytest.MonkeyPatch) -> None:
    heartbeat = reads.heartbeat

    def generous(state: State, peer: Progress) -> None:
        heartbeat(state, peer)
        state.messages[-1] = state.messages[-1]._replace(commit=state.log.commit)

    def on_heartbeat(state: State, message: Message) -> None:
        commit = min(message.commit, state.log.last_index)
        replication.on_heartbeat(state, message._replace(commit=commit))

    patch.setattr(reads, "heartbeat", generous)
    _handlers(patch)[MessageKind.HEARTBEAT] = on_heartbeat


def _count_an_answer_of_an_earlier_term(patch: pytest.MonkeyPatch) -> None:
    """It was for entries that may have been replaced since."""
    admit = election.admit

    def lenient(state: State, message: Message) -> bool:
        stale = message.kind == MessageKind.APPEND_RESPONSE and message.term < state.term
        leads = state.role is Role.LEADER and message.index <= state.log.last_index
        return (stale and leads and not message.reject) or admit(state, message)

    patch.setattr(election, "admit", lenient)


def _install_a_snapshot_of_what_was(patch: pytest.MonkeyPatch) -> None:
    """A late one, of a state that this node has gone past."""

    def on_snapshot(state: State, message: Message) -> None:
        meta = message.snapshot
        if (
            meta is not None
            and meta.index < state.log.commit
            and not state.log.matches(meta.index, meta.term)
        ):
            replication._follow(state, message)
            state.log.restore(meta)
            replication._acknowledge(state, message, meta.index)
        else:
            replication.on_snapshot(state, message)

    _handlers(patch)[MessageKind.SNAPSHOT] = on_snapshot


# Reads


def _lease_before_the_first_commit(patch: pytest.MonkeyPatch) -> None:
    """A new leader does not know yet what its predecessor committed, nor has applied it."""
    patch.setattr(reads, "lease_until", _pretending(reads.lease_until, term_start=0))


def _lease_outlives_a_transfer(patch: pytest.MonkeyPatch) -> None:
    """TiKV #4680."""
    patch.setattr(reads, "lease_valid", _pretending(reads.lease_valid, transfer_target=0, lease_void=False))


def _lease_comes_back_after_an_aborted_transfer(patch: pytest.MonkeyPatch) -> None:
    """The order to take over may still be on its way when the transfer is given up."""
    patch.setattr(reads, "lease_valid", _pretending(reads.lease_valid, lease_void=False))


def _lease_a_tick_too_long(patch: pytest.MonkeyPatch) -> None:
    lease_valid = reads.lease_valid
    tick_us = 10_000

    def valid(state: State, now_us: int) -> bool:
        return lease_valid(state, now_us - 2 * tick_us)

    patch.setattr(reads, "lease_valid", valid)


def _lease_counts_from_the_answer(patch: pytest.MonkeyPatch) -> None:
    """The follower's promise counts from when it heard, which may be long before its answer comes."""
    heard = replication._heard

    def late(state: State, message: Message) -> Progress | None:
        return heard(state, message._replace(sent=state.now_us) if message.sent else message)

    patch.setattr(replication, "_heard", late)


def _no_promise_to_the_leader(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(election, "promised", lambda state: False)


def _promise_forgotten_at_restart(patch: pytest.MonkeyPatch) -> None:
    init = State.__init__

    def forgetful(state: State, *arguments: object) -> None:
        init(state, *arguments)  # type: ignore[arg-type]
        state.contact_elapsed = state.config.election_ticks

    patch.setattr(State, "__init__", forgetful)


def _read_index_without_quorum(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reads, "_begin", lambda state, number: state.reads_done.append((number, state.log.commit)))


def _read_index_before_the_first_commit(patch: pytest.MonkeyPatch) -> None:
    """etcd #7331, RedisRaft #19: a new leader does not know yet what its predecessor committed."""

    def ask(state: State) -> int:
        state.read_number += 1
        reads._begin(state, state.read_number)
        return state.read_number

    patch.setattr(reads, "ask", ask)


def _fresh_when_a_heartbeat_comes(patch: pytest.MonkeyPatch) -> None:
    """It may have been under way for long, or have waited while we stood still."""
    heard = Freshness.heard

    def late(fresh: Freshness, commit: int, applied: int, stamp: int, now_us: int) -> None:
        heard(fresh, commit, applied, fresh.stamp(now_us), now_us)

    patch.setattr(Freshness, "heard", late)


def _fresh_before_it_is_applied(patch: pytest.MonkeyPatch) -> None:
    heard = Freshness.heard

    def hasty(fresh: Freshness, commit: int, applied: int, stamp: int, now_us: int) -> None:
        heard(fresh, min(commit, applied), applied, stamp, now_us)

    patch.setattr(Freshness, "heard", hasty)


def _fresh_by_a_leader_without_a_lease(patch: pytest.MonkeyPatch) -> None:
    """Another one may lead by now."""
    heartbeat = reads.heartbeat

    def generous(state: State, peer: Progress) -> None:
        heartbeat(state, peer)
        state.messages[-1] = state.messages[-1]._replace(hint=peer.stamp)

    patch.setattr(reads, "heartbeat", generous)


# Membership


def _several_changes_at_once(patch: pytest.MonkeyPatch) -> None:
    propose = membership.propose

    def hasty(state: State, change: ConfChange) -> int:
        state.pending_conf_index = 0
        return propose(state, change)

    patch.setattr(membership, "propose", hasty)


def _joint_state_asks_only_the_new_voters(patch: pytest.MonkeyPatch) -> None:
    set_conf = State.set_conf

    def new_only(state: State, conf: ConfState) -> None:
        set_conf(state, conf)
        state.outgoing = ()

    patch.setattr(State, "set_conf", new_only)


def _campaign_with_a_change_not_applied(patch: pytest.MonkeyPatch) -> None:
    """The node counts the votes of members that are no more."""
    patch.setattr(RaftLog, "conf_change_due", lambda log: False)


def _apply_a_change_before_its_commit_is_durable(patch: pytest.MonkeyPatch) -> None:
    """After a crash the node goes by old members, and does not know that the change in its log is committed."""

    def high(log: RaftLog, _durable_commit: int) -> int:
        return min(log.commit, log.offset - 1) + 1

    patch.setattr(RaftLog, "_high", high)
    patch.setattr(RaftLog, "commit_to_save", lambda log, durable_commit: False)


_STALE_READ = ("linearizable quorum reads", "linearizable reads")
_OLD_READ = ("replicas know how old they are",)
_LEASE = ("leases do not overlap", "linearizable lease reads")
_LOST = (
    "committed means durable on a majority",
    "acknowledged means durable",
    "state machine safety",
    "leader completeness",
    "election safety",
    "Corrupted",
)

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "vote before it is durable",
        "crashes",
        ("vote before reply", "term before reply"),
        _vote_before_it_is_durable,
    ),
    Mutant(
        "acknowledge before stable",
        "crashes",
        ("entries before reply", "term before reply"),
        _acknowledge_before_stable,
    ),
    Mutant("vote forgotten at restart", "crashes", ("restart",), _vote_forgotten_at_restart),
    Mutant(
        "vote leaves once the term is durable",
        "crashes",
        ("vote before reply", *_LOST),
        _vote_leaves_once_the_term_is_durable,
    ),
    Mutant("hand out unstable entries", "crashes", ("committed entries are stable",), _hand_out_unstable),
    Mutant(
        "stable by bare index",
        "slow_disks",
        ("entries before reply", *_LOST),
        _stable_by_bare_index,
    ),
    Mutant("count own unwritten entries", "crashes", _LOST, _count_own_unwritten_entries),
    Mutant(
        "commit an old term by counting",
        "everything",
        ("commit counts own term",),
        _commit_an_old_term_by_counting,
    ),
    Mutant("vote for everybody", "network", ("votes are durable", *_LOST), _vote_for_everybody),
    Mutant("vote for a shorter log", "everything", _LOST, _vote_for_a_shorter_log),
    Mutant(
        "append without the term before",
        "everything",
        ("log matching", *_LOST),
        _append_without_looking_at_the_term_before,
    ),
    Mutant("truncate what agrees", "network", ("entries before reply", *_LOST), _truncate_what_agrees),
    Mutant("heartbeat tells too much", "everything", _LOST, _heartbeat_tells_more_than_is_known_to_match),
    Mutant(
        "lease before the first commit", "leases", (*_LEASE, *_STALE_READ), _lease_before_the_first_commit
    ),
    Mutant("lease outlives a transfer", "leases", _LEASE, _lease_outlives_a_transfer),
    Mutant("lease back after a transfer", "leases", _LEASE, _lease_comes_back_after_an_aborted_transfer),
    Mutant("lease a tick too long", "leases", _LEASE, _lease_a_tick_too_long),
    Mutant("lease counts from the answer", "leases", _LEASE, _lease_counts_from_the_answer),
    Mutant("no promise to the leader", "leases", _LEASE, _no_promise_to_the_leader),
    Mutant("promise forgotten at restart", "leases", _LEASE, _promise_forgotten_at_restart),
    Mutant("read index without quorum", "leases", _STALE_READ, _read_index_without_quorum),
    Mutant("read index before the first commit", "network", _STALE_READ, _read_index_before_the_first_commit),
    Mutant("fresh when a heartbeat comes", "leases", _OLD_READ, _fresh_when_a_heartbeat_comes),
    Mutant("fresh before it is applied", "leases", _OLD_READ, _fresh_before_it_is_applied),
    Mutant("fresh without a lease", "leases", _OLD_READ, _fresh_by_a_leader_without_a_lease),
    Mutant("several changes at once", "membership", (*_LOST, "ConfChangeInvalid"), _several_changes_at_once),
    Mutant(
        "campaign with a change due", "membership", (*_LOST, "KeyError"), _campaign_with_a_change_not_applied
    ),
    Mutant(
        "change before its commit is durable",
        "membership",
        ("changes are durably committed",),
        _apply_a_change_before_its_commit_is_durable,
    ),
    Mutant(
        "joint state asks only the new",
        "membership",
        ("progress", "votes are durable", *_LOST),
        _joint_state_asks_only_the_new_voters,
    ),
)

TOLD: tuple[tuple[str, Callable[[pytest.MonkeyPatch], None]], ...] = (
    ("acknowledge the whole log", _acknowledge_the_whole_log),
    ("commit behind what was compared", _commit_behind_what_was_compared),
    ("an answer of an earlier term counts", _count_an_answer_of_an_earlier_term),
    ("a snapshot of what was", _install_a_snapshot_of_what_was),
)
"""What takes so many accidents to do harm that no seed may find it: a story of tests/raft/scripts has to."""
