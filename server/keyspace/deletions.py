"""When keys went away, for WATCH: a missing key has no record that could tell.

The newest deletions are remembered one by one, of all others it is known that they were no later than `floor`. So a key
may be taken for one that has come and gone when it has not, but never the other way. A view counts in revisions; the
replica, whose knowledge the view of a new leader begins with, in log indexes.
"""

from typing import Self

deletions_max = 4096
"""Deletions that are remembered."""


class Deletions:
    """Those of one group."""

    __slots__ = ("_at", "floor")

    def __init__(self, floor: int) -> None:
        self._at: dict[bytes, int] = {}
        """Where the head of a missing key lay to when it went. Of a key that was past its time that is its last change:
        that it went is nothing new then."""
        self.floor = floor
        """No earlier than any of those that were forgotten, or never seen."""

    def note(self, where: bytes, at: int) -> None:
        """A head has gone."""
        known = self._at
        if len(known) >= deletions_max:
            self.floor = max(self.floor, known.pop(next(iter(known))))
        known[where] = at

    def last(self, where: bytes) -> int:
        """When the key whose head would lie there was there for the last time, at the latest."""
        return self._at.get(where, self.floor)

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
