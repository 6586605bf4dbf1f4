"""What a command has done, and the way back when it fails: its writes, laid over the store below, and its events.

Who reads through a layer sees the store with the writes over it. Nothing of them goes into the store here: who runs the
command takes `effects` away and puts them into the log, and `events` when that is committed to whoever listens.

A handler that raises has done nothing, so both are dropped (`rollback`). A script's commands are done one by one: what
is there when `keep` is called stays.
"""

from collections.abc import Callable, Iterable, Iterator

from server.keyspace.breath import breathe, paced
from server.keyspace.events import Event
from server.keyspace.order import Order, few_max, in_range, overlaid, tails
from server.keyspace.store import Store, prefix_end


class Layer:
    """Writes over a store, and reads through them."""

    __slots__ = ("_base", "_kept_events", "_order", "effects", "events")

    def __init__(self, base: Store) -> None:
        """`base`: the state below, which nobody changes but by these effects."""
        self._base = base
        self.effects: dict[bytes, bytes | None] = {}
        """Store key to new value, or None to delete it."""
        self._order: Order | None = None
        """Of the keys of `effects`, when there are many and somebody scans."""
        self.events: list[Event] = []
        """(class, name, db, key) of events since the last take; the executor publishes and clears them."""
        self._kept_events = 0
        """Events before the last `keep`."""

    # -- reading ---------------------------------------------------------------------------------------------

    def element(self, where: bytes) -> bytes | None:
        """For Collection: the value of the element that lies at `where`."""
        effects = self.effects
        breathe()
        return effects[where] if where in effects else self._base.get(where)

    def elements(self, start: bytes, stop: bytes, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """Everything in [start, stop) of the group's tables: where it lies, and its value."""
        mine = self._mine(start, stop, reverse)
        return paced(overlaid(self._base.scan(start, stop, reverse), mine, self.effects.get, reverse))

    def elements_under(
        self, prefix: bytes, start: bytes, stop: bytes | None, reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        """For Collection: the elements of the one at `prefix` in [start, stop) (None: to the end), and their values."""
        rows = self._base.scan_under(prefix, start, stop, reverse)
        effects = self.effects
        if effects:
            mine = self._mine(prefix + start, prefix_end(prefix) if stop is None else prefix + stop, reverse)
            rows = overlaid(rows, tails(mine, len(prefix)), lambda key: effects.get(prefix + key), reverse)
        return paced(rows)

    def _mine(self, start: bytes, stop: bytes, reverse: bool) -> Iterator[bytes]:
        """The keys in [start, stop) that this command has written, in order or its reverse."""
        effects = self.effects
        if len(effects) <= few_max:
            return in_range(effects, start, stop, reverse)
        if self._order is None:
            self._order = Order()
        self._order.follow(effects)
        return self._order.range(start, stop, reverse)

    # -- the way back ----------------------------------------------------------------------------------------

    def keep(self) -> None:
        """What was done so far stays when `rollback` is called."""
        effects = self.effects
        if isinstance(effects, _Kept):
            effects.undo.clear()
        elif effects:
            self.effects = _Kept(effects)
        self._kept_events = len(self.events)

    def written_since_keep(self) -> Iterable[bytes]:
        """Where something was written since the last `keep`, or since all was taken."""
        effects = self.effects
        return [where for where, _, _ in effects.undo] if isinstance(effects, _Kept) else effects

    def rollback(self) -> None:
        """Forget what was done since the last `keep`, or since all was taken: the handler raised."""
        if isinstance(self.effects, _Kept):
            gone = self.effects.restore()
            if self._order is not None:
                for where in gone:
                    self._order.discard(where)
        else:
            self.effects = {}
            self._order = None
        del self.events[self._kept_events :]

    def abandon(self) -> None:
        """Forget all that was done since all was taken, kept or not: the command is not done, or will be done again."""
        self.effects = {}
        self._order = None
        self.events.clear()
        self._kept_events = 0

    # -- events ----------------------------------------------------------------------------------------------

    def choose_events(self, choose: Callable[[list[Event]], list[Event]]) -> None:
        """Keep of the events since the last `keep` those that `choose` returns."""
        first = self._kept_events
        self.events[first:] = choose(self.events[first:])

    def take_events(self) -> list[Event]:
        """For the executor: the events since the last take."""
        events, self.events = self.events, []
        self._kept_events = 0
        return events


class _Kept(dict[bytes, bytes | None]):
    """Effects of which those until the last `keep` stay; what came since can be taken back."""

    __slots__ = ("undo",)

    def __init__(self, effects: dict[bytes, bytes | None]) -> None:
        super().__init__(effects)
        self.undo: list[tuple[bytes, bool, bytes | None]] = []
        """(key, whether it was there, its value) before each write."""

    def __setitem__(self, key: bytes, value: bytes | None) -> None:
        self.undo.append((key, key in self, self.get(key)))
        super().__setitem__(key, value)

    def restore(self) -> list[bytes]:
        """As at the last `keep`; the keys that are gone."""
        gone = []
        while self.undo:
            key, was_there, value = self.undo.pop()
            if was_there:
                super().__setitem__(key, value)
            else:
                del self[key]
                gone.append(key)
        return gone
