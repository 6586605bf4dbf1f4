"""DUMP and RESTORE: Redis's payload, its checksum and its compression."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp.values import OK, Error
from server.types.crc64 import crc64
from server.types.dump import BadFormat, WrongChecksum, load
from server.types.lzf import compress, decompress
from server.types.rdb.strings import StringValue
from tests.server.harness import Group

BAD_CHECKSUM = Error(b"ERR DUMP payload version or checksum are wrong")
BAD_FORMAT = Error(b"ERR Bad data format")
BUSY = Error(b"BUSYKEY Target key name already exists.")

# What a Valkey 9.1 answered to DUMP.
FROM_VALKEY = {
    b"": b"\x00\x00P\x00\x92\xb1\x95\xd1\x91-\xc5.",
    b"127": b'\x00\xc0\x7fP\x00\xc2\x9f"\xa0\xcc\x06\xa2\xe0',
    b"128": b"\x00\xc1\x80\x00P\x00$Pz$\x8e\x9d,\x91",
    b"-128": b"\x00\xc0\x80P\x00VL\xfb\xfc\xb1^<-",
    b"-129": b"\x00\xc1\x7f\xffP\x00\xd8JK\xb9\xca\xd2\xe3t",
    b"32767": b"\x00\xc1\xff\x7fP\x00\x86p\xfeK\x89\xa6\xb2\xdf",
    b"32768": b"\x00\xc2\x00\x80\x00\x00P\x00\x8a\xf2\xe7|K\xef\xce\xe4",
    b"2147483647": b"\x00\xc2\xff\xff\xff\x7fP\x00\xe3^,\x0f~|\xcaU",
    b"2147483648": b"\x00\n2147483648P\x00(\x9b\xe02\xd2O\x11\x1a",
    b"-2147483648": b"\x00\xc2\x00\x00\x00\x80P\x00\x08eN\xaf\xad\x07\xe6s",
    b"x" * 20: b"\x00\x14xxxxxxxxxxxxxxxxxxxxP\x00\x94\x16H};\xde\xa2\x9f",
    b"x" * 21: b"\x00\xc3\x06\x15\x01xx\xe0\n\x00P\x00[0J\xf6\xfeE~\xdb",
    b"x" * 100: b"\x00\xc3\t@d\x01xx\xe0W\x00\x01xxP\x00\x92\x9d?\xf2%Z\x05\xab",
}
FROM_REDIS_7_0 = b"\x00\x03abc\n\x00\xd9\xac0=Ar\xa2\xe2"


def dump(value: bytes) -> bytes:
    """The payload of a string."""
    group = Group()
    group.run("SET", "k", value)
    dumped = group.run("DUMP", "k")
    assert isinstance(dumped, bytes)
    return dumped


def payload(body: bytes, version: int = 80) -> bytes:
    """`body` with a right footer."""
    covered = body + version.to_bytes(2, "little")
    return covered + crc64(covered).to_bytes(8, "little")


# Texts that compress: a few letters, repeated pieces.
texts = st.one_of(
    st.binary(max_size=200),
    st.text("ab", max_size=400).map(str.encode),
    st.builds(
        lambda piece, times, end: piece * times + end,
        st.binary(min_size=1, max_size=40),
        st.integers(1, 60),
        st.binary(max_size=5),
    ),
)


class TestPayload:
    @pytest.mark.parametrize(("value", "dumped"), FROM_VALKEY.items(), ids=repr)
    def test_a_dump_is_byte_for_byte_valkeys_of_an_older_version(self, value: bytes, dumped: bytes) -> None:
        assert dump(value) == payload(dumped[:-10], 10)

    @pytest.mark.parametrize(("value", "dumped"), FROM_VALKEY.items(), ids=repr)
    def test_valkeys_dump_is_read(self, value: bytes, dumped: bytes) -> None:
        assert load(dumped) == StringValue(value)

    def test_redis_7_0s_dump_is_read(self) -> None:
        assert load(FROM_REDIS_7_0) == StringValue(b"abc")

    @given(texts)
    def test_what_was_dumped_is_loaded(self, value: bytes) -> None:
        assert load(dump(value)) == StringValue(value)

    @pytest.mark.parametrize("size", [63, 64, 16383, 16384, 70000])
    def test_every_width_of_length_is_read_back(self, size: int) -> None:
        value = bytes(at * at >> 3 & 0xFF for at in range(size))
        assert load(dump(value)) == StringValue(value)

    def test_a_64_bit_length_is_read(self) -> None:
        assert load(payload(b"\x00\x81\x00\x00\x00\x00\x00\x00\x00\x03abc")) == StringValue(b"abc")

    @pytest.mark.parametrize("version", [1, 9, 10, 11, 80])
    def test_versions_of_redis_to_7_2_and_valkey_9_are_read(self, version: int) -> None:
        assert load(payload(b"\x00\x03abc", version)) == StringValue(b"abc")

    @pytest.mark.parametrize("version", [0, 12, 13, 79, 81, 256, 0x5050])
    def test_other_versions_are_refused(self, version: int) -> None:
        with pytest.raises(WrongChecksum):
            load(payload(b"\x00\x03abc", version))

    @given(value=texts, at=st.integers(0), bit=st.integers(0, 7))
    def test_any_flipped_bit_is_noticed(self, value: bytes, at: int, bit: int) -> None:
        broken = bytearray(dump(value))
        broken[at % len(broken)] ^= 1 << bit
        with pytest.raises(WrongChecksum):
            load(bytes(broken))

    @given(st.binary(max_size=9))
    def test_what_has_no_room_for_a_footer_is_refused(self, data: bytes) -> None:
        with pytest.raises(WrongChecksum):
            load(data)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"\x00",
            b"\x63abc",
            b"\x00\x04abc",
            b"\x00\x02abc",
            b"\x00\x40",
            b"\x00\x80\x00\x00\x03abc",
            b"\x00\x82\x03abc",
            b"\x00\xc0",
            b"\x00\xc1\x00",
            b"\x00\xc0\x00\x00",
            b"\x00\xc4\x00",
            b"\x00\xc3",
            b"\x00\xc3\x04",
            b"\x00\xc3\x04\x05\x00a\x40",
            b"\x00\xc3\x04\x05\x00a\x40\x00\x00",
            b"\x00\xc3\x04\x06\x00a\x40\x00",
            b"\x00\xc3\x04\x81\xff\xff\xff\xff\xff\xff\xff\xff\x00a\x40\x00",
        ],
    )
    def test_a_value_that_is_none_is_refused_whatever_its_checksum(self, body: bytes) -> None:
        with pytest.raises(BadFormat):
            load(payload(body))

    @given(st.binary(max_size=40))
    def test_random_bodies_are_values_or_refused(self, body: bytes) -> None:
        try:
            value = load(payload(b"\x00" + body))
        except BadFormat:
            return
        assert isinstance(value, StringValue)
        assert load(dump(value.value)) == value

    def test_long_values_are_dumped_as_they_are(self) -> None:
        """Compressing them would hold the loop."""
        value = b"x" * 20000
        assert dump(value).startswith(b"\x00\x80\x00\x00\x4e\x20" + value)


class TestCrc64:
    def test_the_check_value_of_the_polynomial(self) -> None:
        assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA

    @pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 17407, 17408, 50000])
    def test_a_long_text_sums_up_as_its_parts_do(self, size: int) -> None:
        """Parts are short enough to go byte by byte, the whole goes lane by lane."""
        data = bytes(at * 7919 >> 5 & 0xFF for at in range(size))
        parts = 0
        for at in range(0, size, 1000):
            parts = crc64(data[at : at + 1000], parts)
        assert crc64(data) == parts

    def test_a_long_text_goes_on_from_a_sum(self) -> None:
        data = bytes(at * 31 & 0xFF for at in range(40000))
        assert crc64(data[5:], crc64(data[:5])) == crc64(data)


class TestLzf:
    @given(texts)
    def test_what_was_compressed_is_decompressed(self, text: bytes) -> None:
        small = compress(text, 2 * len(text) + 10)
        assert small is not None
        assert decompress(small, len(text)) == text

    @given(text=texts, size_max=st.integers(0, 500))
    def test_the_result_keeps_within_the_limit_or_is_none(self, text: bytes, size_max: int) -> None:
        small = compress(text, size_max)
        assert small is None or len(small) <= size_max

    def test_a_copy_may_overlap_what_it_makes(self) -> None:
        assert decompress(b"\x01ab\xe0\x01\x01", 12) == b"ab" * 6

    def test_copies_reach_eight_kilobytes_back_and_no_further(self) -> None:
        literals = bytes(at * at * 31 >> 4 & 0xFF for at in range(8192))
        runs = b"".join(b"\x1f" + literals[at : at + 32] for at in range(0, 8192, 32))
        assert decompress(runs + b"\x3f\xff", 8195) == literals + literals[:3]
        for gap in (8192 - 10, 8192 - 9):
            text = b"-0123456789" + bytes(gap - 1) + b"!" + b"0123456789"
            small = compress(text, len(text))
            assert small is not None
            assert (b"0123456789" in small[20:]) == (gap == 8192 - 9)

    @given(data=st.binary(max_size=60), size=st.integers(0, 300))
    def test_random_tokens_are_a_text_of_that_size_or_refused(self, data: bytes, size: int) -> None:
        try:
            text = decompress(data, size)
        except ValueError:
            return
        assert len(text) == size

    @pytest.mark.parametrize(
        "data", [b"\x02ab", b"\x00a\x40", b"\x00a\xe0", b"\x00a\xe0\x00", b"\x00a\x40\x01", b"\x20\x00"]
    )
    def test_tokens_cut_short_or_reaching_too_far_back_are_refused(self, data: bytes) -> None:
        with pytest.raises(ValueError, match=r"copy|cut short"):
            decompress(data, 12)

    def test_a_bomb_ends_where_the_claimed_size_ends(self) -> None:
        with pytest.raises(ValueError, match="more than"):
            decompress(b"\x00a" + b"\xe0\xff\x00" * 10_000_000, 1000)


class TestRestore:
    def setup_method(self) -> None:
        self.group = Group()
        self.group.run("SET", "old", "value")

    def run(self, *args: str | bytes) -> Any:
        return self.group.run(*args)

    def test_a_dumped_value_is_restored_under_another_key(self) -> None:
        dumped = self.run("DUMP", "old")
        assert self.run("RESTORE", "new", "0", dumped) == OK
        assert self.run("GET", "new") == b"value"
        assert self.group.begin().expires_count() == 0

    def test_there_is_no_dump_of_no_key(self) -> None:
        assert self.run("DUMP", "nosuch") is None

    def test_a_key_that_is_there_is_only_replaced_on_request(self) -> None:
        assert self.run("RESTORE", "old", "0", FROM_REDIS_7_0) == BUSY
        assert self.run("GET", "old") == b"value"
        assert self.run("RESTORE", "old", "0", FROM_REDIS_7_0, "replace") == OK
        assert self.run("GET", "old") == b"abc"

    def test_a_key_past_its_time_is_no_busy_key(self) -> None:
        self.run("SET", "old", "value", "PX", "10")
        self.group.now_ms += 10
        assert self.run("RESTORE", "old", "0", FROM_REDIS_7_0) == OK
        assert self.run("GET", "old") == b"abc"

    def test_the_time_to_live_counts_from_now_or_is_absolute(self) -> None:
        now_ms = self.group.now_ms
        self.run("RESTORE", "relative", "1500", FROM_REDIS_7_0)
        self.run("RESTORE", "absolute", str(now_ms + 1500), FROM_REDIS_7_0, "ABSTTL")
        view = self.group.begin()
        for key in (b"relative", b"absolute"):
            head = view.head(key)
            assert head is not None
            assert head.expire_ms == now_ms + 1500

    @pytest.mark.parametrize("ttl", [["5", "ABSTTL"], ["9223372036854775807"]], ids=["past", "overflow"])
    def test_what_is_over_already_only_removes_what_was_there(self, ttl: list[str]) -> None:
        request = ["old", ttl[0], FROM_REDIS_7_0, "REPLACE", *ttl[1:]]
        assert self.run("RESTORE", *request) == OK
        assert self.run("GET", "old") is None
        assert self.group.begin().key_count() == 0

    @pytest.mark.parametrize(
        ("request_", "error"),
        [
            (["old", "-1", b"bad"], BUSY),
            (["new", "-1", b"bad"], Error(b"ERR Invalid TTL value, must be >= 0")),
            (["new", "x", b"bad"], Error(b"ERR value is not an integer or out of range")),
            (["new", "0", b"bad"], BAD_CHECKSUM),
            (["new", "0", payload(b"\x00\x04abc")], BAD_FORMAT),
            (["old", "0", b"bad", "BOGUS"], Error(b"ERR syntax error")),
            (["old", "0", b"bad", "IDLETIME"], Error(b"ERR syntax error")),
            (["old", "0", b"bad", "IDLETIME", "-1"], Error(b"ERR Invalid IDLETIME value, must be >= 0")),
            (["old", "0", b"bad", "FREQ", "256"], Error(b"ERR Invalid FREQ value, must be >= 0 and <= 255")),
            (["old", "0", b"bad", "FREQ", "1", "IDLETIME", "1"], Error(b"ERR syntax error")),
        ],
        ids=repr,
    )
    def test_errors_come_in_redis_order_and_change_nothing(
        self, request_: list[str | bytes], error: Error
    ) -> None:
        assert self.run("RESTORE", *request_) == error
        assert self.run("GET", "old") == b"value"
        assert self.group.begin().key_count() == 1

    def test_it_has_been_idle_for_so_long(self) -> None:
        assert self.run("RESTORE", "a", "0", FROM_REDIS_7_0, "IDLETIME", "1000") == OK
        assert self.run("OBJECT", "IDLETIME", "a") == 1000
        assert self.run("RESTORE", "a", "0", FROM_REDIS_7_0, "REPLACE") == OK
        assert self.run("OBJECT", "IDLETIME", "a") == 0

    def test_a_frequency_is_taken(self) -> None:
        assert self.run("RESTORE", "b", "0", FROM_REDIS_7_0, "FREQ", "255") == OK
