"""Which shards of a node are at work on commands that take long (work.py), and whose slice is next."""

from collections import deque
from time import perf_counter

import trio

from server.shard.shard import Shard

notice_period_s = 0.5
"""Nodes that wait for a group hear that often that it is at work, well within the time that they wait for a leader."""


class Workbench:
    """The shards of a node that are at work."""

    def __init__(self) -> None:
        self._shards: deque[Shard] = deque()
        self._some = trio.Event()
        self._notice_at_s = 0.0

    def add(self, shard: Shard) -> None:
        """It is at work from now on."""
        self._shards.append(shard)
        self._some.set()

    def __len__(self) -> int:
        return len(self._shards)

    def due_notices(self) -> list[int]:
        """Now and then: the groups at work, for nodes that wait for them to hear of."""
        now_s = perf_counter()
        if now_s < self._notice_at_s:
            return []
        self._notice_at_s = now_s + notice_period_s
        return [shard.number for shard in self._shards]

    async def wait(self) -> None:
        """Return when there is work. Nothing happens when it is cancelled."""
        await self._some.wait()

    def go_on(self) -> bool:
        """Give one shard its slice; whether there is more to do."""
        while self._shards:
            shard = self._shards.popleft()
            # Were shard.work the condition, mypyc would take it to be there still after the slice.
            job = shard.work
            if job is not None:
                shard.worker.go_on()
                if shard.work is not None:
                    self._shards.append(shard)
                break
        if not self._shards:
            self._some = trio.Event()
        return bool(self._shards)
