"""What nodes say to each other and what they write down: plain tuples and integers.

Everything here is a NamedTuple of integers, bytes and further such tuples, so any encoder that knows
tuples can put it on a wire or a disk. Two things have an encoding of their own, because they live inside an
entry's `data`: configuration changes (`encode_conf_change`, `decode_conf_change`).

To extend: append a field with a default to `Message`; old peers decode the shorter tuple.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

NONE = 0
"""The id that no node has: "nobody"."""

NORMAL = 0
"""Entry.kind: data belongs to the caller; b"" is the no-op that begins a leader's term."""
CONF_CHANGE = 1
"""Entry.kind: data is an encoded ConfChange."""


class Entry(NamedTuple):
    """One place in the log. The pair (index, term) names its content and everything before it."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    term: int
    kind: int
    data: bytes


class HardState(NamedTuple):
    """What must be on disk before any message that depends on it leaves (term, vote), and a hint (commit).

    `commit` on disk may lag behind what the node knew before a crash, never run ahead of its log.
    """

    term: int = 0
    vote: int = NONE
    commit: int = 0


class ConfState(NamedTuple):
    """The members of a group. Each tuple is sorted and free of duplicates.

    `voters_outgoing` is not empty only in the joint state; then both sets must agree to everything.
    `learners_next` are outgoing voters that turn learner when the joint state is left.
    """

    voters: tuple[int, ...]
    voters_outgoing: tuple[int, ...] = ()
    learners: tuple[int, ...] = ()
    learners_next: tuple[int, ...] = ()
    auto_leave: bool = False


class SnapshotMeta(NamedTuple):
    """What a snapshot stands for: the state after entry (index, term), and the members as of then."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    term: int
    conf: ConfState


class MessageKind(IntEnum):
    """What a message asks or answers."""

    PRE_VOTE = 0
    PRE_VOTE_RESPONSE = 1
    VOTE = 2
    VOTE_RESPONSE = 3
    APPEND = 4
    APPEND_RESPONSE = 5
    HEARTBEAT = 6
    HEARTBEAT_RESPONSE = 7
    SNAPSHOT = 8
    TIMEOUT_NOW = 9


class Message(NamedTuple):
    """One message between two nodes of a group; which fields mean something depends on `kind`."""

    kind: int
    sender: int
    to: int
    term: int
    index: int = 0  # type: ignore[assignment]
    """(PRE_)VOTE: last index of the asker. APPEND: the entry before `entries`. APPEND_RESPONSE: highest entry
    known to match, or with `reject` the APPEND's index again. SNAPSHOT: the snapshot's index. HEARTBEAT: all that
    the leader knows to be committed."""
    log_term: int = 0
    """Term of the entry at `index` ((PRE_)VOTE, APPEND, SNAPSHOT)."""
    commit: int = 0
    """APPEND, HEARTBEAT: what the leader knows to be committed (HEARTBEAT: no more than the receiver has).
    (PRE_)VOTE and their responses: what the sender knows to be committed; its term is `hint_term`."""
    reject: bool = False
    hint: int = 0
    """APPEND_RESPONSE with reject: the highest index at which the logs may still agree; -1: send a snapshot.
    HEARTBEAT_RESPONSE: when it was sent, by its sender's clock alone. HEARTBEAT: the newest of these that the leader
    has had from the receiver, if it has a lease; 0 otherwise."""
    hint_term: int = 0
    """APPEND_RESPONSE with reject: the follower's term at `hint`. Votes: the term at `commit`."""
    context: int = 0
    """HEARTBEAT and its response: the newest read-index number that this round confirms; 0 for none."""
    sent: int = 0
    """APPEND, HEARTBEAT: the leader's clock in µs, echoed unread by the responses; 0 for none."""
    transfer: bool = False
    """VOTE: the leader itself asked for this election, so live leases do not stand in its way."""
    entries: tuple[Entry, ...] = ()
    snapshot: SnapshotMeta | None = None


class ChangeKind(IntEnum):
    """What becomes of a node."""

    ADD_VOTER = 0
    ADD_LEARNER = 1
    REMOVE = 2


class Change(NamedTuple):
    """One step of a ConfChange. ADD_VOTER promotes a learner, ADD_LEARNER demotes a voter."""

    kind: int
    node: int


class JointMode(IntEnum):
    """Whether a change passes through the joint state, and who ends it."""

    AUTO = 0
    """A single change takes effect in one step; several go through the joint state, left automatically."""
    IMPLICIT = 1
    """Joint state always, left automatically by the leader once it is entered."""
    EXPLICIT = 2
    """Joint state always, until the caller proposes an empty ConfChange."""


class ConfChange(NamedTuple):
    """A change of membership. No changes at all means: leave the joint state.

    `context` is the caller's (an address, say); the core carries it unread.
    """

    changes: tuple[Change, ...] = ()
    mode: int = JointMode.AUTO
    context: bytes = b""


_HEAD = struct.Struct(">BBH")
_CHANGE = struct.Struct(">BQ")
_VERSION = 1


def encode_conf_change(change: ConfChange) -> bytes:
    """Return `change` as an entry's data.

    Layout, big-endian: u8 version (1), u8 mode, u16 number of changes, then per change u8 kind and u64 node,
    then the context to the end.
    """
    parts = [_HEAD.pack(_VERSION, change.mode, len(change.changes))]
    parts += [_CHANGE.pack(one.kind, one.node) for one in change.changes]
    parts.append(change.context)
    return b"".join(parts)


def decode_conf_change(data: bytes) -> ConfChange:
    """Return the ConfChange of an entry's data. Raises ValueError if `data` is not one."""
    try:
        version, mode, count = _HEAD.unpack_from(data)
        end = _HEAD.size + count * _CHANGE.size
        changes = tuple(
            Change(ChangeKind(kind), node) for kind, node in _CHANGE.iter_unpack(data[_HEAD.size : end])
        )
    except struct.error as error:
        raise ValueError(f"damaged configuration change: {error}") from error
    if version != _VERSION or len(changes) != count:
        raise ValueError("damaged configuration change, or one of a newer version")
    return ConfChange(changes, JointMode(mode), data[end:])
