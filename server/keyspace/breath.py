"""Work that takes long, done in slices: how a command of a second does not cost the node its heartbeats.

A command is evaluated where it is called, on the loop. One that may take long is an *attempt*: when its slice is over,
the next `breathe` in it raises TooLong. What it wrote is forgotten, and it begins anew as a `Work`, in a greenlet: on a
stack of its own. There `breathe` goes back to the loop, in the midst of whatever the command does, and `Work.go_on`
resumes it later for another slice. Commands are pure functions, so that does no harm; and nearly all of
them are done in time, and pay next to nothing for what they might have been.

So commands stay plain functions. All that those with loops over what users send or store have to do is to breathe in
them, once in some 100 microseconds. Scans, and elements of spread collections, do it anyway.

    for member in members:
        breathe()
        ...

Elsewhere `breathe` does nothing. Let what it raises pass (Ended is no Exception): who began an attempt or a work takes
back what it has done.

What the work sees must not change meanwhile: that is for its owner to see to (shard/work.py). Everything is on one
thread, the loop's: nothing that worker threads run may breathe.
"""

from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import chain, islice
from time import perf_counter
from typing import Any, Final, TypeVar

from greenlet import greenlet

Row = TypeVar("Row")

slice_s = 0.005
"""Of work at a time, while others wait."""
rows_between_breaths = 128
sorted_at_once = 8192
"""Rows, a few milliseconds."""
_rows_at_first = 8


class Ended(BaseException):
    """The work that breathes is to end now."""


class Elsewhere(Ended):
    """A script that named no keys, and has written nothing, is to run where a key of `slot` lives."""

    def __init__(self, slot: int) -> None:
        super().__init__(slot)
        self.slot = slot


class TooLong(Ended):
    """The attempt's slice is over."""


class Work:
    """A function that may take long."""

    __slots__ = (
        "_error",
        "_greenlet",
        "_reply",
        "_run",
        "began_s",
        "ended",
        "killed",
        "paused",
        "worked_s",
        "wrote",
    )

    def __init__(self, run: Callable[[], bytes]) -> None:
        self._run = run
        self._greenlet: greenlet | None = greenlet(self._main)
        self._reply = b""
        self._error: BaseException | None = None
        self.began_s = perf_counter()
        self.worked_s = 0.0
        """What its slices took."""
        self.paused = False
        """It was not done within its first slice."""
        self.ended = False
        """`end` was called."""
        self.killed = ""
        """SCRIPT or FUNCTION KILL, by its first word: a script looks at this, and raises an error."""
        self.wrote = False
        """A script has called a command that writes."""

    def _main(self) -> None:
        try:
            self._reply = self._run()
        except BaseException as error:
            self._error = error

    def go_on(self) -> bool:
        """Run for a slice; whether it is done."""
        global _current, _until_s
        assert _current is None, "work within work"
        work = self._greenlet
        assert work is not None
        _current = self
        now_s = perf_counter()
        _until_s = now_s + slice_s
        try:
            work.switch()
        finally:
            _current = None
            self.worked_s += perf_counter() - now_s
        if not work.dead:
            return False
        self._greenlet = None  # they hold each other
        return True

    def pause(self) -> None:
        """Within: back to the loop. Raises Ended."""
        if not self.ended:
            self.paused = True
            assert self._greenlet is not None
            assert self._greenlet.parent is not None
            self._greenlet.parent.switch()
        if self.ended:
            raise Ended

    def result(self) -> bytes:
        """When it is done: what the function returned. Raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._reply

    def end(self) -> None:
        """Raise Ended within, now; it does not return before all of it is unwound."""
        self.ended = True
        while self._greenlet is not None:
            self.go_on()


class _Attempt(Work):
    """What is current during an attempt."""

    def __init__(self) -> None:
        super().__init__(bytes)

    def pause(self) -> None:
        raise TooLong


_attempt: Final = _Attempt()
_current: Work | None = None
_until_s = 0.0


def begin_attempt() -> None:
    """From now on, for a slice; then `breathe` raises TooLong, until `end_attempt`. Nothing within a Work."""
    global _current, _until_s
    if _current is not None:
        return
    _until_s = perf_counter() + slice_s
    _current = _attempt


def end_attempt() -> None:
    """What comes now is not to be done again."""
    global _current
    if _current is _attempt:
        _current = None


def breathe() -> None:
    """Let the loop go on, if we are in a Work whose slice is over. Raises Ended."""
    if _current is not None and perf_counter() >= _until_s:
        _current.pause()


def current() -> Work | None:
    """The Work that we are in."""
    return _current


def paced(rows: Iterator[Row]) -> Iterator[Row]:
    """The same rows, with breaths between them. Some are read ahead, at first only few."""
    return chain.from_iterable(_chunks(rows)) if _current is not None else rows


def ordered(rows: Iterable[Row], key: Callable[[Row], Any] | None = None) -> list[Row]:
    """As `sorted`, with breaths between parts of it."""
    if _current is None:
        return sorted(rows, key=key)  # type: ignore[type-var, arg-type]
    parts: list[list[Row]] = []
    rest = paced(iter(rows))
    while part := list(islice(rest, sorted_at_once)):
        part.sort(key=key)
        parts.append(part)
    return parts[0] if len(parts) == 1 else list(paced(merge(*parts, key=key)))  # type: ignore[arg-type]


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    size = _rows_at_first
    while chunk := list(islice(rows, size)):
        yield chunk
        size = rows_between_breaths
        breathe()
