"""What a shard deletes because its time has come: keys, and fields of hashes.

A key past its time is gone for every command at once (keyspace/view.py); its record is deleted through the log, when a
command stumbles upon it, and otherwise by the node's cron in the order of time, a bounded number in one go.
"""

from itertools import islice

from server.keyspace.layout import (
    decode_head,
    elements_expiry_range,
    expiry_key,
    expiry_range,
    expiry_time,
    head_key,
)
from server.keyspace.view import View
from server.shard.clock import TurnClock
from server.shard.overlay import Overlay
from server.stats import Stats
from server.types import hashes

expire_keys_per_turn_max = 200
"""Keys deleted by active expiry in one go: about a millisecond."""


class Expirer:
    """The part of Shard that lets keys expire."""

    ready: bool
    wrote: bool
    paused: bool
    _base: Overlay
    _view: View
    _clock: TurnClock
    _turn: int
    _now_ms: int
    _stats: Stats

    def _begin_turn(self) -> None:
        """See Shard, as for all in here that raises this."""
        raise NotImplementedError

    def _collect(self) -> None:
        raise NotImplementedError

    def _keep_events(self) -> None:
        raise NotImplementedError

    def _expire_seen(self) -> None:
        """Delete the keys that commands of this turn found past their time."""
        view = self._view
        seen = set(view.expired)
        view.expired.clear()
        if not self.ready or self.paused:
            return
        for space, key in seen:
            where = head_key(space, key)
            record = self._base.get(where)
            if record is not None:
                self._expire(expiry_key(decode_head(record).expire_ms, where))

    def expire_due(self) -> bool:
        """Delete keys whose time has come, a bounded number; whether there may be more. Only when `ready`."""
        if self._turn != self._clock.turn:
            self._begin_turn()
        start, stop = expiry_range(self._now_ms)
        due = [key for key, _ in islice(self._base.scan(start, stop), expire_keys_per_turn_max)]
        for key in due:
            self._expire(key)
        return self._expire_elements() or len(due) == expire_keys_per_turn_max

    def _expire_elements(self) -> bool:
        """As `expire_due`, for the fields of hashes."""
        view = self._view
        start, stop = elements_expiry_range(self._now_ms)
        left = expire_keys_per_turn_max
        for row, _ in list(islice(self._base.scan(start, stop), left)):
            view.begin(0, 2)
            key = view.select_due(row)
            left -= 1 if key is None else max(hashes.expire_due(view, key, left), 1)
            if view.effects:
                self.wrote = True
                self._collect()
                if view.events:
                    self._keep_events()
            if left <= 0:
                return True
        return False

    def _expire(self, index_key: bytes) -> None:
        view = self._view
        if self._turn != self._clock.turn:
            self._begin_turn()
        view.begin(0, 2)
        if 0 < expiry_time(index_key) <= self._now_ms and view.expire(index_key):
            self._stats.expired_keys += 1
        if view.effects:
            self.wrote = True
            self._collect()
            if view.events:
                self._keep_events()
