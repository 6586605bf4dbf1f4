"""HyperLogLogs: the quick ways through all registers against the slow ones, and what a transcript can not show."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import CommandError
from server.types import hyperloglog as hll
from tests.server.harness import Group

SEEDS = range(5)


def some_registers(seed: int) -> bytes:
    random = Random(seed)
    return bytes(random.choice((0, 0, 1, 2, 31, 63, random.randrange(64))) for _ in range(hll.REGISTERS))


def slowly_packed(each: bytes) -> bytes:
    number = 0
    for value in reversed(each):
        number = number << hll.REGISTER_BITS | value
    return number.to_bytes(hll.DENSE_BYTES - hll.HEADER_BYTES, "little")


def dense(each: bytes) -> bytearray:
    value = hll.new()
    hll.make_dense(value)
    value[hll.HEADER_BYTES :] = hll.pack(each)
    return value


@pytest.mark.parametrize("seed", SEEDS)
def test_packing_is_six_bits_each_lowest_first(seed: int) -> None:
    each = some_registers(seed)
    assert hll.pack(each) == slowly_packed(each)
    assert hll.registers(dense(each)) == each


@pytest.mark.parametrize("seed", SEEDS)
def test_merging_takes_the_larger(seed: int) -> None:
    a, b = some_registers(seed), some_registers(seed + 100)
    assert hll.merge([bytes(dense(a)), bytes(dense(b))]) == bytes(map(max, a, b))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, hll.REGISTERS - 1) | st.integers(0, 12), st.integers(1, 51))))
def test_sparse_and_dense_registers_are_the_same(raised: list[tuple[int, int]]) -> None:
    model = bytearray(hll.REGISTERS)
    values = [hll.new(), dense(bytes(hll.REGISTERS))]
    for index, count in raised:
        for value in values:
            assert hll.raise_register(value, index, count) == (model[index] < count)
        model[index] = max(model[index], count)
    assert [hll.registers(value) for value in values] == [model, model]


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 3))),
    st.dictionaries(st.integers(0, 60), st.sampled_from([1, 1, 1, 2, 2, 3, 33])),
)
def test_raising_all_in_order_is_raising_one_after_the_other(
    before: list[tuple[int, int]], raised: dict[int, int]
) -> None:
    one_by_one, at_once = hll.new(), hll.new()
    for index, count in before:
        hll.raise_register(one_by_one, index, count)
        hll.raise_register(at_once, index, count)
    for index in sorted(raised):
        hll.raise_register(one_by_one, index, raised[index])
    hll.raise_registers(at_once, bytes(raised.get(index, 0) for index in range(hll.REGISTERS)))
    assert at_once == one_by_one


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 200), max_size=30),
    st.lists(st.lists(st.integers(0, 10**6) | st.integers(0, 200), max_size=300), max_size=4),
)
def test_adding_many_is_adding_one_after_the_other(before: list[int], then: list[list[int]]) -> None:
    one_by_one, at_once = hll.new(), hll.new()
    for elements in [before, *then]:
        words = [b"%d" % element for element in elements]
        changed = [hll.add(one_by_one, [word]) for word in words]
        assert hll.add(at_once, words) == any(changed)
        assert at_once == one_by_one


def test_a_value_becomes_dense_at_the_same_element_however_they_are_added() -> None:
    words = [b"%d" % number for number in range(2200)]
    one_by_one, at_once = hll.new(), hll.new()
    for end in range(100, len(words) + 1, 100):
        assert not hll.is_dense(one_by_one) or end > 1000
        for word in words[end - 100 : end]:
            hll.add(one_by_one, [word])
        hll.add(at_once, words[end - 100 : end])
        assert at_once == one_by_one
    assert hll.is_dense(at_once)


def test_registers_that_can_not_be_are_an_error_and_no_bug() -> None:
    group = Group()
    group.run("SET", "k", bytes(dense(bytes((63,)) * hll.REGISTERS)[:15]) + b"\x80" + b"\xff" * 12288)
    assert group.run("PFCOUNT", "k").text == hll.CORRUPTED
    group.run("SET", "k", bytes(hll.new())[:15] + b"\x80\x7f")
    assert group.run("PFCOUNT", "k").text == hll.CORRUPTED
    many = bytes(hll.new())[:15] + b"\x80" + b"\x7f\xff" * 1_000_000
    with pytest.raises(CommandError):
        hll.registers(many)


def test_a_count_is_taken_once_after_a_change() -> None:
    group = Group()
    group.run("PFADD", "k", *map(str, range(1000)))
    counted = group.run("PFCOUNT", "k")
    assert abs(counted - 1000) < 30
    assert len(group.written) == 1
    assert group.run("PFCOUNT", "k") == counted
    assert group.written == {}
    assert group.run("PFADD", "k", "1", "2") == 0
    assert group.written == {}
