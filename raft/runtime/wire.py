"""What travels on the lanes "raft" and "snapshot", as msgpack.

A raft frame is a list of (group id, Message): everything that one turn has for one peer. Messages are NamedTuples, so
they are arrays on the wire; a field appended with a default can be left out by older peers.
"""

from collections.abc import Iterator

import msgspec

from raft.core.messages import Message
from raft.runtime.frames import UNDECODABLE, FrameError

FRAME_BYTES_SOFT = 4 << 20
"""A turn's messages are split here, so that the receiver begins before all is there."""

Envelope = tuple[int, Message]

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


def encode_messages(envelopes: list[Envelope]) -> Iterator[bytes]:
    """Frames for these messages, in order."""
    size_bytes = start = 0
    for place, (_group, message) in enumerate(envelopes):
        if message.entries:
            size_bytes += sum(len(entry.data) for entry in message.entries)
            if size_bytes > FRAME_BYTES_SOFT and place > start:
                yield _encoder.encode(envelopes[start:place])
                start, size_bytes = place, sum(len(entry.data) for entry in message.entries)
    yield _encoder.encode(envelopes[start:] if start else envelopes)


def decode_messages(payload: bytes) -> list[Envelope]:
    """Raises FrameError."""
    try:
        return _messages.decode(payload)
    except UNDECODABLE as error:
        raise FrameError(f"its messages can not be understood: {error}") from error


def encode_snapshot_frame(frame: SnapshotFrame) -> bytes:
    """The payload of one snapshot frame."""
    return _encoder.encode(frame)


def decode_snapshot_frame(payload: bytes) -> SnapshotFrame:
    """Raises FrameError."""
    try:
        return _snapshot_frames.decode(payload)
    except UNDECODABLE as error:
        raise FrameError(f"its snapshot frame can not be understood: {error}") from error
