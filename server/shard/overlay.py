"""The leader's state: the data store below, effects that are not applied yet above.

The leader evaluates a command on what the log will make of the data, not on what it has made of it so far. So
the effects of every proposed entry stay in this overlay until they are applied; `observed` tells a reply
which index it has to wait for. When leadership is lost the whole overlay is dropped: it was a guess about the
future.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator

from server.keyspace.layout import ELEMENT, ELEMENT_PREFIX_BYTES
from server.keyspace.leveldb import DataStore

_STALE_MAX = 1000
"""Keys kept in order that may be applied already, besides as many as are pending."""
_INSERTS_MAX = 16
"""More new keys than this are sorted with the others instead of being inserted one by one."""


class Overlay:
    """The Store (keyspace/store.py) of one group at its leader. Keys are relative to the group."""

    __slots__ = (
        "_get",
        "_prefix",
        "_sorted",
        "_sorted_count",
        "_store",
        "_unapplied",
        "fresh",
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
        self._unapplied: deque[tuple[int, list[bytes | None]]] = deque()
        """(index, keys and values in turn) of proposed entries, in log order."""
        self.fresh: list[bytes] = []
        """Keys of elements that the leader has put into `pending` and that are not sorted yet."""
        self._sorted: dict[bytes, list[bytes]] = {}
        """The keys of elements by collection, in order. Some may not be pending any more."""
        self._sorted_count = 0
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

    def scan_under(
        self, prefix: bytes, start: bytes, stop: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """See Store."""
        below = self._store.scan_under(self._prefix + prefix, start, stop, reverse)
        above = self._pending_under(prefix, start, stop) if self.pending else None
        return self._merged(prefix, below, above, reverse) if above else below

    def _merged(
        self, prefix: bytes, below: Iterator[tuple[bytes, bytes]], above: list[bytes], reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        """`below` with the pending keys `above`, which are in order, laid over it."""
        cut = len(prefix)
        if not reverse:
            above.reverse()
        for row in below:
            key = prefix + row[0]
            while above and ((above[-1] > key) if reverse else (above[-1] < key)):
                for taken, value in self._take(above.pop()):
                    yield taken[cut:], value
            if above and above[-1] == key:
                for taken, value in self._take(above.pop()):
                    yield taken[cut:], value
            else:
                yield row
        while above:
            for taken, value in self._take(above.pop()):
                yield taken[cut:], value

    def _pending_under(self, prefix: bytes, start: bytes, stop: bytes | None) -> list[bytes]:
        """The pending elements of a collection in [start, stop), in order. Costs what is in that range, and once what
        was written since the last call."""
        if self.fresh:
            self._sort_in()
        keys = self._sorted.get(prefix)
        if keys is None:
            return []
        low = bisect_left(keys, prefix + start) if start else 0
        high = len(keys) if stop is None else bisect_left(keys, prefix + stop)
        pending = self.pending
        return [key for key in keys[low:high] if key in pending]

    def _sort_in(self) -> None:
        if self._sorted_count + len(self.fresh) > 2 * len(self.pending) + _STALE_MAX:
            self._forget_order()
        by_prefix: dict[bytes, list[bytes]] = {}
        for key in self.fresh:
            by_prefix.setdefault(key[:ELEMENT_PREFIX_BYTES], []).append(key)
        self._sorted_count += len(self.fresh)
        self.fresh.clear()
        for prefix, keys in by_prefix.items():
            known = self._sorted.setdefault(prefix, [])
            if len(keys) > _INSERTS_MAX:
                self._sorted[prefix] = sorted({*known, *keys})
                continue
            for key in keys:
                at = bisect_left(known, key)
                if at == len(known) or known[at] != key:
                    known.insert(at, key)

    def _forget_order(self) -> None:
        """Begin anew with what is pending."""
        self._sorted.clear()
        self._sorted_count = 0
        self.fresh[:] = [key for key in self.pending if key[0] == ELEMENT]

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
        if len(self.fresh) > 2 * len(pending) + _STALE_MAX:
            self._forget_order()

    def forget(self) -> None:
        """Drop the effects that were never proposed."""
        self.pending.clear()
        for index, operations in self._unapplied:
            for key, value in zip(operations[::2], operations[1::2], strict=True):
                self.pending[key] = (index, value)  # type: ignore[index]
        self._forget_order()

    def __len__(self) -> int:
        """How many keys have an effect that is not applied."""
        return len(self.pending)
