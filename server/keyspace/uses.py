"""When keys were used last, and how often, as far as a leader knows: OBJECT IDLETIME and FREQ.

To note each use would cost a GET a tenth of what it costs at all. So a use is noted once a period, of about a second:
by the period, which learns when it ended. What was used in this one is in the young generation of the records at hand
(RecordCache in cache.py), where nobody looks further; when the period ends it leaves that for an older generation.
Replies that are given without a look at the records (HotReplies) are forgotten then, so that whoever asks next uses
the record.

All of that is the leader's alone: no log and no disk hears of it. What is not known is not guessed: a key of which
nothing is noted was used before the notes began, and is as old as they are. So a key may have been idle for longer
than OBJECT IDLETIME says, and not for less. The same holds while much is used: see server/shard/periods.py.
"""

from collections.abc import Collection, Iterable
from random import random

_FIRST_COUNT = 5
"""Of a key that was used for the first time. These numbers are Redis's defaults."""
_COUNT_MAX = 255
_LOG_FACTOR = 10
_DECAY_MS = 60_000


class Period:
    """In which keys were used."""

    __slots__ = ("end_ms",)

    def __init__(self, end_ms: int = 0) -> None:
        self.end_ms = end_ms
        """Unix time; 0: it has not ended."""


class LastUses:
    """Of the keys of one space, in two generations by number."""

    __slots__ = ("_counts", "_limit", "_noted_since", "_old", "_since", "counting", "noted", "period")

    def __init__(self, limit: int) -> None:
        """`limit`: keys in each generation."""
        self._limit = limit
        self.period = Period()
        """The present one."""
        self.noted: dict[bytes, Period] = {}
        """Key to the period of its last use: the younger generation, into which RecordCache writes by itself."""
        self._old: dict[bytes, Period] = {}
        self._since = self.period
        """Of what is noted nowhere the last use was not later than this."""
        self._noted_since = self.period
        """Likewise, but for `_old`."""
        self.counting = False
        """By `maxmemory-policy`."""
        self._counts: dict[bytes, int] = {}
        """As of the last use, while `counting`."""

    def find(self, key: bytes, now_ms: int) -> int:
        """A time since when the key was not used."""
        period = self.noted.get(key) or self._old.get(key, self._since)
        return period.end_ms or now_ms

    def note(self, keys: Collection[bytes]) -> None:
        """These are used."""
        if len(keys) > self._limit:
            self.noted = {}
            self._old = {}
            self._since = self._noted_since = self.period
        else:
            self.noted.update(dict.fromkeys(keys, self.period))

    def put(self, key: bytes, used_ms: int) -> None:
        """Let it be as if the key was used at `used_ms`."""
        self.noted[key] = Period(used_ms)

    def end_period(self, now_ms: int) -> None:
        """A new one begins."""
        self.period.end_ms = now_ms
        self.period = Period()
        if not self.counting:
            self._counts.clear()
        self.tidy()

    def tidy(self) -> None:
        """Forget the older generation if the younger one is large."""
        if len(self.noted) > self._limit:
            self._old, self.noted = self.noted, {}
            self._since, self._noted_since = self._noted_since, self.period

    def count(self, key: bytes, now_ms: int) -> int:
        """About the logarithm of how often the key is used: one less for each minute without a use."""
        unused_ms = max(now_ms - self.find(key, now_ms), 0)
        return max(self._counts.get(key, _FIRST_COUNT) - unused_ms // _DECAY_MS, 0)

    def put_count(self, key: bytes, count: int) -> None:
        """Let it be as if the key was used that often."""
        self._counts[key] = count

    def count_all(self, keys: Iterable[bytes], now_ms: int) -> None:
        """Each is about to be noted once more. The more often, the less likely that it counts."""
        counts = self._counts
        if len(counts) > 2 * self._limit:
            counts.clear()
        for key in keys:
            if key in counts:
                count = self.count(key, now_ms)
                rare = random() * (max(count - _FIRST_COUNT, 0) * _LOG_FACTOR + 1) >= 1
                counts[key] = count if rare else min(count + 1, _COUNT_MAX)
            else:
                counts[key] = _FIRST_COUNT
