"""The leader's state: the data store below, effects that are not applied yet above.

The leader evaluates a command on what the log will make of the data, not on what it has made of it so far. So
the effects of every proposed entry stay in this overlay until they are applied; `observed` tells a reply
which index it has to wait for. When leadership is lost the whole overlay is dropped: it was a guess about the
future.

Two dicts, an older and a younger one, lead from each key to the entry that has its newest effect. When all that the
older one names is applied it is dropped whole, and the younger takes its place. So what is applied stays for a while,
and says what the store says; but no key costs more than its place in a dict, on its way in and on its way out.
"""

from collections import deque
from collections.abc import Iterator
from itertools import chain

from server.keyspace.leveldb import DataStore
from server.keyspace.order import Order, few_max, in_range, overlaid, row_tails, tails, united
from server.keyspace.store import prefix_end

leaving_max = 20_000
"""Keys that leave at once: a few milliseconds."""
scans_min = 8
"""So many scans between two rounds of applying are worth an order of the pending keys."""


Written = dict[bytes, bytes | None]
"""Record to its new value, None for a delete."""


class EntryEffects:
    """What an entry of the log writes; it is proposed or in the making."""

    __slots__ = ("effects", "index")

    def __init__(self, index: int, effects: Written) -> None:
        self.index = index
        self.effects = effects


class Overlay:
    """The Store (keyspace/store.py) of one group at its leader. Keys are relative to the group."""

    __slots__ = (
        "_applied",
        "_get",
        "_is_open",
        "_leaving",
        "_old",
        "_old_order",
        "_old_upto",
        "_prefix",
        "_proposed_keys",
        "_scans",
        "_store",
        "_young",
        "_young_order",
        "observed",
        "pending",
    )

    def __init__(self, store: DataStore, prefix: bytes) -> None:
        self._store = store
        self._get = store.get
        self._prefix = prefix
        self.pending: deque[EntryEffects] = deque()
        """What is not applied, in log order; the last one may still be in the making."""
        self._is_open = False
        """It is."""
        self._young: dict[bytes, EntryEffects] = {}
        """Key to the entry with its newest effect."""
        self._old: dict[bytes, EntryEffects] = {}
        """Likewise, of keys that the younger one may not have; of entries up to `_old_upto`."""
        self._old_upto = 0
        self._applied = 0
        self._proposed_keys = 0
        """Effects of the entries that are proposed and not applied."""
        self._leaving: list[dict[bytes, EntryEffects]] = []
        """Large dicts that were dropped, of which nobody reads any more."""
        self._scans = 0
        """Since something was applied, with much in here."""
        self._young_order: Order | None = None
        """Of the keys of `_young`, when it is worth it."""
        self._old_order: Order | None = None
        self.observed = 0

    def get(self, key: bytes) -> bytes | None:
        """See Store."""
        entry = self._young.get(key)
        if entry is None and self._old:
            entry = self._old.get(key)
        if entry is not None:
            if entry.index > self.observed:
                self.observed = entry.index
            return entry.effects[key]
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
        if not self._young and not self._old:
            return below
        keys = self._above(prefix + start, prefix_end(prefix) if stop is None else prefix + stop, reverse)
        first = next(keys, None)
        if first is None:
            return below
        above = tails(chain((first,), keys), len(prefix))
        return overlaid(below, above, lambda key: self._take(prefix + key), reverse)

    def _above(self, start: bytes, stop: bytes, reverse: bool) -> Iterator[bytes]:
        """The keys in [start, stop) that are in here, in order or its reverse."""
        young, old = self._young, self._old
        if len(young) + len(old) > few_max:
            self._scans += 1
        if self._young_order is None:
            if self._scans < scans_min:
                keys = in_range(young, start, stop, reverse)
                return united(in_range(old, start, stop, reverse), keys, reverse) if old else keys
            self._young_order = Order()
        if self._old_order is None:
            self._old_order = Order(old)
        self._old_order.follow(old)
        self._young_order.follow(young)
        keys = self._young_order.range(start, stop, reverse)
        return united(self._old_order.range(start, stop, reverse), keys, reverse) if old else keys

    def _take(self, key: bytes) -> bytes | None:
        entry = self._young.get(key) or self._old[key]
        if entry.index > self.observed:
            self.observed = entry.index
        return entry.effects[key]

    def begin(self, index: int, effects: Written) -> None:
        """An entry is being made, which will be at `index`; whatever `effects` gets is told by `put`."""
        self._turn_over()
        self.pending.append(EntryEffects(index, effects))
        self._is_open = True

    def put(self, keys: Written) -> None:
        """The entry in the making has effects on these."""
        entry = self.pending[-1]
        young = self._young
        for key in keys:
            young[key] = entry

    def proposed(self) -> None:
        """The entry that was in the making is one of the log."""
        self._is_open = False
        self._proposed_keys += len(self.pending[-1].effects)

    def applied(self, index: int) -> None:
        """Everything up to `index` is in the data store."""
        self._applied = index
        pending = self.pending
        while pending and pending[0].index <= index:
            self._proposed_keys -= len(pending.popleft().effects)
        if self._scans < scans_min:
            self._young_order = self._old_order = None
        self._scans = 0
        self.tidy()

    def tidy(self) -> None:
        """Drop what is applied, a bounded number: a command may have written a million elements. For whenever nothing
        is at work on what lies here."""
        if not self._is_open:
            self._turn_over()
        left = leaving_max
        while self._leaving and left:
            keys = self._leaving[-1]
            while keys and left:
                key, entry = keys.popitem()
                entry.effects.pop(key, None)
                left -= 1
            if not keys:
                self._leaving.pop()

    def _turn_over(self) -> None:
        """Drop what is applied. Not while an entry is in the making, whose effects may lie in both dicts then."""
        if self._applied < self._old_upto:
            return
        self._drop(self._old)
        self._old, self._old_order = self._young, self._young_order
        self._young, self._young_order = {}, None
        if self.pending:
            self._old_upto = self.pending[-1].index
        else:
            self._drop(self._old)
            self._old, self._old_order = {}, None

    def _drop(self, keys: dict[bytes, EntryEffects]) -> None:
        if len(keys) > leaving_max:
            self._leaving.append(keys)

    def forget(self) -> None:
        """Drop the effects that were never proposed."""
        if self._is_open:
            self.pending.pop()
            self._is_open = False
        self._young = {key: entry for entry in self.pending for key in entry.effects}
        self._old = {}
        self._old_upto = 0
        self._young_order = self._old_order = None

    @property
    def is_scanned(self) -> bool:
        """Since something was applied a range was read, which takes the longer the more is pending."""
        return self._scans > 0

    def __len__(self) -> int:
        """How many effects are proposed and not applied."""
        return self._proposed_keys
