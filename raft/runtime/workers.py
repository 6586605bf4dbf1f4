"""Plain threads for calls that may stall, and one way back to the loop.

A Worker runs jobs one after another on its own thread; what a job returns is given to its `done` callback on the loop.
All workers of a host share one Completions: a deque and an eventfd that one Trio task waits on. So the loop never runs
a synced write, and a burst of completions costs one wake-up.

A patient worker does not wake the loop for what it has done: the next turn takes it along, and only when there was none
for PATIENCE_S is the loop woken. For applying, which nobody waits for, that saves a wake-up per round.

A job that raises ends its worker: `on_error` is called on the loop with what it raised, and no later job is run. There
is no sensible way to go on after a failed write, and every job here is one or depends on one.
"""

import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import trio

T = TypeVar("T")
PATIENCE_S = 0.001


class Completions:
    """Callbacks that threads leave for the loop."""

    def __init__(self) -> None:
        self._callbacks: deque[Callable[[], None]] = deque()
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        """Becomes readable when the loop should call `drain`."""

    def put(self, callback: Callable[[], None], *, wake: bool = True) -> None:
        """Have the loop call this soon, or without `wake` at its next turn. Any thread."""
        self._callbacks.append(callback)
        if wake:
            self.wake()

    def wake(self) -> None:
        """Have the loop drain soon. Any thread."""
        os.eventfd_write(self.fd, 1)

    @property
    def waiting(self) -> bool:
        """Something was put and not yet drained."""
        return bool(self._callbacks)

    def drain(self) -> None:
        """Call what is there, on the loop."""
        callbacks = self._callbacks
        while callbacks:
            callbacks.popleft()()

    async def wait(self) -> None:
        """Return when the loop was woken since the last return. Cancelled: nothing is lost."""
        await trio.lowlevel.wait_readable(self.fd)
        with suppress(BlockingIOError):
            os.eventfd_read(self.fd)

    def close(self) -> None:
        """After the workers were joined."""
        os.close(self.fd)


class Worker:
    """One thread and its queue."""

    def __init__(
        self,
        name: str,
        completions: Completions,
        on_error: Callable[[BaseException], None],
        *,
        patient: bool = False,
    ) -> None:
        """`on_error` runs on the loop, at most once. `patient`: see the head of the module."""
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]] | None] = (
            queue.SimpleQueue()
        )
        self._completions = completions
        self._on_error = on_error
        self._patient = patient
        # mypyc would make a word of C of the name _thread.
        self._runner = threading.Thread(target=self._run, name=name, daemon=True)
        self._runner.start()

    def submit(self, job: Callable[[], T], done: Callable[[T], None]) -> None:
        """Run job() on the thread, then done(its result) on the loop."""
        self._jobs.put((job, done))

    async def call(self, job: Callable[[], T]) -> T:
        """Run job() on the thread and wait for its result. Cancelled: the job still runs."""
        return await awaited(self.submit, job)

    def join(self) -> None:
        """Finish the jobs that were submitted, then end. Blocks; call it in a thread. Idempotent."""
        self._jobs.put(None)
        self._runner.join()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            job, done = work
            try:
                result = job()
            except BaseException as error:  # also SystemExit: the loop must learn of anything
                self._completions.put(partial(self._on_error, error))
                return
            self._completions.put(partial(done, result), wake=not self._patient)

    def _next(self) -> tuple[Callable[[], Any], Callable[[Any], None]] | None:
        if self._patient and self._completions.waiting:
            try:
                return self._jobs.get(timeout=PATIENCE_S)
            except queue.Empty:
                if self._completions.waiting:
                    self._completions.wake()
        return self._jobs.get()


async def awaited(submit: Callable[[Callable[[], T], Callable[[T], None]], None], job: Callable[[], T]) -> T:
    """submit(job, ...), and wait for the result."""
    ready = trio.Event()
    results: list[T] = []

    def done(result: T) -> None:
        results.append(result)
        ready.set()

    submit(job, done)
    await ready.wait()
    return results[0]
