"""Entries from the leader to everybody's disk, and the commit index that follows from it.

The leader appends to its own log and marks a broadcast as due; `flush`, at the next Ready, sends each
member what it lacks and may be sent. So several proposals of one turn leave in one APPEND, and members at
the same place get the very same tuple of entries. An acknowledgement means: on that disk. Our own counts
like any other, when our own disk has it.

Entries leave in the Ready that has our own disk write them: while the write before is under way they gather.
Nothing is lost by that, as nothing is applied here before it is on our own disk, and members whose disks are like
ours are as busy with what came before. It bounds the messages by the writes, however many turns propose.

A commit is told with the next APPEND, or at the next tick if there is none (at once for a membership
change): an extra round of messages per commit would double the traffic and gain followers a few
milliseconds.

A member that knows no members yet (it was added to a group that runs) takes no entries: the members that
the group began with are in no entry, so a snapshot comes first and tells them.

A member that lost messages is found by the heartbeat's response: it is sent an APPEND, empty if need be,
whose rejection or acknowledgement says where it is.
"""

from raft.core import reads
from raft.core.errors import Corrupted, ProposalDropped
from raft.core.messages import NONE, Entry, Message, MessageKind
from raft.core.quorum import majority
from raft.core.ready import Role
from raft.core.state import State
from raft.core.storage import Compacted, SnapshotUnavailable
from raft.core.tracker import Progress, ProgressState

_APPEND = int(MessageKind.APPEND)
_APPEND_RESPONSE = int(MessageKind.APPEND_RESPONSE)
_HEARTBEAT_RESPONSE = int(MessageKind.HEARTBEAT_RESPONSE)
_SNAPSHOT = int(MessageKind.SNAPSHOT)
_TIMEOUT_NOW = int(MessageKind.TIMEOUT_NOW)

_SNAPSHOT_ONLY = -1
"""The hint of a node that knows no members: who they were before the first change is not in the log."""

# Leader: sending


def append(state: State, kind: int, data: bytes, *, limited: bool = True) -> int:
    """Append one entry of our term and return its index. Raises ProposalDropped.

    Only payload counts towards uncommitted_bytes_max, and the first of it always fits: an entry without
    any, or one larger than the limit on its own, must not be dropped for ever.
    """
    size = len(data) if limited else 0
    if size:
        if state.uncommitted_bytes and state.uncommitted_bytes + size > state.config.uncommitted_bytes_max:
            raise ProposalDropped(f"{state.uncommitted_bytes} bytes are uncommitted already")
        state.uncommitted_bytes += size
    index = state.log.append_own(state.term, kind, data)
    if size:
        state.proposed_bytes.append((index, size))
    state.progress[state.id].next = index + 1
    state.broadcast_due = True
    return index


class _Shared:
    """The entries that the last member was sent, for the next one at the same place."""

    __slots__ = ("entries", "next", "size_bytes", "term_before")

    def __init__(self) -> None:
        self.next = 0
        self.entries: tuple[Entry, ...] = ()
        self.term_before = 0
        self.size_bytes = 0


def flush(state: State) -> None:
    """Send every member what it lacks and may be sent, if a write may begin, and urgent news of a commit."""
    if state.broadcast_due and state.outstanding is None:
        state.broadcast_due = False
        shared = _Shared()
        for peer in state.others:
            while send_append(state, peer, shared):
                pass
    if state.commit_urgent:
        state.commit_urgent = False
        tell_commit(state)


def send_append(
    state: State,
    peer: Progress,
    shared: _Shared | None = None,
    *,
    probe: bool = False,
    bare: bool = False,
) -> bool:
    """Send `peer` the next entries, or a snapshot if they are compacted. Return whether anything was sent.

    With `probe` an APPEND without entries goes out where there is nothing to send, or no room; with `bare`, too, in
    any case.
    """
    if peer.state is not ProgressState.REPLICATE and (
        peer.probe_sent or peer.state is ProgressState.SNAPSHOT
    ):
        return False
    log = state.log
    low, last = peer.next, log.last_index
    entries: tuple[Entry, ...] = ()
    size = 0
    wanted = low <= last and not peer.inflight.full and not bare
    if not wanted and not probe:
        return False
    if wanted and shared is not None and shared.next == low:
        entries, term_before, size = shared.entries, shared.term_before, shared.size_bytes
    else:
        try:
            term_before = log.term(low - 1)
            if wanted:
                entries = tuple(log.entries(low, last + 1, state.config.append_bytes_max))
        except Compacted:
            return _send_snapshot(state, peer)
        if wanted:
            size = sum([len(entry.data) for entry in entries])
            if shared is not None:
                shared.next, shared.entries, shared.term_before, shared.size_bytes = (
                    low,
                    entries,
                    term_before,
                    size,
                )
    commit = log.commit
    state.messages.append(
        Message(
            _APPEND,
            state.id,
            peer.id,
            state.term,
            low - 1,
            term_before,
            commit,
            False,
            0,
            0,
            0,
            state.now_us,
            False,
            entries,
        )
    )
    end = low + len(entries)
    peer.commit_told = max(peer.commit_told, min(commit, end - 1))
    if peer.state is ProgressState.PROBE:
        peer.probe_sent = True
    elif entries:
        peer.next = end
        peer.inflight.add(end - 1, size)
    return True


def _send_snapshot(state: State, peer: Progress) -> bool:
    if not peer.recent_active:
        return False  # it may be gone for long: a snapshot is too much to send into the void
    try:
        meta = state.log.reader.snapshot_meta()
    except SnapshotUnavailable:
        return False
    if meta is None or meta.index == 0:
        return False
    peer.become_snapshot(meta.index)
    state.messages.append(
        Message(_SNAPSHOT, state.id, peer.id, state.term, index=meta.index, log_term=meta.term, snapshot=meta)
    )
    return True


def tell_commit(state: State) -> None:
    """Send a heartbeat to each member that can know of a commit and was not told."""
    state.commit_untold = False
    commit = state.log.commit
    for peer in state.others:
        if min(peer.match, commit) > peer.commit_told:
            reads.heartbeat(state, peer)


def transfer(state: State, target: int) -> None:
    """See RaftNode.transfer_leadership."""
    if target == state.transfer_target:
        return
    state.transfer_target = NONE if target == state.id else target
    state.transfer_elapsed = 0
    if state.transfer_target:
        peer = state.progress[target]
        if peer.match == state.log.last_index:
            _take_over(state, target)
        else:
            send_append(state, peer, probe=True)


def _take_over(state: State, target: int) -> None:
    state.lease_void = True
    state.messages.append(Message(_TIMEOUT_NOW, state.id, target, state.term))


def report_unreachable(state: State, peer_id: int) -> None:
    """See RaftNode."""
    peer = state.progress.get(peer_id)
    if peer is not None and peer_id != state.id and peer.state is ProgressState.REPLICATE:
        peer.become_probe()


def report_snapshot(state: State, peer_id: int, ok: bool) -> None:
    """See RaftNode."""
    peer = state.progress.get(peer_id)
    if peer is None or peer.state is not ProgressState.SNAPSHOT:
        return
    if not ok:
        peer.pending_snapshot = 0
    peer.become_probe()
    peer.probe_sent = True  # its acknowledgement or a heartbeat's response goes on from here


# Leader: hearing


def _heard(state: State, message: Message) -> Progress | None:
    peer = state.progress.get(message.sender)
    if peer is not None:
        peer.recent_active = True
        if message.sent > peer.acked_us:
            peer.acked_us = message.sent
            state.lease_start_us = -1
    return peer


def on_append_response(state: State, message: Message) -> None:
    """A member has entries on disk, or refused them."""
    peer = _heard(state, message)
    if peer is None:
        return
    log = state.log
    index = message.index
    if message.reject:
        hint = message.hint
        if message.hint_term:
            hint, _ = log.last_agreement(hint, message.hint_term)
        if peer.decrease(index, hint):
            if peer.state is ProgressState.REPLICATE:
                peer.become_probe()
            if hint == _SNAPSHOT_ONLY:
                peer.probe_sent = not _send_snapshot(state, peer)
            else:
                send_append(state, peer, probe=True)
        return
    if index > log.last_index:
        raise Corrupted(f"node {peer.id} acknowledged {index}, our log ends at {log.last_index}")
    news = peer.update(index)
    if peer.state is ProgressState.REPLICATE:
        peer.inflight.free_to(index)
    elif peer.state is ProgressState.PROBE:
        if news or index == peer.match:
            peer.become_replicate()
    elif peer.match + 1 >= log.first_index:
        peer.become_replicate()  # what follows is in our log: no need to wait for that very snapshot
    if news and index > log.commit:
        maybe_commit(state)
    if peer.next <= log.last_index:
        state.broadcast_due = True
    if state.transfer_target == peer.id and news and peer.match == log.last_index:
        _take_over(state, peer.id)


def on_heartbeat_response(state: State, message: Message) -> None:
    """A member is alive. Find out where it is if it is behind or being probed."""
    peer = _heard(state, message)
    if peer is None:
        return
    peer.stamp = message.hint
    if peer.state is not ProgressState.SNAPSHOT:
        # The probe may have been lost, or be large and still on its way: what it carried is not sent once more before
        # that is known.
        repeated = peer.probe_sent
        peer.probe_sent = False
        if peer.match < state.log.last_index or peer.state is ProgressState.PROBE:
            send_append(state, peer, probe=True, bare=repeated)
    if message.context:
        reads.on_echo(state, peer, message.context)


def acknowledge_own(state: State) -> None:
    """Our own disk has more: count it like any other's."""
    own = state.progress.get(state.id)
    if own is not None and own.update(state.log.stable_index):
        maybe_commit(state)


def maybe_commit(state: State) -> bool:
    """Commit what a quorum has on disk, if it is of our term. Return whether that is news."""
    progress = state.progress  # quorum_of, written out: this runs for every acknowledgement
    index = majority([progress[voter].match for voter in state.voters])
    if state.outgoing:
        index = min(index, majority([progress[voter].match for voter in state.outgoing]))
    log = state.log
    if index < state.term_start or index <= log.commit:
        return False  # below term_start: an older term's, never committed by counting (Raft paper, 5.4.2)
    first = log.commit < state.term_start
    log.commit_to(index)
    proposed = state.proposed_bytes
    while proposed and proposed[0][0] <= index:
        state.uncommitted_bytes -= proposed.popleft()[1]
    state.commit_untold = True
    if log.conf_change_due():
        state.commit_urgent = True
    if first:
        reads.first_commit(state)
    return True


# Follower


def _follow(state: State, message: Message) -> None:
    if state.role is Role.LEADER:
        raise Corrupted(f"node {message.sender} leads in term {message.term}, and so do we: a vote was lost")
    if state.leader != message.sender:
        state.become_follower(message.term, message.sender)
    state.election_elapsed = 0
    state.contact_elapsed = 0


def _acknowledge(state: State, message: Message, index: int) -> None:
    state.messages_after.append(
        Message(
            _APPEND_RESPONSE,
            state.id,
            message.sender,
            state.term,
            index,
            0,
            0,
            False,
            0,
            0,
            0,
            message.sent,
        )
    )


def _refuse(state: State, message: Message, hint: int, hint_term: int) -> None:
    state.messages_after.append(
        Message(
            _APPEND_RESPONSE,
            state.id,
            message.sender,
            state.term,
            index=message.index,
            reject=True,
            hint=hint,
            hint_term=hint_term,
            sent=message.sent,
        )
    )


def on_append(state: State, message: Message) -> None:
    """The leader sends entries, or asks where we are."""
    _follow(state, message)
    log = state.log
    index = message.index
    if not state.voters:
        _refuse(state, message, _SNAPSHOT_ONLY, 0)
    elif index < log.commit:
        _acknowledge(state, message, log.commit)
    elif log.append_after(index, message.log_term, message.entries):
        last = index + len(message.entries)
        log.commit_to(min(message.commit, last))
        _acknowledge(state, message, last)
    else:
        _refuse(state, message, *log.last_agreement(index, message.log_term))


def on_heartbeat(state: State, message: Message) -> None:
    """The leader is alive."""
    _follow(state, message)
    log = state.log
    log.commit_to(message.commit)
    now_us, fresh = state.now_us, state.fresh
    fresh.heard(message.index, log.applied, message.hint, now_us)
    state.messages.append(
        Message(
            _HEARTBEAT_RESPONSE,
            state.id,
            message.sender,
            state.term,
            0,
            0,
            0,
            False,
            fresh.stamp(now_us),
            0,
            message.context,
            message.sent,
        )
    )


def on_snapshot(state: State, message: Message) -> None:
    """The leader sent a snapshot and the caller has all of it. Install it unless our log has that state."""
    _follow(state, message)
    meta = message.snapshot
    if meta is None:
        raise ValueError("a SNAPSHOT without snapshot")
    log = state.log
    if meta.index <= log.commit:
        _acknowledge(state, message, log.commit)
    elif log.matches(meta.index, meta.term):
        log.commit_to(meta.index)
        _acknowledge(state, message, meta.index)
    else:
        log.restore(meta)
        _acknowledge(state, message, meta.index)
