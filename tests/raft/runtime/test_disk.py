"""What is done with the log store, one thing after another: by the kernel, or by the disk thread."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from raft.runtime.disk import Disk
from raft.runtime.workers import Completions
from raft.storage import GroupWrite, LogFailed

A, B = ([GroupWrite(number)] for number in (1, 2))


class Store:
    """Notes what is asked of it. `answers` are those of the kernel, True when there are none."""

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.can_begin = True
        self.answers: list[bool | LogFailed | None] = []

    def begin_persist(self, writes: Sequence[GroupWrite], eventfd: int) -> bool:
        if self.can_begin:
            self.events.append(f"begin {writes[0].group_id}")
        return self.can_begin

    def end_persist(self, *, wait: bool = False) -> bool | None:
        while wait and self.answers and self.answers[0] is None:
            del self.answers[0]
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, LogFailed):
            raise answer
        self.events.append(f"end {answer}")
        return answer

    def persist(self, writes: Sequence[GroupWrite]) -> None:
        self.events.append(f"thread {writes[0].group_id}")


class Bench:
    """A disk, and the loop's side of it."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.errors: list[BaseException] = []
        self.store = Store(self.events)
        self.completions = Completions()
        store: Any = self.store
        self.disk = Disk(store, self.completions, self.errors.append)

    def persist(self, writes: list[GroupWrite]) -> None:
        self.disk.persist(writes, self.saying(f"saved {writes[0].group_id}"))

    def submit(self, name: str) -> None:
        self.disk.submit(self.saying(f"run {name}"), lambda _: self.events.append(f"done {name}"))

    def saying(self, event: str) -> Callable[[], None]:
        return lambda: self.events.append(event)

    def settle(self) -> None:
        """Until the thread has done what it has."""
        end = threading.Event()
        self.disk._worker.submit(end.set, lambda _: None)
        assert end.wait(30)
        self.completions.drain()


@contextmanager
def at_work(bench: Bench) -> Iterator[None]:
    """The thread is busy with a job."""
    may_go_on = threading.Event()
    bench.disk.submit(lambda: may_go_on.wait(30), lambda _: None)
    yield
    may_go_on.set()
    bench.settle()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.disk.join()
    bench.completions.close()


def test_the_kernel_writes_and_says_when_it_is_done(bench: Bench) -> None:
    bench.store.answers = [None, None]
    bench.persist(A)
    for _ in range(3):
        bench.disk.look()
    bench.disk.look()
    assert bench.events == ["begin 1", "end None", "end None", "end True", "saved 1"]


def test_what_the_kernel_does_not_take_the_thread_writes(bench: Bench) -> None:
    bench.store.can_begin = False
    bench.persist(A)
    bench.disk.look()
    bench.settle()
    assert bench.events == ["thread 1", "saved 1"]


def test_a_write_comes_after_what_the_thread_has_to_do(bench: Bench) -> None:
    with at_work(bench):
        bench.submit("compact")
        bench.persist(A)
    assert bench.events == ["run compact", "thread 1", "done compact", "saved 1"]
    bench.persist(B)
    bench.disk.look()
    assert bench.events[4:] == ["begin 2", "end True", "saved 2"]


def test_a_write_may_not_begin_before_the_loop_knows_that_the_thread_has_ended(bench: Bench) -> None:
    bench.submit("compact")
    end = threading.Event()
    bench.disk._worker.submit(end.set, lambda _: None)
    assert end.wait(30)
    bench.persist(A)
    bench.settle()
    assert bench.events == ["run compact", "thread 1", "done compact", "saved 1"]


def test_jobs_wait_for_what_the_kernel_writes(bench: Bench) -> None:
    bench.store.answers = [None]
    bench.persist(A)
    bench.submit("compact")
    bench.submit("sweep")
    bench.disk.look()
    bench.settle()
    assert bench.events == ["begin 1", "end None"]
    bench.disk.look()
    bench.settle()
    assert bench.events[2] == "end True"
    del bench.events[: bench.events.index("end True") + 1]
    bench.events.remove("saved 1")  # before or after the thread has begun
    assert bench.events == ["run compact", "run sweep", "done compact", "done sweep"]


def test_what_the_kernel_gives_back_is_written_before_the_jobs_that_waited(bench: Bench) -> None:
    bench.store.answers = [False]
    bench.persist(A)
    bench.submit("compact")
    bench.disk.look()
    bench.settle()
    assert bench.events == ["begin 1", "end False", "thread 1", "run compact", "saved 1", "done compact"]


def test_a_write_of_the_kernel_that_failed_is_told_once(bench: Bench) -> None:
    bench.store.answers = [LogFailed("broken")]
    bench.persist(A)
    with pytest.raises(LogFailed, match="broken"):
        bench.disk.look()
    assert "saved 1" not in bench.events


@pytest.mark.parametrize("answer", [True, LogFailed("broken")])
def test_to_end_is_to_wait_for_what_was_begun_and_for_what_waits_for_that(
    bench: Bench, answer: bool | LogFailed
) -> None:
    bench.store.answers = [None, answer]
    bench.persist(A)
    bench.submit("compact")
    bench.disk.join()
    bench.disk.join()
    bench.completions.drain()
    if answer is True:
        assert sorted(bench.events) == sorted(
            ["begin 1", "end True", "run compact", "saved 1", "done compact"]
        )
        assert not bench.errors
    else:
        assert "saved 1" not in bench.events
        assert bench.errors == [answer]
