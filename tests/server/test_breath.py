"""Work in slices: what takes long leaves the loop free, and ends when it is told to. Slices have no length here: every
breath is a pause."""

import pytest
import trio

from resp import encode
from server.keyspace import breath
from server.keyspace.breath import (
    Ended,
    TooLong,
    Work,
    begin_attempt,
    breathe,
    current,
    end_attempt,
    ordered,
    paced,
    rows_between_breaths,
)
from server.shard.work import in_slices
from tests.server.loop import turns_of_others


@pytest.fixture(autouse=True)
def no_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breath, "slice_s", 0.0)


def spin(breaths: int = 1_000_000) -> None:
    for _ in range(breaths):
        breathe()


def finish(work: Work) -> int:
    """The number of slices that it took."""
    slices = 1
    while not work.go_on():
        slices += 1
        assert current() is None
    return slices


def test_breathing_is_free_where_nobody_waits() -> None:
    spin(2)
    assert list(paced(iter(range(1000)))) == list(range(1000))


def test_work_goes_on_slice_by_slice() -> None:
    def run() -> bytes:
        spin(4)
        return b"done"

    work = Work(run)
    assert finish(work) == 5
    assert work.paused
    assert work.result() == b"done"


def test_what_the_function_raises_is_the_result() -> None:
    def run() -> bytes:
        spin(2)
        raise ValueError("no")

    work = Work(run)
    finish(work)
    with pytest.raises(ValueError, match="no"):
        work.result()


def test_two_works_take_turns() -> None:
    heard: list[str] = []

    def run(name: str) -> bytes:
        for _ in range(3):
            heard.append(name)
            breathe()
        return name.encode()

    works = [Work(lambda: run("a")), Work(lambda: run("b"))]
    left = list(works)
    while left:
        left = [work for work in left if not work.go_on()]
    assert [work.result() for work in works] == [b"a", b"b"]
    assert heard == ["a", "b", "a", "b", "a", "b"]


def test_an_ended_work_unwinds_and_cleans_up() -> None:
    cleaned: list[str] = []

    def run() -> bytes:
        try:
            spin()
        except Exception:  # what commands catch does not catch this
            cleaned.append("caught")
        finally:
            cleaned.append("finally")
        return b""

    work = Work(run)
    assert not work.go_on()
    work.end()
    assert cleaned == ["finally"]
    with pytest.raises(Ended):
        work.result()


def test_who_goes_on_after_the_end_is_told_again() -> None:
    told = 0

    def run() -> bytes:
        nonlocal told
        while told < 3:
            try:
                spin()
            except Ended:
                told += 1
        return b"at last"

    work = Work(run)
    assert not work.go_on()
    work.end()
    assert told == 3
    assert work.result() == b"at last"


def test_rows_breathe_within_a_scan() -> None:
    def run() -> bytes:
        return b"%d" % len(list(paced(iter(range(10 * rows_between_breaths)))))

    work = Work(run)
    assert finish(work) >= 10
    assert work.result() == b"%d" % (10 * rows_between_breaths)


def test_an_attempt_has_one_slice() -> None:
    begin_attempt()
    try:
        with pytest.raises(TooLong):
            spin()
    finally:
        end_attempt()
    spin(2)


def test_an_attempt_within_work_is_none() -> None:
    def run() -> bytes:
        begin_attempt()
        spin(3)
        end_attempt()
        assert current() is work
        return b"done"

    work = Work(run)
    assert finish(work) == 4
    assert work.result() == b"done"


async def test_a_long_reply_is_encoded_while_others_go_on() -> None:
    keys = [b"key:%d" % number for number in range(20_000)]
    async with turns_of_others() as turns:
        reply = await in_slices(lambda: encode([b"0", keys], 2))
    assert reply == b"*2\r\n$1\r\n0\r\n" + encode(keys, 2)
    assert turns.count > len(keys) // rows_between_breaths // 2


async def test_what_is_cancelled_between_two_slices_ends() -> None:
    ended = False

    def run() -> bytes:
        nonlocal ended
        try:
            spin()
        except Ended:
            ended = True
            raise
        return b""

    with trio.move_on_after(0):
        await in_slices(run)
    assert ended


@pytest.mark.parametrize("count", [0, 1, 8192, 30_000])
def test_much_is_sorted_in_parts(count: int) -> None:
    rows = [(number * 7919 % 1009, number) for number in range(count)]
    found: list[list[tuple[int, int]]] = []

    def run() -> bytes:
        found.append(ordered(iter(rows)))
        found.append(ordered(rows, key=lambda row: row[0]))
        return b""

    assert finish(Work(run)) >= count // rows_between_breaths
    assert found == [sorted(rows), sorted(rows, key=lambda row: row[0])]
