"""What a shard deletes because its time has come: keys, and fields of hashes.

A key past its time is gone for every command at once (keyspace/heads.py); its record is deleted through the log, when a
command stumbles upon it, and otherwise by the node's cron in the order of time, a bounded number in one go.

The cron asks ten times a second, and LevelDB walks over whatever was deleted lately to find that there is nothing: what
has expired, and, behind the last row of a group, the keys and elements of the next. So the view knows a time before
which nothing is due; until then nobody looks, and then from there on.
"""

from collections.abc import Iterable
from itertools import islice

from server.keyspace.layout import (
    NEVER_MS,
    decode_head,
    elements_expiry_range,
    expiry_key,
    expiry_range,
    expiry_time,
    head_key,
)
from server.keyspace.view import View
from server.shard.evaluator import Evaluator
from server.shard.overlay import Overlay
from server.telemetry.stats import Stats
from server.types import hashes

expire_keys_per_turn_max = 200
"""Keys deleted by active expiry in one go: about a millisecond."""


class Expirer:
    """The part of a shard that deletes what is past its time."""

    def __init__(self, evaluator: Evaluator, stats: Stats) -> None:
        self._evaluator = evaluator
        self._stats = stats
        self._view: View | None = None
        self._upto = b""
        """In this view, of the rows whose time is `due_ms` there are none up to this one: many keys may expire at one
        time, and LevelDB would walk over all that have gone."""

    def expire_seen(self, seen: Iterable[tuple[int, bytes]]) -> None:
        """Delete the keys (space, key) that commands of this turn found past their time. If there are many,
        the cron has the others."""
        _, base = self._evaluator.step_in()
        for space, key in islice(seen, expire_keys_per_turn_max):
            where = head_key(space, key)
            record = base.get(where)
            if record is not None:
                self._expire(expiry_key(decode_head(record).expire_ms, where))

    def expire_due(self) -> bool:
        """Delete keys whose time has come, a bounded number; whether there may be more. Only when `ready`."""
        view, base = self._evaluator.step_in()
        due: list[bytes] = []
        if view.due_ms <= view.now_ms:
            start, stop = expiry_range(NEVER_MS, view.due_ms)
            if self._view is view and self._upto > start and expiry_time(self._upto) == view.due_ms:
                start = self._upto
            due, view.due_ms = _due(base, (start, stop), view.now_ms)
            self._upto = b""
            if len(due) == expire_keys_per_turn_max:
                self._view, self._upto, view.due_ms = view, due[-1], expiry_time(due[-1])
            for key in due:
                self._expire(key)
        return self._expire_elements() or len(due) == expire_keys_per_turn_max

    def _expire_elements(self) -> bool:
        """As `expire_due`, for the fields of hashes."""
        view, base = self._evaluator.step_in()
        if view.elements_due_ms > view.now_ms:
            return False
        span = elements_expiry_range(NEVER_MS, view.elements_due_ms)
        rows, view.elements_due_ms = _due(base, span, view.now_ms)
        left = expire_keys_per_turn_max
        for row in rows:
            view.begin(0, 2)
            key = view.select_due(row)
            deleted = 0 if key is None else hashes.expire_due(view, key, left)
            self._stats.expired_fields += deleted
            left -= max(deleted, 1)
            self._evaluator.take_in()
            if left <= 0:
                return True
        return False

    def _expire(self, index_key: bytes) -> None:
        view, _ = self._evaluator.step_in()
        view.begin(0, 2)
        if 0 < expiry_time(index_key) <= view.now_ms and view.expire(index_key):
            self._stats.expired_keys += 1
        self._evaluator.take_in()


def _due(base: Overlay, span: tuple[bytes, bytes], now_ms: int) -> tuple[list[bytes], int]:
    """The first rows of an expiry index that are due, and a time before which there will be none when they are gone."""
    due: list[bytes] = []
    for row, _ in base.scan(*span):
        if expiry_time(row) > now_ms:
            return due, expiry_time(due[0] if due else row)
        due.append(row)
        if len(due) == expire_keys_per_turn_max:
            break
    return due, expiry_time(due[0]) if due else NEVER_MS
