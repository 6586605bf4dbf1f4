"""The framing of the peer protocol, fed in pieces and with nonsense."""

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft.core.messages import ConfState, Entry, Message, MessageKind, SnapshotMeta
from raft.runtime.frames import FrameError, FrameParser, frame_header
from raft.runtime.handshake import Handshake, Refused
from raft.runtime.wire import (
    FRAME_BYTES_SOFT,
    SnapshotOffer,
    decode_messages,
    decode_snapshot_frame,
    encode_messages,
    encode_snapshot_frame,
)

PAYLOADS = [b"", b"a", b"hello" * 10, b"\x00" * 7]
STREAM = b"".join(frame_header(payload) + payload for payload in PAYLOADS)


def test_every_cut_point_gives_the_same_frames() -> None:
    for first in range(len(STREAM) + 1):
        for second in range(first, len(STREAM) + 1):
            parser = FrameParser(100)
            pieces = (STREAM[:first], STREAM[first:second], STREAM[second:])
            assert [payload for piece in pieces for payload in parser.feed(piece)] == PAYLOADS
            assert parser.buffered_bytes == 0


def test_byte_by_byte_gives_the_same_frames() -> None:
    parser = FrameParser(100)
    assert [payload for byte in STREAM for payload in parser.feed(bytes([byte]))] == PAYLOADS


def test_every_flipped_bit_is_refused_or_waits_for_more() -> None:
    """A flip in a length may ask for more bytes; it never gives an altered payload."""
    for bit in range(len(STREAM) * 8):
        data = bytearray(STREAM)
        data[bit // 8] ^= 1 << bit % 8
        parser = FrameParser(100)
        try:
            payloads = parser.feed(bytes(data))
        except FrameError:
            continue
        assert payloads == PAYLOADS[: len(payloads)]
        assert len(payloads) < len(PAYLOADS)


def test_a_header_that_claims_4_gib_is_refused_at_once() -> None:
    with pytest.raises(FrameError, match="4294967295"):
        FrameParser(1 << 20).feed(struct.pack(">II", 0xFFFFFFFF, 0))


def test_memory_grows_with_what_arrived_not_with_what_is_claimed() -> None:
    parser = FrameParser(0xFFFFFFFF)
    assert parser.feed(struct.pack(">II", 0xFFFFFFFF, 0) + b"xyz") == []
    assert parser.buffered_bytes == 11
    assert parser.missing_bytes == 0xFFFFFFFF - 3


@pytest.mark.parametrize(
    "data",
    [
        b"\x91\xa9\x00\x00\x00\x00\x00\x00\x00\x00\x80",  # a string that is not UTF-8
        b"\x91\x93" + b"\x91" * 100_000,  # nested without end
    ],
)
def test_what_msgspec_finds_odd_in_other_ways_is_refused_too(data: bytes) -> None:
    for parse in (decode_messages, decode_snapshot_frame):
        with pytest.raises(FrameError):
            parse(data)
    with pytest.raises(Refused):
        Handshake(
            cluster="test",
            node_id=1,
            node_name="n1",
            incarnation=bytes(16),
            process=bytes(16),
            secret=None,
            members={},
            check_peer=lambda hello: None,
        ).read_hello("dialer", data)


@given(st.binary(max_size=200))
def test_garbage_never_does_more_than_be_refused(data: bytes) -> None:
    for parse in (FrameParser(64).feed, decode_messages, decode_snapshot_frame):
        try:
            parse(data)
        except FrameError:
            continue


def test_messages_come_through_whole() -> None:
    conf = ConfState((1, 2), (), (3,), (), True)
    message = Message(
        MessageKind.APPEND, 1, 2, 3, 4, 5, 6, entries=(Entry(5, 3, 0, b"x"), Entry(6, 3, 1, b""))
    )
    snapshot = Message(MessageKind.SNAPSHOT, 1, 2, 3, snapshot=SnapshotMeta(9, 3, conf))
    (payload,) = encode_messages([(7, message), (8, snapshot)])
    assert decode_messages(payload) == [(7, message), (8, snapshot)]
    offer = SnapshotOffer(7, b"token", snapshot)
    assert decode_snapshot_frame(encode_snapshot_frame(offer)) == offer


def test_a_turn_with_much_to_say_is_split_and_stays_in_order() -> None:
    data = random.Random(1).randbytes(FRAME_BYTES_SOFT // 2)
    envelopes = [
        (7, Message(MessageKind.APPEND, 1, 2, 3, n, entries=(Entry(n, 3, 0, data),))) for n in range(5)
    ]
    frames = [*encode_messages(envelopes)]
    assert [len(decode_messages(frame)) for frame in frames] == [2, 2, 1]
    assert [envelope for frame in frames for envelope in decode_messages(frame)] == envelopes
