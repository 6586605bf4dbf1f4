"""Work in slices: what takes long leaves the loop free, and ends when it is told to."""

import time

import pytest

from server.keyspace.breath import (
    Ended,
    TooLong,
    Work,
    begin_attempt,
    breathe,
    current,
    end_attempt,
    paced,
    slice_s,
)


def spin(seconds: float) -> None:
    """Keep the loop, with breaths."""
    until_s = time.perf_counter() + seconds
    while time.perf_counter() < until_s:
        breathe()


def finish(work: Work) -> int:
    """The number of slices that it took."""
    slices = 1
    while not work.go_on():
        slices += 1
        assert current() is None
    return slices


def test_breathing_is_free_where_nobody_waits() -> None:
    spin(2 * slice_s)
    assert list(paced(iter(range(1000)))) == list(range(1000))


def test_work_goes_on_slice_by_slice() -> None:
    def run() -> bytes:
        spin(4 * slice_s)
        return b"done"

    work = Work(run)
    assert finish(work) >= 3
    assert work.paused
    assert work.result() == b"done"


def test_what_the_function_raises_is_the_result() -> None:
    def run() -> bytes:
        spin(2 * slice_s)
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
            spin(slice_s * 1.1)
        return name.encode()

    works = [Work(lambda: run("a")), Work(lambda: run("b"))]
    left = list(works)
    while left:
        left = [work for work in left if not work.go_on()]
    assert [work.result() for work in works] == [b"a", b"b"]
    assert heard.index("b") < len(heard) - 1 - heard[::-1].index("a"), heard


def test_an_ended_work_unwinds_and_cleans_up() -> None:
    cleaned: list[str] = []

    def run() -> bytes:
        try:
            spin(60)
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
                spin(60)
            except Ended:
                told += 1
        return b"at last"

    work = Work(run)
    assert not work.go_on()
    work.end()
    assert told == 3
    assert work.result() == b"at last"


def test_rows_breathe_within_a_scan() -> None:
    def rows() -> object:
        for number in range(3000):
            time.sleep(0.00001)
            yield number

    def run() -> bytes:
        return b"%d" % len(list(paced(iter(rows()))))  # type: ignore[call-overload]

    work = Work(run)
    assert finish(work) > 2
    assert work.result() == b"3000"


def test_an_attempt_has_one_slice() -> None:
    begin_attempt()
    try:
        with pytest.raises(TooLong):
            spin(60)
    finally:
        end_attempt()
    spin(2 * slice_s)


def test_an_attempt_within_work_is_none() -> None:
    def run() -> bytes:
        begin_attempt()
        spin(3 * slice_s)
        end_attempt()
        assert current() is work
        return b"done"

    work = Work(run)
    assert finish(work) > 1
    assert work.result() == b"done"
