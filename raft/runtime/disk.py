"""What is done with the log store besides reading: one thing at a time, in the order in which it was asked for.

Most of it is a persist, and most of those the kernel can do by itself (raft/storage/aio.py): it is begun here, on the
loop, and `look` finds it done. All else is for the disk thread. The two never overlap: while the thread has anything to
do a persist goes to the thread too, behind that; and while the kernel writes, jobs are held back.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from raft.runtime.workers import Completions, Worker, awaited
from raft.storage import GroupWrite, LogStore, StorageError

T = TypeVar("T")


class Disk:
    """Part of a Host."""

    def __init__(
        self, store: LogStore, completions: Completions, on_error: Callable[[BaseException], None]
    ) -> None:
        """`on_error` runs on the loop, at most once for the thread."""
        self._store = store
        self._completions = completions
        self._on_error = on_error
        self._worker = Worker("raft-disk", completions, on_error)
        self._in_thread = 0
        """Jobs that the thread was given and whose end the loop does not know."""
        self._begun: tuple[Sequence[GroupWrite], Callable[[], None]] | None = None
        """What the kernel writes, and what to call then."""
        self._held: deque[tuple[Callable[[], Any], Callable[[Any], None]]] = deque()

    def submit(self, job: Callable[[], T], done: Callable[[T], None]) -> None:
        """Run job() on the thread, then done(its result) on the loop."""
        if self._begun is not None:
            self._held.append((job, done))
            return
        self._in_thread += 1
        self._worker.submit(job, partial(self._ended, done))

    def _ended(self, done: Callable[[Any], None], result: Any) -> None:
        self._in_thread -= 1
        done(result)

    async def call(self, job: Callable[[], T]) -> T:
        """Run job() on the thread and wait for its result. Cancelled: the job still runs."""
        return await awaited(self.submit, job)

    def persist(self, writes: Sequence[GroupWrite], done: Callable[[], None]) -> None:
        """Make all of it durable, or nothing, then call `done` on the loop. One at a time. Raises LogFailed."""
        assert self._begun is None, "a persist is under way"
        if self._in_thread == 0 and self._store.begin_persist(writes, self._completions.fd):
            self._begun = (writes, done)
        else:
            self.submit(partial(self._store.persist, writes), lambda _: done())

    def look(self) -> None:
        """Is what the kernel writes done? To be called when the completions' eventfd was added to. Raises LogFailed."""
        if self._begun is None:
            return
        is_durable = self._store.end_persist()
        if is_durable is None:
            return
        writes, done = self._begun
        self._begun = None
        if not is_durable:
            self.submit(partial(self._store.persist, writes), lambda _: done())
        self._release()
        if is_durable:
            done()

    def _release(self) -> None:
        held, self._held = self._held, deque()
        for job, done in held:
            self.submit(job, done)

    def join(self) -> None:
        """Finish what was asked for, then end the thread. Blocks; call it in a thread, when nobody else calls anything
        here any more. Idempotent."""
        if self._begun is not None:
            _writes, done = self._begun
            self._begun = None
            try:
                if self._store.end_persist(wait=True):
                    self._completions.put(done, wake=False)
            except StorageError as error:
                self._completions.put(partial(self._on_error, error), wake=False)
        self._release()
        self._worker.join()
