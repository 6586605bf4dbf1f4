"""Where keys lie: byte order is the order of meaning, and what is packed comes out again."""

from binascii import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.keyspace.layout import (
    EXPIRES,
    EXPIRY_PREFIX_BYTES,
    HEADER,
    LIST,
    META_KEY,
    SWEEP_PREFIX,
    Head,
    decode_head,
    expiry_key,
    expiry_range,
    head_key,
    head_range,
)
from server.keyspace.meta import DATABASES, Database, Meta
from server.keyspace.slots import SLOTS, key_slot

spaces = st.integers(0, 2**32 - 2)
times_ms = st.integers(1, 2**63 - 1)
names = st.binary(max_size=20)


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        (b"123456789", 12739),
        (b"foo", 12182),
        (b"", 0),
        (b"{user1000}.following", 3443),
        (b"{user1000}.followers", 3443),
        (b"foo{}{bar}", 8363),  # an empty tag is none: the whole key counts
        (b"foo{{bar}}zap", 4015),  # the tag is `{bar`
        (b"foo{bar}{zap}", 5061),  # the first tag counts
        (b"{}", 15257),
        (b"{a", 10276),
        (b"a}b{c}", 7365),
    ],
)
def test_slots_are_those_of_redis_cluster(key: bytes, slot: int) -> None:
    assert key_slot(key) == slot


@given(space=spaces, keys=st.lists(names))
def test_heads_of_a_space_lie_in_the_order_of_slot_crc_and_key(space: int, keys: list[bytes]) -> None:
    by_place = sorted(keys, key=lambda key: head_key(space, key))
    assert by_place == sorted(keys, key=lambda key: (key_slot(key), crc32(key), key))


@given(space=spaces, key=names)
def test_a_slots_range_holds_its_heads_and_no_others(space: int, key: bytes) -> None:
    slot, crc = key_slot(key), crc32(key)
    where = head_key(space, key)
    start, stop = head_range(space, slot, 0, slot + 1)
    assert start <= where < stop
    start, stop = head_range(space, slot, crc, SLOTS)
    assert start <= where < stop
    start, stop = head_range(space, 0, 0, slot)
    assert not start <= where < stop
    start, stop = head_range(space + 1, 0, 0, SLOTS)
    assert not start <= where < stop


@given(space=spaces, key=names, at_ms=times_ms, until_ms=st.integers(0, 2**63 - 1))
def test_the_expiry_index_is_ordered_by_time(space: int, key: bytes, at_ms: int, until_ms: int) -> None:
    entry = expiry_key(at_ms, head_key(space, key))
    start, stop = expiry_range(until_ms)
    assert (start <= entry < stop) == (at_ms <= until_ms)


@given(space=spaces, key=names, at_ms=times_ms)
def test_an_expiry_entry_names_its_head(space: int, key: bytes, at_ms: int) -> None:
    entry = expiry_key(at_ms, head_key(space, key))
    assert b"h" + entry[EXPIRY_PREFIX_BYTES:] == head_key(space, key)


@given(revision=st.integers(0, 2**64 - 1), expire_ms=times_ms, payload=st.binary())
def test_a_head_comes_out_as_it_went_in(revision: int, expire_ms: int, payload: bytes) -> None:
    record = HEADER.pack(LIST, 5 | EXPIRES, revision, expire_ms) + payload
    assert decode_head(record) == Head(LIST, 5, revision, expire_ms, payload)


def test_the_tables_do_not_overlap() -> None:
    tables = [META_KEY, SWEEP_PREFIX.pack(b"q", 0), expiry_range(0)[0], head_range(0, 0, 0, 1)[0]]
    assert len({table[:1] for table in tables}) == len(tables)


def test_databases_begin_in_the_space_of_their_number() -> None:
    meta = Meta.new()
    assert [database.space for database in meta.databases] == list(range(DATABASES))
    assert meta.next_space == DATABASES


def test_meta_comes_out_as_it_went_in() -> None:
    meta = Meta([Database(7, 3, 1), Database(4)], 9)
    assert Meta.decode(meta.encode()) == meta


def test_what_is_no_meta_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        Meta.decode(b"\x91\x01")
