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
        """Key to (index, value) of its newest effect that is not applied. The leader puts effects in here as it makes
        them."""
        self._unapplied: deque[tuple[int, list[bytes | None]]] = deque()
        """(index, keys and values in turn) of proposed entries, in log order."""
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

    def proposed(self, index: int, operations: list[bytes | None]) -> None:
        """The entry at `index` was proposed with these keys and values in turn, which are in `pending` already."""
        self._unapplied.append((index, operations))

    def applied(self, index: int) -> None:
        """Everything up to `index` is in the data store."""
        unapplied = self._unapplied
        pending = self.pending
        while unapplied and unapplied[0][0] <= index:
            at, operations = unapplied.popleft()
            for key in operations[::2]:
                found = pending.get(key)  # type: ignore[arg-type]
                if found is not None and found[0] == at:
                    del pending[key]  # type: ignore[arg-type]

    def forget(self) -> None:
        """Drop the effects that were never proposed."""
        self.pending.clear()
        for index, operations in self._unapplied:
            for key, value in zip(operations[::2], operations[1::2], strict=True):
                self.pending[key] = (index, value)  # type: ignore[index]

    def __len__(self) -> int:
        """How many keys have an effect that is not applied."""
        return len(self.pending)
