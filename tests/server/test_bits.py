"""Bits against the simplest models there are: text of noughts and ones, and Python's integers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp.values import Error
from server.types import bitfield, bits
from server.types.bitfield import Action, Overflow, Step
from tests.server.harness import Group

values = st.one_of(
    st.binary(max_size=12),
    # Long runs of one byte, across the pieces that long strings are cut into.
    st.builds(
        lambda fill, count, middle, after: bytes([fill]) * count + middle + bytes([fill]) * after,
        st.sampled_from([0, 255]),
        st.sampled_from([0, 3, 65_535, 65_536, 131_080]),
        st.binary(max_size=3),
        st.integers(0, 3),
    ),
)


def as_text(value: bytes) -> str:
    return bin(int.from_bytes(b"\1" + value, "big"))[3:]


@st.composite
def ranges(draw: st.DrawFn) -> tuple[bytes, int, int]:
    value = draw(values)
    edges = st.one_of(
        st.integers(0, len(value) * 8), st.integers(max(0, len(value) * 8 - 40), len(value) * 8)
    )
    first, stop = sorted((draw(edges), draw(edges)))
    return value, first, stop


@given(ranges())
def test_count_counts_the_ones_of_a_range(case: tuple[bytes, int, int]) -> None:
    value, first, stop = case
    assert bits.count(value, first, stop) == as_text(value)[first:stop].count("1")


@given(ranges(), st.sampled_from([0, 1]))
def test_find_finds_the_first_bit_of_a_range(case: tuple[bytes, int, int], bit: int) -> None:
    value, first, stop = case
    assert bits.find(value, bit, first, stop) == as_text(value).find(str(bit), first, stop)


@given(values, st.integers(0, 200))
def test_get_reads_one_bit_and_zeros_behind_the_end(value: bytes, offset: int) -> None:
    assert bits.get(value, offset) == int((as_text(value) + "0" * 201)[offset])


@given(st.binary(max_size=12), st.integers(0, 200), st.sampled_from([0, 1]))
def test_put_changes_one_bit_and_tells_what_it_was(value: bytes, offset: int, bit: int) -> None:
    group = Group()
    group.run("SET", "k", value)
    length = max(len(value), offset // 8 + 1)
    text = as_text(value.ljust(length, b"\0"))
    assert bits.put(group.begin(), b"k", offset, bit) == int(text[offset])
    group.commit()
    assert as_text(group.run("GET", "k")) == text[:offset] + str(bit) + text[offset + 1 :]


@given(st.lists(values, min_size=1, max_size=4), st.sampled_from(list(bits.Operation)))
def test_combine_works_bit_by_bit(operands: list[bytes], operation: bits.Operation) -> None:
    result = bits.combine(operation, operands)
    size = len(operands[0]) if operation is bits.Operation.NOT else max(map(len, operands))
    numbers = [int.from_bytes(operand.ljust(size, b"\0"), "big") for operand in operands]
    expected = numbers[0]
    for number in numbers[1:]:
        if operation is bits.Operation.AND:
            expected &= number
        elif operation is bits.Operation.OR:
            expected |= number
        elif operation is bits.Operation.XOR:
            expected ^= number
    if operation is bits.Operation.NOT:
        expected = numbers[0] ^ ((1 << 8 * size) - 1)
    assert result == expected.to_bytes(size, "big")


@st.composite
def steps(draw: st.DrawFn) -> Step:
    signed = draw(st.booleans())
    width = draw(st.integers(1, 64 if signed else 63))
    return Step(
        draw(st.sampled_from(list(Action))),
        signed,
        width,
        draw(st.integers(0, 100)),
        draw(st.one_of(st.integers(-300, 300), st.integers(-(2**62), 2**62))),
        draw(st.sampled_from(list(Overflow))),
    )


@given(st.binary(max_size=12), st.lists(steps(), max_size=5))
def test_a_field_reads_as_it_was_written_and_its_neighbours_stay(value: bytes, program: list[Step]) -> None:
    group = Group()
    group.run("SET", "k", value)
    for step in program:
        before = as_text(group.run("GET", "k").ljust(30, b"\0"))
        reading = step._replace(action=Action.GET)
        (old,) = bitfield.run(group.begin(), b"k", [reading])
        (reply,) = bitfield.run(group.begin(), b"k", [step])
        group.commit()
        after = as_text(group.run("GET", "k").ljust(30, b"\0"))
        (new,) = bitfield.run(group.begin(), b"k", [reading])
        assert old is not None
        assert new is not None
        wanted = {Action.GET: old, Action.SET: step.operand, Action.INCREMENT: old + step.operand}[
            step.action
        ]
        low = -(2 ** (step.width - 1)) if step.signed else 0
        high = low + 2**step.width - 1
        if low <= wanted <= high:
            assert new == wanted
        elif step.overflow is Overflow.WRAP:
            assert (new - wanted) % 2**step.width == 0
        elif step.overflow is Overflow.FAIL:
            assert (new, reply) == (old, None)
        else:
            # As in Redis, SET takes a negative operand of an unsigned field for a large one.
            top = wanted > high or (step.action is Action.SET and not step.signed)
            assert new == (high if top else low)
        if reply is not None:
            assert reply == (new if step.action is Action.INCREMENT else old)
        stop = step.offset + step.width
        assert (before[: step.offset], before[stop:]) == (after[: step.offset], after[stop:])


def test_a_setbit_that_changes_nothing_writes_nothing() -> None:
    group = Group()
    group.run("SETBIT", "k", "7", "1")
    assert group.run("SETBIT", "k", "7", "1") == 1
    assert group.written == {}
    assert group.run("SETBIT", "k", "8", "0") == 0
    assert len(group.written) == 1


def test_a_bitfield_that_changes_nothing_writes_nothing() -> None:
    group = Group()
    group.run("SET", "k", "abc")
    assert group.run("BITFIELD", "k", "SET", "u8", "0", "97", "INCRBY", "u8", "8", "0") == [97, 98]
    assert group.written == {}
    assert group.run("BITFIELD", "missing", "GET", "u8", "0") == [0]
    assert group.written == {}


@pytest.mark.parametrize(
    "offset", ["#2305843009213693952", "#9223372036854775807", "#536870912", "4294967296"]
)
def test_a_field_beyond_the_longest_string_is_refused(offset: str) -> None:
    group = Group()
    refusal = Error(b"ERR bit offset is not an integer or out of range")
    assert group.run("BITFIELD", "k", "GET", "u8", offset) == refusal


def test_a_set_of_the_most_negative_numbers_saturates_at_the_top_as_in_redis() -> None:
    group = Group()
    group.run(
        "BITFIELD", "k", "OVERFLOW", "SAT", "SET", "i8", "0", str(-(2**63)), "SET", "i8", "8", "-1000000"
    )
    assert group.run("BITFIELD", "k", "GET", "i8", "0", "GET", "i8", "8") == [127, -128]


def test_bitop_over_megabytes() -> None:
    group = Group()
    group.run("MSET", "a", b"\xf0" * 3_000_000, "b", b"\x3c" * 2_000_001)
    assert group.run("BITOP", "XOR", "d", "a", "b") == 3_000_000
    assert group.run("GET", "d") == b"\xcc" * 2_000_001 + b"\xf0" * 999_999
    assert group.run("BITCOUNT", "d") == 4 * 3_000_000
    assert group.run("BITPOS", "d", "0", "2000001") == 2_000_001 * 8 + 4
