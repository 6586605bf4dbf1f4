"""The ordered store under a view, as an interface, and its in-memory twin for tests."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sized
from typing import Protocol


def prefix_end(prefix: bytes) -> bytes:
    """The first key after all keys that begin with `prefix` (which must not be all 0xff)."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1])


class Store(Protocol):
    """What a view reads from: committed or not, the newest state that the leader knows of one group.

    `observed` grows to the highest log index whose effects a `get` or `scan` since the last reset has
    returned; 0 when all of it was applied long ago. The reply to a command waits for that index.
    """

    observed: int

    @property
    def pending(self) -> Sized:
        """What is not applied yet; always the same object, for the view to glance at."""

    def get(self, key: bytes) -> bytes | None:
        """The value at `key`, or None."""

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of everything in [start, stop), in key order or its reverse. Short-lived: the caller
        consumes it within one turn and bounds how much."""

    def scan_under(
        self, prefix: bytes, start: bytes, stop: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """As `scan`, of the keys that begin with `prefix`, which is cut off: `start` and `stop` (None: to the end) are
        without it, and so are the keys. For the elements of one collection."""


class MemoryStore:
    """A Store in a dict, for tests of everything above."""

    def __init__(self) -> None:
        self.observed = 0
        self.pending: list[object] = []
        self._values: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []

    def get(self, key: bytes) -> bytes | None:
        """See Store."""
        return self._values.get(key)

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """See Store."""
        keys = self._keys[bisect_left(self._keys, start) : bisect_left(self._keys, stop)]
        for key in reversed(keys) if reverse else keys:
            yield key, self._values[key]

    def scan_under(
        self, prefix: bytes, start: bytes, stop: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """See Store."""
        end = prefix_end(prefix) if stop is None else prefix + stop
        for key, value in self.scan(prefix + start, end, reverse):
            yield key[len(prefix) :], value

    def write(self, effects: dict[bytes, bytes | None]) -> None:
        """Apply puts and (None) deletes."""
        for key, value in effects.items():
            if value is None:
                if self._values.pop(key, None) is not None:
                    del self._keys[bisect_left(self._keys, key)]
            else:
                if key not in self._values:
                    insort(self._keys, key)
                self._values[key] = value
