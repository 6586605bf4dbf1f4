"""Strings against the simplest model there is: Python's own bytes."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from server.errors import CommandError
from server.types import lcs, longdouble, strings
from server.types.numbers import parse_int64
from tests.server.harness import Group

values = st.binary(max_size=40)
indexes = st.integers(-60, 60)


def group_with(value: bytes) -> Group:
    group = Group()
    group.run("SET", "k", value)
    return group


@given(st.lists(values, min_size=1, max_size=6))
def test_appends_add_up(tails: list[bytes]) -> None:
    group = Group()
    for count, tail in enumerate(tails, 1):
        assert strings.append(group.begin(), b"k", tail) == len(b"".join(tails[:count]))
        group.commit()
    assert group.run("GET", "k") == b"".join(tails)


@given(values, st.integers(0, 80), values)
def test_set_range_is_a_slice_assignment_over_zeros(value: bytes, offset: int, patch: bytes) -> None:
    group = group_with(value)
    model = bytearray(value)
    if patch:
        model.extend(bytes(max(0, offset - len(model))))
        model[offset : offset + len(patch)] = patch
    assert strings.set_range(group.begin(), b"k", offset, patch) == len(model)
    group.commit()
    assert group.run("GET", "k") == model


@given(values, indexes, indexes)
def test_a_span_holds_the_indexes_between_start_and_end(value: bytes, start: int, end: int) -> None:
    first, stop = strings.span(len(value), start, end)
    low = start + len(value) if start < 0 else start
    high = end + len(value) if end < 0 else end
    if start < 0 and end < 0 and start > end:
        assert first == stop
    else:
        # Redis moves even an end before the beginning to the beginning.
        expected = [index for index in range(len(value)) if max(low, 0) <= index <= max(high, 0)]
        assert list(range(first, stop)) == expected


@given(st.integers(-(2**64), 2**64))
def test_integers_of_64_bits_are_read_and_no_others(number: int) -> None:
    expected = number if -(2**63) <= number < 2**63 else None
    assert parse_int64(b"%d" % number) == expected


@given(st.text(alphabet="0123456789+- .ae", max_size=6))
def test_only_the_text_that_an_integer_prints_as_is_an_integer(text: str) -> None:
    number = parse_int64(text.encode())
    if number is not None:
        assert str(number) == text
    else:
        assert (
            not text.lstrip("-").isdigit()
            or str(int(text.lstrip("-"))) != text.removeprefix("-")
            or text == "-0"
        )


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_counters_add_or_refuse_and_never_wrap(value: int, delta: int) -> None:
    group = group_with(b"%d" % value)
    total = value + delta
    try:
        assert strings.add_integer(group.begin(), b"k", delta) == total
    except CommandError:
        assert not -(2**63) <= total < 2**63
        group.view.rollback()
        total = value
    group.commit()
    assert group.run("GET", "k") == b"%d" % total


@given(st.integers(-(2**63), 2**63), st.integers(-(2**62), 2**62))
def test_integers_of_64_bits_lose_nothing_as_long_doubles(left: int, right: int) -> None:
    a, b = longdouble.parse(b"%d" % left), longdouble.parse(b"%d" % right)
    assert a is not None
    assert b is not None
    assert longdouble.render(a) == b"%d" % left
    total = longdouble.add(a, b)
    assert total is not None
    if abs(left + right) <= 2**64:
        assert longdouble.render(total) == b"%d" % (left + right)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_is_exactly_a_long_double(number: float) -> None:
    exact = longdouble.parse(number.hex().encode())
    assert exact is not None
    mantissa, exponent = exact
    numerator, denominator = number.as_integer_ratio()
    assert mantissa * 2 ** max(exponent, 0) * denominator == numerator * 2 ** max(-exponent, 0)
    assert longdouble.parse(b"%d" % int(number)) == longdouble.parse(b"%d.0" % int(number))


def test_the_largest_long_double_prints_all_its_digits() -> None:
    # Python refuses to turn so long an integer into text.
    largest = longdouble.parse(b"0x1.fffffffffffffffep16383")
    assert largest is not None
    text = longdouble.render(largest)
    assert len(text) == 4933
    assert text.startswith(b"118973149535723176502126385303097020516906332229462420044032373389173700552297")
    assert longdouble.parse(text) == largest
    assert longdouble.add(largest, largest) is None


def longest(a: bytes, b: bytes) -> int:
    """The table that everybody learns."""
    above = [0] * (len(b) + 1)
    for x in a:
        row = [0]
        for column, y in enumerate(b):
            row.append(above[column] + 1 if x == y else max(above[column + 1], row[column]))
        above = row
    return above[-1]


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(1, 255))
def test_lcs_is_common_and_the_longest(a: bytes, b: bytes, letters: int) -> None:
    a, b = (bytes(byte % letters for byte in text) for text in (a, b))
    found, matches = lcs.subsequence(a, b)
    assert len(found) == longest(a, b) == lcs.length(a, b)
    assert b"".join(a[match.a_first : match.a_last + 1] for match in reversed(matches)) == found
    assert b"".join(b[match.b_first : match.b_last + 1] for match in reversed(matches)) == found
    for later, earlier in pairwise(matches):
        assert earlier.a_last < later.a_first
        assert earlier.b_last < later.b_first


def test_lcs_of_ten_thousand_bytes_needs_no_table_of_a_hundred_million() -> None:
    # A loop over the table would take minutes, and the timeout of the tests would end it.
    random = Random(1)
    a, b = random.randbytes(10_000), random.randbytes(10_000)
    found, _ = lcs.subsequence(a, b)
    assert len(found) == lcs.length(a, b)
