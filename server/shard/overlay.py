"""The leader's state: the data store below, effects that are not applied yet above.

The leader evaluates a command on what the log will make of the data, not on what it has made of it so far. So
the effects of every proposed entry stay in this overlay until they are applied; `observed` tells a reply
which index it has to wait for. When leadership is lost the whole overlay is dropped: it was a guess about the
future.
"""

from collections import deque
from collections.abc import Iterator

from server.keyspace.leveldb import DataStore


class Overlay:
    """The Store (keyspace/store.py) of one group at its leader. Keys are relative to the group."""

    __slots__ = ("_get", "_prefix", "_store", "_unapplied", "observed", "pending")

    def __init__(self, store: DataStore, prefix: bytes) -> None:
        self._store = store
        self._get = store.get
        self._prefix = prefix
        self.pending: dict[bytes, tuple[int, bytes | None]] = {}
        """Key to (index, value) of its newest effect that is not applied."""
        self._unapplied: deque[tuple[int, dict[bytes, bytes | None]]] = deque()
        """(index, effects) in log order."""
        self.observed = 0

    def get(self, key: bytes) -> bytes | None:
        """See Store."""
        pending = self.pending
        if pending:
            found = pending.get(key)
            if found is not None:
                if found[0] > self.observed:
                    self.observed = found[0]
                return found[1]
        return self._get(self._prefix + key)  # type: ignore[no-any-return]

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """See Store."""
        prefix = self._prefix
        cut = len(prefix)
        below = self._store.scan(prefix + start, prefix + stop, reverse)
        above = sorted((key for key in self.pending if start <= key < stop), reverse=not reverse)
        if not above:
            for key, value in below:
                yield key[cut:], value
            return
        for full, value in below:
            key = full[cut:]
            while above and ((above[-1] > key) if reverse else (above[-1] < key)):
                yield from self._take(above.pop())
            if above and above[-1] == key:
                yield from self._take(above.pop())
            else:
                yield key, value
        while above:
            yield from self._take(above.pop())

    def _take(self, key: bytes) -> Iterator[tuple[bytes, bytes]]:
        index, value = self.pending[key]
        self.observed = max(self.observed, index)
        if value is not None:
            yield key, value

    def add(self, index: int, effects: dict[bytes, bytes | None]) -> None:
        """Effects that will be part of the entry at `index`, not lower than any before."""
        pending = self.pending
        for key, value in effects.items():
            pending[key] = (index, value)
        self._unapplied.append((index, effects))

    def applied(self, index: int) -> None:
        """Everything up to `index` is in the data store."""
        unapplied = self._unapplied
        pending = self.pending
        while unapplied and unapplied[0][0] <= index:
            at, effects = unapplied.popleft()
            for key in effects:
                found = pending.get(key)
                if found is not None and found[0] == at:
                    del pending[key]

    def forget(self, index: int) -> None:
        """Drop the effects of `index` and later: they were never proposed."""
        kept = [(at, effects) for at, effects in self._unapplied if at < index]
        self.pending.clear()
        self._unapplied.clear()
        for at, effects in kept:
            self.add(at, effects)

    def __len__(self) -> int:
        """How many keys have an effect that is not applied."""
        return len(self.pending)
