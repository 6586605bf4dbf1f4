"""What travels on the lanes "raft" and "snapshot", as msgpack.

A raft frame is a list of (group id, Message): everything that one turn has for one peer. Messages are NamedTuples, so
they are arrays on the wire; a field appended with a default can be left out by older peers. The data of a long entry
stays where it is: its frame is made in parts around it, since copying it for each peer would hold up the loop.
"""

import struct
from collections.abc import Iterator

import msgspec

from raft.core.messages import Message
from raft.runtime.frames import LONG_BYTES, UNDECODABLE, FrameError, Payload

FRAME_BYTES_SOFT = 4 << 20
"""A turn's messages are split here, so that the receiver begins before all is there."""

Envelope = tuple[int, Message]

_BIN_32 = struct.Struct(">BI")
_WITHOUT_DATA = b"\xc4\x00\xc0"
"""How a message ends whose last entry has no data: that, and no snapshot."""

_encoder = msgspec.msgpack.Encoder()
_messages: "msgspec.msgpack.Decoder[list[tuple[int, Message]]]" = msgspec.msgpack.Decoder(list[Envelope])


class SnapshotOffer(msgspec.Struct, frozen=True, array_like=True, tag="offer"):
    """Sender: here is a snapshot; from where shall I send it?"""

    group: int
    token: bytes
    message: Message


class SnapshotAnswer(msgspec.Struct, frozen=True, array_like=True, tag="answer"):
    """Receiver: from this cursor; or not at all (`refusal` is not empty)."""

    group: int
    token: bytes
    cursor: bytes
    refusal: str


class SnapshotChunk(msgspec.Struct, frozen=True, array_like=True, tag="chunk"):
    """Sender: some data. `next_cursor` is None in the last chunk, which carries the consistent index."""

    group: int
    token: bytes
    number: int
    data: bytes
    next_cursor: bytes | None
    consistent_index: int


class SnapshotStored(msgspec.Struct, frozen=True, array_like=True, tag="stored"):
    """Receiver: the chunk of this number is staged."""

    group: int
    token: bytes
    number: int


SnapshotFrame = SnapshotOffer | SnapshotAnswer | SnapshotChunk | SnapshotStored
_snapshot_frames: "msgspec.msgpack.Decoder[SnapshotFrame]" = msgspec.msgpack.Decoder(SnapshotFrame)


def encode_messages(envelopes: list[Envelope]) -> Iterator[tuple[bytes, ...]]:
    """Frames for these messages, in order; each in one part or several."""
    size_bytes = start = 0
    for place, (_group, message) in enumerate(envelopes):
        if message.entries:
            size_bytes += sum(len(entry.data) for entry in message.entries)
            if size_bytes > FRAME_BYTES_SOFT and place > start:
                yield (_encoder.encode(envelopes[start:place]),)
                start, size_bytes = place, sum(len(entry.data) for entry in message.entries)
            if len(message.entries[-1].data) > LONG_BYTES:
                yield _around_the_last(envelopes[start : place + 1])
                start, size_bytes = place + 1, 0
    if start < len(envelopes):
        yield (_encoder.encode(envelopes[start:] if start else envelopes),)


def _around_the_last(envelopes: list[Envelope]) -> tuple[bytes, ...]:
    """The frame of messages the last of which ends with a long entry."""
    *others, (group, message) = envelopes
    *entries, entry = message.entries
    short = message._replace(entries=(*entries, entry._replace(data=b"")))
    encoded = _encoder.encode([*others, (group, short)])
    assert encoded.endswith(_WITHOUT_DATA), message[:4]
    head = encoded[: -len(_WITHOUT_DATA)] + _BIN_32.pack(0xC6, len(entry.data))
    return head, entry.data, _WITHOUT_DATA[-1:]


def decode_messages(payload: Payload) -> list[Envelope]:
    """Raises FrameError."""
    try:
        return _messages.decode(payload)
    except UNDECODABLE as error:
        raise FrameError(f"its messages can not be understood: {error}") from error


def encode_snapshot_frame(frame: SnapshotFrame) -> bytes:
    """The payload of one snapshot frame."""
    return _encoder.encode(frame)


def decode_snapshot_frame(payload: Payload) -> SnapshotFrame:
    """Raises FrameError."""
    try:
        return _snapshot_frames.decode(payload)
    except UNDECODABLE as error:
        raise FrameError(f"its snapshot frame can not be understood: {error}") from error
