"""Checkpoints and compaction: how the log stays short, and restarts quick.

A checkpoint syncs the data store and then notes, per group, the applied index from before the sync as durable_applied,
with the members as of it. Only what is durable there may leave the log. It leaves the log when twice as much is
retained as the options say, down to what they say, and never past the start of a snapshot that is on its way: the
receiver needs the log from there on. Nor does the leader drop what a member in touch lacks, within bounds: one large
entry is longer than all that is retained, and whoever gets it a moment later than the others needs no snapshot.

Order on disk: first the data (sync_state), then the base in the log (synced), then the entries, a few at a time so that
writes do not wait.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import trio

from raft.core.messages import ConfState

if TYPE_CHECKING:
    from raft.runtime.group import Group
    from raft.runtime.host import Host


@dataclass(frozen=True, slots=True)
class _Point:
    """A state that the next sync makes durable."""

    group: "Group"
    index: int
    conf: ConfState


class Compaction:
    """Part of a Host."""

    def __init__(self, host: "Host", sync_state: Callable[[], None]) -> None:
        self._host = host
        self._sync_state = sync_state

    async def run(self) -> None:
        """Look now and then, until cancelled (which loses at most the deletion of garbage)."""
        while True:
            await trio.sleep(self._host.options.maintenance_s)
            if self._host.failed is None and any(map(self._is_due, self._host.groups.values())):
                await self.checkpoint()

    async def checkpoint(self) -> None:
        """Sync the data, move every durable_applied, and compact what is long enough. One caller at a time."""
        host = self._host
        points = self._points()
        await host.bulk.call(self._sync_state)
        for point in points:
            if self._note(point, self._cut(point)):
                group_id, base = point.group.id, point.group.log.base
                await host.disk.call(partial(host.store.compact, group_id, base))
                while await host.disk.call(partial(host.store.sweep, group_id)):
                    pass

    def checkpoint_at_close(self) -> None:
        """Sync the data and move every durable_applied, for a host whose loop and threads have ended."""
        points = self._points()
        self._sync_state()
        for point in points:
            if self._note(point, point.group.log.base.index):
                self._host.store.compact(point.group.id, point.group.log.base)

    def _is_due(self, group: "Group") -> bool:
        options, log = self._host.options, group.log
        fresh_entries = group.applied - log.durable_applied
        if fresh_entries >= options.checkpoint_entries:
            return True
        return fresh_entries > 0 and log.size_bytes_above(log.durable_applied) >= options.checkpoint_bytes

    def _points(self) -> list[_Point]:
        return [
            _Point(group, group.applied, group.node.conf)
            for group in self._host.groups.values()
            if group.applied > group.log.durable_applied and group.installing is None
        ]

    def _note(self, point: _Point, upto_index: int) -> bool:
        """Move the base in memory. False when a snapshot came in between: it has a base of its own."""
        log = point.group.log
        if point.group.installing is not None or log.durable_applied >= point.index:
            return False
        log.compacted(upto_index, log.term(upto_index), point.conf, point.index)
        return True

    def _cut(self, point: _Point) -> int:
        options, log = self._host.options, point.group.log
        base_index = log.base.index
        entries = log.last_index - base_index
        if log.size_bytes < 2 * options.log_retain_bytes and entries < 2 * options.log_retain_entries:
            return base_index
        upto = min(log.index_keeping(options.log_retain_bytes, options.log_retain_entries), point.index)
        for pin in (self._host.snapshots.pinned(point.group), point.group.reached_by_all):
            if pin is not None and log.size_bytes_above(pin) <= options.log_pinned_bytes_max:
                upto = min(upto, pin)
        return max(upto, base_index)
