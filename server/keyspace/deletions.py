"""When keys went away, for WATCH: a missing key has no record that could tell.

The newest deletions are remembered one by one, of all others it is known that they were no later than `floor`. So a key
may be taken for one that has come and gone when it has not, but never the other way. A view counts in revisions; the
replica, whose knowledge the view of a new leader begins with, in log indexes.

FLUSHDB deletes without saying what. The missing keys that somebody watches are kept by themselves, so that it is known
what it did to those: nothing, if they were still missing.
"""

from collections.abc import Callable
from typing import Self

deletions_max = 4096
"""Deletions that are remembered."""
watched_max = 1024
"""Missing keys that somebody has watched, the last."""


class Deletions:
    """Those of one group."""

    __slots__ = ("_at", "_watched", "floor")

    def __init__(self, floor: int) -> None:
        self._at: dict[bytes, int] = {}
        """Where the head of a missing key lay to when it went. Of a key that was past its time that is its last change:
        that it went is nothing new then."""
        self.floor = floor
        """No earlier than any of those that were forgotten, or never seen."""
        self._watched: dict[bytes, int] = {}
        """Where the heads of watched keys would lie to when they were there before. Invariant: none went since."""

    def note(self, where: bytes, at: int) -> None:
        """A head has gone."""
        known = self._at
        if len(known) >= deletions_max:
            self.floor = max(self.floor, known.pop(next(iter(known))))
        known[where] = at
        if self._watched:
            self._watched.pop(where, None)

    def last(self, where: bytes) -> int:
        """When the key whose head would lie there was there for the last time, at the latest."""
        at = self._at.get(where)
        return at if at is not None else self._watched.get(where, self.floor)

    def watch(self, where: bytes) -> None:
        """Somebody watches a missing key."""
        if where not in self._watched:
            self._watched[where] = self.last(where)
            self._forget_oldest()

    def flush(self, at: int, old: bytes, new: bytes, is_there: Callable[[bytes], bool]) -> None:
        """All heads under `old` have gone; from now on keys are looked for under `new`. `is_there`: whether something
        lies at a place."""
        # A flush that was rolled back may have left something where the next one goes.
        kept = {where: last for where, last in self._watched.items() if not where.startswith(new)}
        for where, last in list(kept.items()):
            if where.startswith(old) and not is_there(where):
                kept[new + where[len(old) :]] = last
        self.floor = at
        self._watched = kept
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        watched = self._watched
        while len(watched) > watched_max:
            del watched[next(iter(watched))]

    def restamp(self, before: int, after: int) -> None:
        """What went at `before` went at `after`."""
        for where, at in self._at.items():
            if at == before:
                self._at[where] = after

    def as_revisions(self) -> Self:
        """A copy of those that are counted in log indexes: each as late in its entry as can be. Another thread may note
        more meanwhile."""
        known = dict(self._at)
        copy = type(self)(self.floor << 16 | 0xFFFF)  # read last: it rises when one is forgotten
        copy._at = {where: index << 16 | 0xFFFF for where, index in known.items()}
        return copy
