"""Plain threads for calls that may stall, and one way back to the loop.

A Worker runs jobs one after another on its own thread; what a job returns is given to its `done` callback on the loop.
All workers of a host share one Completions: a deque and an eventfd that one Trio task waits on. So the loop never runs
a synced write, and a burst of completions costs one wake-up.

A job that raises ends its worker: `on_error` is called on the loop with what it raised, and no later job is run. There
is no sensible way to go on after a failed write, and every job here is one or depends on one.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeVar

import trio

T = TypeVar("T")


class Completions:
    """Callbacks that threads leave for the loop."""

    def __init__(self) -> None:
        self._callbacks: deque[Callable[[], None]] = deque()
        self._eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def put(self, callback: Callable[[], None]) -> None:
        """Have the loop call this soon. Any thread."""
        self._callbacks.append(callback)
        os.eventfd_write(self._eventfd, 1)

    def drain(self) -> bool:
        """Call what is there, on the loop. True if there was something."""
        callbacks = self._callbacks
        if not callbacks:
            return False
        while callbacks:
            callbacks.popleft()()
        return True

    async def wait(self) -> None:
        """Return when `put` was called since the last return. Cancelled: nothing is lost."""
        await trio.lowlevel.wait_readable(self._eventfd)
        with suppress(BlockingIOError):
            os.eventfd_read(self._eventfd)

    def close(self) -> None:
        """After the workers were joined."""
        os.close(self._eventfd)


class Worker:
    """One thread and its queue."""

    def __init__(
        self, name: str, completions: Completions, on_error: Callable[[BaseException], None]
    ) -> None:
        """`on_error` runs on the loop, at most once."""
        self._jobs: SimpleQueue[Callable[[], Callable[[], None] | None] | None] = SimpleQueue()
        self._completions = completions
        self._on_error = on_error
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], T], done: Callable[[T], None]) -> None:
        """Run job() on the thread, then done(its result) on the loop."""

        def call() -> Callable[[], None]:
            result = job()
            return lambda: done(result)

        self._jobs.put(call)

    async def call(self, job: Callable[[], T]) -> T:
        """Run job() on the thread and wait for its result. Cancelled: the job still runs."""
        ready = trio.Event()
        results: list[T] = []

        def done(result: T) -> None:
            results.append(result)
            ready.set()

        self.submit(job, done)
        await ready.wait()
        return results[0]

    def join(self) -> None:
        """Finish the jobs that were submitted, then end. Blocks; call it in a thread. Idempotent."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                done = job()
            except BaseException as error:  # also SystemExit: the loop must learn of anything
                self._completions.put(lambda error=error: self._on_error(error))  # type: ignore[misc]
                return
            if done is not None:
                self._completions.put(done)
