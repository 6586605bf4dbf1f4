"""The framing of the peer protocol, fed in pieces and with nonsense."""

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft.core.messages import ConfState, Entry, Message, MessageKind, SnapshotMeta
from raft.runtime.frames import HEADER_BYTES, LONG_BYTES, FrameError, FrameParser, frame_header
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


LONG = random.Random(2).randbytes(LONG_BYTES + 10_000)


@pytest.mark.parametrize("step", [1000, 65_536, LONG_BYTES, LONG_BYTES + 9_999, 1 << 30])
def test_a_long_frame_comes_through_between_short_ones_however_it_is_cut(step: int) -> None:
    payloads = [b"a", LONG, LONG[1:], b"", b"b"]
    stream = b"".join(frame_header(payload) + payload for payload in payloads)
    parser = FrameParser(2 * LONG_BYTES)
    found: list[bytes] = []
    for start in range(0, len(stream), step):
        found += parser.feed(stream[start : start + step])
        rest = sum(len(payload) + HEADER_BYTES for payload in payloads[: len(found)])
        assert parser.buffered_bytes == min(start + step, len(stream)) - rest
    assert found == payloads


def test_reading_what_is_missing_of_a_long_frame_takes_nothing_of_what_follows() -> None:
    parser = FrameParser(2 * LONG_BYTES)
    stream = frame_header(LONG) + LONG + frame_header(b"a")
    at = 0
    found: list[bytes] = []
    while not found:
        piece = stream[at : at + min(parser.missing_bytes, 300_000)]
        found = parser.feed(piece)
        at += len(piece)
    assert found == [LONG]
    assert at == HEADER_BYTES + len(LONG)


@pytest.mark.parametrize("place", [0, 1000, LONG_BYTES, len(LONG) - 1])
def test_a_long_frame_that_was_altered_is_refused(place: int) -> None:
    altered = bytearray(LONG)
    altered[place] ^= 1
    parser = FrameParser(2 * LONG_BYTES)
    parser.feed(frame_header(LONG) + altered[:1000])
    parser.feed(altered[1000:-1])
    with pytest.raises(FrameError, match="checksum"):
        parser.feed(altered[-1:])


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
    ((payload,),) = encode_messages([(7, message), (8, snapshot)])
    assert decode_messages(payload) == [(7, message), (8, snapshot)]
    offer = SnapshotOffer(7, b"token", snapshot)
    assert decode_snapshot_frame(encode_snapshot_frame(offer)) == offer


def test_a_turn_with_much_to_say_is_split_and_stays_in_order() -> None:
    data = random.Random(1).randbytes(FRAME_BYTES_SOFT // 4)
    envelopes = [
        (7, Message(MessageKind.APPEND, 1, 2, 3, n, entries=(Entry(n, 3, 0, data),))) for n in range(9)
    ]
    frames = [b"".join(parts) for parts in encode_messages(envelopes)]
    assert [len(decode_messages(frame)) for frame in frames] == [4, 4, 1]
    assert [envelope for frame in frames for envelope in decode_messages(frame)] == envelopes


def test_the_data_of_a_long_entry_is_in_its_frame_without_having_been_copied() -> None:
    def append(*entries: bytes) -> tuple[int, Message]:
        numbered = tuple(Entry(index, 3, 0, data) for index, data in enumerate(entries, 4))
        return 7, Message(MessageKind.APPEND, 1, 2, 3, 3, sent=1 << 40, entries=numbered)

    heartbeat = (8, Message(MessageKind.HEARTBEAT, 1, 2, 3))
    envelopes = [append(b"a"), heartbeat, append(b"b", LONG), append(LONG), append(b"c"), append(LONG)]
    frames = [*encode_messages(envelopes)]
    assert [envelope for parts in frames for envelope in decode_messages(b"".join(parts))] == envelopes
    assert sum(part is LONG for parts in frames for part in parts) == 3
    assert frame_header(*frames[0]) == frame_header(b"".join(frames[0]))
