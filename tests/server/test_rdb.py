"""Values of all types in RDB payloads: round trips, every form that Redis has written, and whatever is broken."""

import struct
from random import Random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resp.values import OK, Error
from server.types import listpack_sizes
from server.types.crc64 import crc64
from server.types.dump import BadFormat, load
from server.types.rdb import listpack, oldforms, wire
from server.types.rdb.wire import Reader
from tests.server.harness import Group

FAR_MS = 33_000_000_000_000
BAD_FORMAT = Error(b"ERR Bad data format")

integers = st.integers(-(2**63), 2**63 - 1)
texts = st.one_of(
    st.binary(max_size=90),
    integers.map(lambda number: b"%d" % number),
    st.sampled_from([b"", b"0", b"-0", b"007", b"x" * 63, b"x" * 64, b"y" * 4095, b"y" * 4096, b"z" * 9000]),
)
scores = st.floats(allow_nan=False) | integers.map(float)


def payload(body: bytes, version: int = 10) -> bytes:
    """`body` with a right footer."""
    covered = body + version.to_bytes(2, "little")
    return covered + crc64(covered).to_bytes(8, "little")


def moved(*requests: list[Any]) -> tuple[Group, bytes]:
    """A group into which the value that these requests made of `k` was restored, and the payload. Encodings agree."""
    source, target = Group(), Group()
    for request in requests:
        assert not isinstance(source.run(*request), Error), request
    dumped = source.run("DUMP", "k")
    assert target.run("RESTORE", "k", "0", dumped) == OK
    assert target.run("OBJECT", "ENCODING", "k") == source.run("OBJECT", "ENCODING", "k")
    assert target.run("DUMP", "k") == dumped
    return target, dumped


class TestRoundTrip:
    @given(st.lists(texts, min_size=1, max_size=40))
    def test_lists(self, values: list[bytes]) -> None:
        target, _ = moved(["RPUSH", "k", *values])
        assert target.run("LRANGE", "k", "0", "-1") == values
        assert target.run("LPOP", "k") == values[0]

    @given(st.sets(texts, min_size=1, max_size=40) | st.sets(integers.map(lambda n: b"%d" % n), min_size=1))
    def test_sets(self, members: set[bytes]) -> None:
        target, _ = moved(["SADD", "k", *members])
        assert set(target.run("SMEMBERS", "k").value) == members
        assert target.run("SCARD", "k") == len(members)

    @given(st.dictionaries(texts, scores, min_size=1, max_size=40))
    def test_sorted_sets(self, pairs: dict[bytes, float]) -> None:
        source = ["ZADD", "k", *(part for member in pairs for part in (repr(pairs[member]), member))]
        target, _ = moved(source)
        found = target.run("ZRANGE", "k", "0", "-1", "WITHSCORES")
        assert dict(found) == pairs
        assert [score for _, score in found] == sorted(pairs.values())

    @given(st.dictionaries(texts, texts, min_size=1, max_size=40), st.booleans())
    def test_hashes(self, fields: dict[bytes, bytes], expires: bool) -> None:
        requests: list[list[Any]] = [["HSET", "k", *(part for pair in fields.items() for part in pair)]]
        first = next(iter(fields))
        if expires:
            requests.append(["HPEXPIREAT", "k", str(FAR_MS), "FIELDS", "1", first])
        target, _ = moved(*requests)
        found = target.run("HGETALL", "k")
        assert (
            found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))
        ) == fields
        assert target.run("HPEXPIRETIME", "k", "FIELDS", "1", first) == [FAR_MS if expires else -1]

    @pytest.mark.parametrize("count", [1, 2, 100, 101, 350])
    @pytest.mark.parametrize("seed", range(3))
    def test_streams(self, count: int, seed: int) -> None:
        random = Random(seed)
        requests: list[list[Any]] = []
        for number in range(1, count + 1):
            fields = random.choice(
                [["a", str(number)], ["a", "1", "b", "x" * random.randrange(200)], ["c", ""]]
            )
            requests.append(["XADD", "k", f"{number}-{random.randrange(3)}", *fields])
        requests += [["XDEL", "k", "2-0", "2-1", "50-0", "50-2"], ["XGROUP", "CREATE", "k", "g", "0"]]
        if seed:
            requests += [
                ["XREADGROUP", "GROUP", "g", "bob", "COUNT", str(count // 2 + 1), "STREAMS", "k", ">"],
                ["XREADGROUP", "GROUP", "g", "al", "COUNT", "3", "STREAMS", "k", ">"],
                ["XGROUP", "CREATE", "k", "h", "1-1", "ENTRIESREAD", "-1"],
                ["XGROUP", "CREATECONSUMER", "k", "h", "idle"],
            ]
        source = Group()
        for request in requests:
            assert not isinstance(source.run(*request), Error), request
        target, _ = moved(*requests)
        for request in (["XRANGE", "k", "-", "+"], ["XINFO", "STREAM", "k", "FULL", "COUNT", "0"]):
            assert target.run(*request) == source.run(*request)
        assert target.run("XADD", "k", "*", "new", "entry") == source.run("XADD", "k", "*", "new", "entry")
        assert target.run("XTRIM", "k", "MAXLEN", "1") == source.run("XTRIM", "k", "MAXLEN", "1")

    def test_an_empty_stream(self) -> None:
        target, _ = moved(["XADD", "k", "5-1", "a", "b"], ["XTRIM", "k", "MAXLEN", "0"])
        assert target.run("XLEN", "k") == 0
        assert isinstance(target.run("XADD", "k", "5-1", "a", "b"), Error)

    def test_a_large_set_keeps_what_made_it_large(self) -> None:
        """A small hashtable is written as one and becomes what it would have been from the start, as in Redis."""
        source = Group()
        source.run("SADD", "k", *[f"m{number}" for number in range(200)])
        source.run("SREM", "k", *[f"m{number}" for number in range(100)])
        assert source.run("OBJECT", "ENCODING", "k") == b"hashtable"
        source.run("RESTORE", "l", "0", source.run("DUMP", "k"))
        assert source.run("OBJECT", "ENCODING", "l") == b"listpack"

    def test_a_restored_value_replaces_elements_and_expiry(self) -> None:
        group = Group()
        group.run("RPUSH", "k", *["x" * 50] * 100)
        group.run("EXPIRE", "k", "100")
        group.run("SADD", "s", "m")
        assert group.run("RESTORE", "k", "0", group.run("DUMP", "s"), "REPLACE") == OK
        assert group.run("SMEMBERS", "k").value == [b"m"]
        head = group.begin().head(b"k")
        assert head is not None
        assert head.expire_ms == 0

    def test_fields_past_their_time_are_left_out(self) -> None:
        group = Group()
        group.run("HSET", "k", "a", "1", "b", "2")
        group.run("HPEXPIRE", "k", "100", "FIELDS", "1", "a")
        dumped = group.run("DUMP", "k")
        group.now_ms += 100
        assert group.run("RESTORE", "l", "0", dumped) == OK
        assert group.run("HLEN", "l") == 1
        group.run("HDEL", "k", "b")
        assert group.run("DUMP", "k") is None


class TestListpack:
    @given(st.lists(texts, max_size=30))
    def test_what_was_encoded_is_decoded_and_as_large_as_foretold(self, elements: list[bytes]) -> None:
        data = listpack.encode(elements)
        assert listpack.decode(data) == elements
        assert len(data) == listpack_sizes.EMPTY_BYTES + sum(map(listpack_sizes.element_bytes, elements))

    @pytest.mark.parametrize("size", [16380, 16379, 16378, 16377, 2097145, 2097146, 2097147])
    def test_lengths_of_every_width(self, size: int) -> None:
        data = listpack.encode([b"x" * size, b"end"])
        assert listpack.decode(data) == [b"x" * size, b"end"]
        assert len(data) == listpack_sizes.EMPTY_BYTES + listpack_sizes.element_bytes(b"x" * size) + 5

    def test_a_count_of_65535_means_that_one_has_to_count(self) -> None:
        assert len(listpack.decode(listpack.encode([b"1"] * 70000))) == 70000


def ziplist(*elements: bytes) -> bytes:
    """A ziplist of elements as they are encoded, without the length of the one before."""
    body, before, last = b"", 0, 10
    for element in elements:
        last = 10 + len(body)
        entry = (bytes((before,)) if before < 254 else b"\xfe" + struct.pack("<I", before)) + element
        body += entry
        before = len(entry)
    return struct.pack("<IIH", 11 + len(body), last, len(elements)) + body + b"\xff"


ZIPPED = ziplist(
    b"\x01a", b"\xf1", b"\xfd", b"\xfe\x80", b"\xc0\xff\x7f", b"\xf0\x00\x00\x80", b"\xd0\xff\xff\xff\x7f",
    b"\xe0" + b"\xff" * 8, b"\x41\x2c" + b"x" * 300, b"\x80\x00\x00\x00\x02yz",
)  # fmt: skip
UNZIPPED = [b"a", b"0", b"12", b"-128", b"32767", b"-8388608", b"2147483647", b"-1", b"x" * 300, b"yz"]


class TestForms:
    """What other versions have written."""

    def restored(self, body: bytes) -> Group:
        group = Group()
        assert group.run("RESTORE", "k", "0", payload(body)) == OK
        return group

    def test_a_ziplist_of_every_kind_of_element(self) -> None:
        assert oldforms.decode_ziplist(ZIPPED) == UNZIPPED

    def test_plain_lists_ziplists_and_quicklists_of_ziplists(self) -> None:
        zipped = wire.raw_string(ZIPPED)
        for body, elements in (
            (b"\x01\x02\x01a\xc0\x05", [b"a", b"5"]),
            (b"\x0a" + zipped, UNZIPPED),
            (b"\x0e\x02" + zipped + zipped, UNZIPPED * 2),
        ):
            assert self.restored(body).run("LRANGE", "k", "0", "-1") == elements

    def test_a_list_of_large_and_empty_nodes(self) -> None:
        empty = listpack.encode([])
        nodes = (b"\x02" + wire.raw_string(empty), b"\x01" + wire.string(b"x" * 9000))
        group = self.restored(b"\x12\x02" + b"".join(nodes))
        assert group.run("LRANGE", "k", "0", "-1") == [b"x" * 9000]
        assert group.run("OBJECT", "ENCODING", "k") == b"quicklist"

    def test_hashes_as_zipmaps_and_ziplists(self) -> None:
        zipmap = b"\x02\x01a\x02\x01xy!\xfe\x03\x00\x00\x00bcd\x00\x00\xff"
        assert oldforms.decode_zipmap(zipmap) == [(b"a", b"xy"), (b"bcd", b"")]
        assert self.restored(b"\x09" + wire.raw_string(zipmap)).run("HGET", "k", "a") == b"xy"
        zipped = wire.raw_string(ziplist(b"\x01a", b"\xf2"))
        assert self.restored(b"\x0d" + zipped).run("HGET", "k", "a") == b"1"

    def test_sorted_sets_with_scores_as_text(self) -> None:
        group = self.restored(b"\x03\x03\x01a\x031.5\x01b\xfe\x01c\xff")
        assert group.run("ZRANGE", "k", "0", "-1") == [b"c", b"a", b"b"]
        zipped = wire.raw_string(ziplist(b"\x01a", b"\x04-1.5"))
        assert self.restored(b"\x0c" + zipped).run("ZSCORE", "k", "a") == -1.5

    def test_streams_of_redis_5_and_7_0(self) -> None:
        node = listpack.encode([1, 1, 1, b"f", 0, 3, 0, 0, b"gone", 4, 0, 1, 2, 1, b"g", b"v", 6])
        nodes = b"\x01" + wire.raw_string((7 << 64).to_bytes(16, "big")) + wire.raw_string(node)
        id_ = ((8 << 64) + 2).to_bytes(16, "big")
        pending = b"\x01" + id_ + wire.int64(1000) + b"\x03"
        group = b"\x01\x01g\x08\x02" + pending + b"\x01\x03bob" + wire.int64(2000) + b"\x01" + id_
        target = self.restored(b"\x0f" + nodes + b"\x01\x08\x02" + group)
        assert target.run("XRANGE", "k", "-", "+") == [[b"8-2", [b"g", b"v"]]]
        assert target.run("XPENDING", "k", "g") == [1, b"8-2", b"8-2", [[b"bob", b"1"]]]
        target = self.restored(b"\x13" + nodes + b"\x01\x08\x02\x08\x02\x07\x00\x02\x00")
        assert target.run("XINFO", "STREAM", "k")[b"max-deleted-entry-id"] == b"7-0"

    @pytest.mark.parametrize(
        "body",
        [
            b"\x02\x00",
            b"\x02\x02\x01a\x01a",
            b"\x01\x00",
            b"\x12\x01\x02" + wire.raw_string(listpack.encode([])),
            b"\x12\x01\x03" + wire.raw_string(listpack.encode([b"a"])),
            b"\x12\x01\x01\x00",
            b"\x0b" + wire.raw_string(struct.pack("<IIhh", 2, 2, 2, 1)),
            b"\x0b" + wire.raw_string(struct.pack("<IIhh", 2, 2, 1, 1)),
            b"\x0b" + wire.raw_string(struct.pack("<IIhh", 3, 2, 1, 2)),
            b"\x14" + wire.raw_string(listpack.encode([b"a", b"a"])),
            b"\x10" + wire.raw_string(listpack.encode([b"a"])),
            b"\x10" + wire.raw_string(listpack.encode([b"a", b"1", b"a", b"2"])),
            b"\x11" + wire.raw_string(listpack.encode([b"a", b"x"])),
            b"\x11" + wire.raw_string(listpack.encode([b"a", b"nan"])),
            b"\x03\x01\x01a\xfd",
            b"\x05\x01\x01a" + struct.pack("<d", float("nan")),
            b"\x05\x02\x01a" + wire.double(1.0) + b"\x01a" + wire.double(2.0),
            b"\x16\x01\x01a\x01b" + wire.int64(-2),
            b"\x06\x00",
            b"\x17\x00",
            b"\x01\x81" + b"\xff" * 8,
            b"\x05\x81" + b"\xff" * 8 + b"\x01a",
        ],
        ids=repr,
    )
    def test_what_is_no_value_is_refused(self, body: bytes) -> None:
        with pytest.raises(BadFormat):
            load(payload(body))


def samples() -> list[bytes]:
    """Bodies of each form that is read, uncompressed."""
    group = Group()
    group.run("RPUSH", "list", "a", "1", "x" * 70)
    group.run("RPUSH", "long", "a", *["y" * 3000] * 4, "z" * 9000)
    group.run("SADD", "set", "a", "b", "3")
    group.run("SADD", "intset", "1", "2", "70000")
    group.run("ZADD", "zset", "1", "a", "2.5", "b")
    group.run("ZADD", "skiplist", "1", "a", "2.5", "x" * 65)
    group.run("HSET", "hash", "a", "1", "b", "x")
    group.run("HSET", "table", "a", "1", "b", "x" * 65)
    group.run("HSET", "expiring", "a", "1", "b", "2")
    group.run("HPEXPIREAT", "expiring", str(FAR_MS), "FIELDS", "1", "a")
    for number in range(1, 5):
        group.run("XADD", "stream", f"{number}-1", "f" * (number // 3 + 1), "v")
    group.run("XGROUP", "CREATE", "stream", "g", "0")
    group.run("XREADGROUP", "GROUP", "g", "bob", "COUNT", "2", "STREAMS", "stream", ">")
    keys = ("list", "long", "set", "intset", "zset", "skiplist", "hash", "table", "expiring", "stream")
    zipped = wire.raw_string(ziplist(b"\x01a", b"\xf2", b"\x01b", b"\xc0\x00\x01"))
    return [
        *(group.run("DUMP", key)[:-10] for key in keys),
        *(bytes((form,)) + zipped for form in (10, 12, 13)),
        b"\x0e\x01" + zipped,
        b"\x09" + wire.raw_string(b"\x01\x01a\x01\x01x!\xff"),
        b"\x14" + wire.raw_string(listpack.encode([b"a", b"1"])),
    ]


SAMPLES = samples()


def restore(body: bytes) -> None:
    """Restore `body`: it is refused with the right error, or it is a value that can be dumped and deleted again."""
    group = Group()
    reply = group.run("RESTORE", "k", "0", payload(body, 80))
    if reply == OK:
        again = group.run("DUMP", "k")
        assert again is None or group.run("RESTORE", "l", "0", again) == OK
        group.run("DEL", "k")
    else:
        assert reply == BAD_FORMAT


class TestBroken:
    @pytest.mark.parametrize("body", SAMPLES, ids=lambda body: str(body[0]))
    def test_no_value_that_is_cut_short_or_too_long(self, body: bytes) -> None:
        step = max(len(body) // 300, 1)
        for size in (*range(0, len(body) - 1, step), len(body) - 1):
            with pytest.raises(BadFormat):
                load(payload(body[:size]))
        for more in (b"\0", b"\xff"):
            with pytest.raises(BadFormat):
                load(payload(body + more))

    @pytest.mark.parametrize("body", SAMPLES, ids=lambda body: str(body[0]))
    def test_every_byte_may_be_any_other(self, body: bytes) -> None:
        random = Random(len(body))
        for at in range(min(len(body), 250, 600_000 // len(body))):
            for byte in {
                0,
                0x7F,
                0x80,
                0x81,
                0xC3,
                0xFF,
                body[at] ^ 1 << random.randrange(8),
                body[at] + 1 & 0xFF,
            }:
                restore(body[:at] + bytes((byte,)) + body[at + 1 :])

    @given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=6))
    def test_many_bytes_may_be_others(self, body: bytes, changes: list[tuple[int, int]]) -> None:
        broken = bytearray(body)
        for at, byte in changes:
            broken[at % len(broken)] = byte
        restore(bytes(broken))

    @given(st.sampled_from(sorted({body[0] for body in SAMPLES})), st.binary(max_size=60))
    @example(18, b"\x81" + b"\xff" * 8)
    def test_any_bytes_behind_a_type(self, form: int, data: bytes) -> None:
        restore(bytes((form,)) + data)

    def test_a_bomb_is_refused_before_it_unfolds(self) -> None:
        small = b"\x00a" + b"\xe0\xff\x00" * 1000
        bomb = b"\xc3" + wire.length(len(small)) + wire.length(1 << 28) + small
        with pytest.raises(BadFormat):
            load(payload(b"\x02\x01" + bomb))
        with pytest.raises(BadFormat):
            Reader(bomb).string()
