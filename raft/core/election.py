"""Who leads: ticks, campaigns, votes, terms, and the promise that makes leases safe.

The promise. A node that heard a leader less than election_ticks ago helps nobody else into office: it
ignores votes and pre-votes and does not campaign itself. It holds whatever happens to term and role in
between, and after a restart, when it is forgotten, the node is silent for as long. Only a transfer
overrides it, because then the leader itself gave up its lease before it asked. (With check_quorum;
without it there is no promise and no lease.)

Pre-vote. A campaign first asks "would you vote for me in the next term?", which changes nobody's term or
vote.

Patience. A follower waits election_ticks and up to half as long again, drawn anew each time. Who was not elected asks
again much sooner, as nobody leads meanwhile. A pre-candidate may have asked a little too early, before the promise of
the others ended: its question disturbed nobody and is cheap. A candidate that was refused had a majority of the
pre-votes, so somebody asked at the same moment and both have one vote too few. But a candidate that hears nothing
waits: disks that are slow to save a vote must not make all votes void.

A node that has a committed but not yet applied membership change does not campaign: it might count the
wrong quorum. Membership takes effect when applied, so a group can hang on one node's not knowing that a
change is committed: it asks voters that were removed or demoted by that very change and have more log. So a
leader that commits a change tells everybody at once, removed nodes go on answering votes, and every vote and
answer names the commit index of its sender: who has that entry learns that it is committed.
"""

from raft.core import reads, replication
from raft.core.confchange import members
from raft.core.messages import NORMAL, Message, MessageKind
from raft.core.quorum import VoteResult, joint_vote_result
from raft.core.ready import Role
from raft.core.state import State
from raft.core.tracker import Inflight, Progress

_PRE_VOTE = int(MessageKind.PRE_VOTE)
_PRE_VOTE_RESPONSE = int(MessageKind.PRE_VOTE_RESPONSE)
_VOTE = int(MessageKind.VOTE)
_VOTE_RESPONSE = int(MessageKind.VOTE_RESPONSE)
_HEARTBEAT_RESPONSE = int(MessageKind.HEARTBEAT_RESPONSE)
_VOTE_RESPONSES = frozenset((MessageKind.PRE_VOTE_RESPONSE, MessageKind.VOTE_RESPONSE))
_FROM_LEADER = frozenset((MessageKind.APPEND, MessageKind.HEARTBEAT, MessageKind.SNAPSHOT))


def promised(state: State) -> bool:
    """Return whether a leader was, or before a restart may have been, heard so lately that we elect no other."""
    return state.config.check_quorum and (
        state.role is Role.LEADER or state.contact_elapsed < state.config.election_ticks
    )


def admit(state: State, message: Message) -> bool:
    """Deal with a message of another term than ours. Return whether it is to be handled in the (new) term."""
    kind = message.kind
    if message.term < state.term:
        if kind in _FROM_LEADER:
            # A stale leader would ignore our silence for ever; our term makes it step down.
            state.messages.append(Message(_HEARTBEAT_RESPONSE, state.id, message.sender, state.term))
        elif kind == _PRE_VOTE:
            # Nor would a node with more log and a lower term ever catch up without a refusal.
            state.messages.append(_answer(state, message, granted=False))
        elif kind in _VOTE_RESPONSES:
            _learn_commit(state, message)
        return False
    if kind in (_VOTE, _PRE_VOTE):
        if not message.transfer and promised(state):
            return False
        if kind == _PRE_VOTE:
            return True
    elif kind == _PRE_VOTE_RESPONSE and not message.reject:
        return True
    state.become_follower(message.term, message.sender if kind in _FROM_LEADER else 0)
    return True


# Time


def tick_follower(state: State) -> None:
    """One tick of anybody but a leader."""
    state.contact_elapsed += 1
    state.election_elapsed += 1
    if state.election_elapsed >= state.timeout_ticks or state.sole_voter:
        campaign(state)


def tick_leader(state: State) -> None:
    """One tick of a leader."""
    config = state.config
    state.election_elapsed += 1
    if state.election_elapsed >= config.election_ticks:
        state.election_elapsed = 0
        if config.check_quorum and not _quorum_active(state):
            state.become_follower(state.term, 0)
            return
        for peer in state.others:
            peer.recent_active = False
    if state.transfer_target:
        state.transfer_elapsed += 1
        if state.transfer_elapsed >= _transfer_ticks_max(state):
            state.transfer_target = 0
    state.heartbeat_elapsed += 1
    if state.heartbeat_elapsed >= config.heartbeat_ticks:
        state.heartbeat_elapsed = 0
        state.commit_untold = False
        for peer in state.others:
            reads.heartbeat(state, peer)
    elif state.commit_untold:
        replication.tell_commit(state)


def _transfer_ticks_max(state: State) -> int:
    """How long a transfer may take, in ticks. A target that does not catch up, since its disk stalls for example, has
    not been told anything: to give it up costs nothing, and proposals have waited for two heartbeats."""
    is_told = state.progress[state.transfer_target].match == state.log.last_index
    return state.config.election_ticks if is_told else 2 * state.config.heartbeat_ticks


def _quorum_active(state: State) -> bool:
    active = {peer.id: peer.recent_active for peer in state.others}
    active[state.id] = True
    return joint_vote_result(state.voters, state.outgoing, active) is VoteResult.WON


# Campaigns


def campaign(state: State, *, transfer: bool = False) -> None:
    """See RaftNode.campaign. With `transfer` the leader told us to: no pre-vote, no promise in the way."""
    if state.role is Role.LEADER:
        return
    if not state.is_voter or state.log.snapshot is not None or state.log.conf_change_due():
        return
    if promised(state) and not transfer:
        return
    if state.config.pre_vote and not transfer:
        state.reset(state.term)
        state.role = Role.PRE_CANDIDATE
        _ask_again_soon(state)
        _ask(state, _PRE_VOTE, state.term + 1, transfer=False)
    else:
        _stand(state, transfer=transfer)


def _ask_again_soon(state: State) -> None:
    """Campaign in a heartbeat's time, and up to half an election timeout later: two that asked at once should not do
    so again."""
    config = state.config
    wait_ticks = config.heartbeat_ticks + state.random(config.election_ticks // 2)
    state.timeout_ticks = min(state.timeout_ticks, state.election_elapsed + wait_ticks)


def _stand(state: State, *, transfer: bool) -> None:
    state.reset(state.term + 1)
    state.role = Role.CANDIDATE
    state.vote = state.id
    _ask(state, _VOTE, state.term, transfer=transfer)


def _ask(state: State, kind: int, term: int, *, transfer: bool) -> None:
    state.votes[state.id] = True
    if _settle(state) is not VoteResult.PENDING:
        return
    log = state.log
    # A vote asked for names our last entry: the request waits until that is on disk.
    outbox = state.messages_after if kind == _VOTE else state.messages
    for voter in sorted({*state.voters, *state.outgoing}):
        if voter != state.id:
            outbox.append(
                Message(
                    kind,
                    state.id,
                    voter,
                    term,
                    index=log.last_index,
                    log_term=log.last_term,
                    commit=log.commit,
                    hint_term=log.term(log.commit),
                    transfer=transfer,
                )
            )


def _settle(state: State) -> VoteResult:
    result = joint_vote_result(state.voters, state.outgoing, state.votes)
    if result is VoteResult.WON:
        if state.role is Role.PRE_CANDIDATE:
            _stand(state, transfer=False)
        else:
            _become_leader(state)
    elif result is VoteResult.LOST:
        state.become_follower(state.term, 0)
    return result


def _become_leader(state: State) -> None:
    state.reset(state.term)
    state.role = Role.LEADER
    state.leader = state.id
    log = state.log
    track(state)
    own = state.progress[state.id]
    own.match = log.stable_index
    own.become_replicate()
    state.pending_conf_index = log.last_index  # any of these may be a membership change
    state.term_start = log.last_index + 1
    replication.append(state, NORMAL, b"")


def track(state: State) -> None:
    """Bring a leader's Progress in line with the members: new ones are probed from the end of the log."""
    config = state.config
    known = state.progress
    state.progress = {}
    for member in sorted(members(state.conf)):
        peer = known.get(member)
        if peer is None:
            inflight = Inflight(config.inflight_messages_max, config.inflight_bytes_max)
            if known:
                # Added to a running group: ask at once where it is, and give it an election timeout to answer.
                peer = Progress(member, max(state.log.last_index, 1), inflight)
                peer.recent_active = True
            else:
                peer = Progress(member, state.log.last_index + 1, inflight)
        state.progress[member] = peer
    state.others = [peer for peer in state.progress.values() if peer.id != state.id]
    state.lease_start_us = -1
    state.broadcast_due = True


def on_timeout_now(state: State, message: Message) -> None:
    """The leader hands over to us."""
    campaign(state, transfer=True)


# Votes


def on_vote_request(state: State, message: Message) -> None:
    """Somebody asks for our (pre-)vote. A learner answers too: its promotion may be known to the asker only."""
    pre = message.kind == _PRE_VOTE
    _learn_commit(state, message)
    if state.leader == 0 and not message.transfer and promised(state):
        return  # our own term's leader is forgotten, the promise is not
    free = (
        state.vote == message.sender
        or (state.vote == 0 and state.leader == 0)
        or (pre and message.term > state.term)
    )
    granted = free and state.log.up_to_date(message.index, message.log_term)
    if pre:
        state.messages.append(_answer(state, message, granted=granted))
        return
    if granted:
        state.vote = message.sender
        state.election_elapsed = 0
    state.messages_after.append(_answer(state, message, granted=granted))


def _answer(state: State, request: Message, *, granted: bool) -> Message:
    log = state.log
    return Message(
        _PRE_VOTE_RESPONSE if request.kind == _PRE_VOTE else _VOTE_RESPONSE,
        state.id,
        request.sender,
        request.term if granted else state.term,
        commit=log.commit,
        reject=not granted,
        hint_term=log.term(log.commit),
    )


def _learn_commit(state: State, message: Message) -> None:
    log = state.log
    if (
        message.commit > log.commit
        and state.role is not Role.LEADER
        and log.matches(message.commit, message.hint_term)
    ):
        log.commit_to(message.commit)
        if state.role is not Role.FOLLOWER and log.conf_change_due():
            state.become_follower(state.term, 0)  # we may have asked the wrong quorum


def on_vote_response(state: State, message: Message) -> None:
    """Somebody answers. What does not fit the vote that is going on is from an older one."""
    _learn_commit(state, message)
    if message.kind == _PRE_VOTE_RESPONSE:
        asked = state.term if message.reject else state.term + 1
        if state.role is not Role.PRE_CANDIDATE or message.term != asked:
            return
    elif state.role is not Role.CANDIDATE:
        return
    state.votes[message.sender] = not message.reject
    # Without pre-votes it may be one that can never win, which must not be the first to ask each time.
    is_split = state.role is Role.CANDIDATE and message.reject and state.config.pre_vote
    _settle(state)
    if is_split:
        _ask_again_soon(state)
