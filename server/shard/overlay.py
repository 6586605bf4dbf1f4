"""The leader's state: the data store below, effects that are not applied yet above.

The leader evaluates a command on what the log will make of the data, not on what it has made of it so far. So
the effects of every proposed entry stay in this overlay until they are applied; `observed` tells a reply
which index it has to wait for. When leadership is lost the whole overlay is dropped: it was a guess about the
future.
"""

from collections import deque
from collections.abc import Iterator
from itertools import chain, islice

from server.keyspace.leveldb import DataStore
from server.keyspace.order import Order, few_max, in_range, overlaid, row_tails, tails
from server.keyspace.store import prefix_end

leaving_max = 20_000
"""Keys that leave at once: a few milliseconds."""
scans_min = 8
"""So many scans between two rounds of applying are worth an order of the pending keys."""


class Overlay:
    """The Store (keyspace/store.py) of one group at its leader. Keys are relative to the group."""

    __slots__ = (
        "_get",
        "_leaving",
        "_leaving_keys",
        "_order",
        "_prefix",
        "_scans",
        "_store",
        "_unapplied",
        "observed",
        "pending",
    )

    def __init__(self, store: DataStore, prefix: bytes) -> None:
        self._store = store
        self._get = store.get
        self._prefix = prefix
        self.pending: dict[bytes, tuple[int, bytes | None]] = {}
        """Key to (index, value) of its newest effect that is not applied. The leader puts effects in here as it makes
        them."""
        self._unapplied: deque[tuple[int, dict[bytes, bytes | None]]] = deque()
        """(index, effects) of proposed entries, in log order."""
        self._leaving: deque[tuple[int, Iterator[bytes]]] = deque()
        """(index, keys) of applied entries of which `pending` may still hold some: they say what the store says."""
        self._leaving_keys = 0
        self._scans = 0
        """Since something was applied, with much in `pending`."""
        self._order: Order | None = None
        """Of the keys of `pending`, when it is worth it."""
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
        below = row_tails(self._store.scan(prefix + start, prefix + stop, reverse), len(prefix))
        return overlaid(below, self._above(start, stop, reverse), self._take, reverse)

    def scan_under(
        self, prefix: bytes, start: bytes, stop: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """See Store."""
        below = self._store.scan_under(self._prefix + prefix, start, stop, reverse)
        if not self.pending:
            return below
        keys = self._above(prefix + start, prefix_end(prefix) if stop is None else prefix + stop, reverse)
        first = next(keys, None)
        if first is None:
            return below
        above = tails(chain((first,), keys), len(prefix))
        return overlaid(below, above, lambda key: self._take(prefix + key), reverse)

    def _above(self, start: bytes, stop: bytes, reverse: bool) -> Iterator[bytes]:
        """The pending keys in [start, stop), in order or its reverse."""
        pending = self.pending
        if len(pending) > few_max:
            self._scans += 1
        if self._order is None:
            if self._scans < scans_min:
                return in_range(pending, start, stop, reverse)
            self._order = Order()
        self._order.follow(pending)
        return self._order.range(start, stop, reverse)

    def _take(self, key: bytes) -> bytes | None:
        index, value = self.pending[key]
        if index > self.observed:
            self.observed = index
        return value

    def proposed(self, index: int, operations: dict[bytes, bytes | None]) -> None:
        """The entry at `index` was proposed with these effects, which are in `pending` already."""
        self._unapplied.append((index, operations))

    def applied(self, index: int) -> None:
        """Everything up to `index` is in the data store."""
        unapplied = self._unapplied
        while unapplied and unapplied[0][0] <= index:
            at, operations = unapplied.popleft()
            self._leaving.append((at, iter(operations)))
            self._leaving_keys += len(operations)
        if self._scans < scans_min:
            self._order = None
        self._scans = 0
        self.tidy()

    def tidy(self) -> None:
        """Drop what is applied, a bounded number: a command may have written a million elements. For whenever nothing
        is at work on what lies here."""
        leaving, pending, order = self._leaving, self.pending, self._order
        left = leaving_max
        while leaving and left:
            at, keys = leaving[0]
            before = left
            for key in islice(keys, left):
                left -= 1
                found = pending.get(key)
                if found is not None and found[0] == at:
                    del pending[key]
                    if order is not None:
                        order.discard(key)
            self._leaving_keys -= before - left
            if left:
                leaving.popleft()

    def forget(self) -> None:
        """Drop the effects that were never proposed."""
        self.pending.clear()
        self._leaving.clear()
        self._leaving_keys = 0
        self._order = None
        for index, operations in self._unapplied:
            for key, value in operations.items():
                self.pending[key] = (index, value)

    def __len__(self) -> int:
        """How many keys have an effect that is not applied."""
        return max(len(self.pending) - self._leaving_keys, 0)
