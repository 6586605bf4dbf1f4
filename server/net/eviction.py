"""maxmemory-clients: when all clients together hold too much memory, those that hold most are closed.

A connection changes what it holds only in a turn that touches it, so at the end of a turn those that it touched are
weighed again. While there is no limit nothing is weighed.
"""

import logging
from collections.abc import Iterable

from server.net.connection import Connection
from server.telemetry.stats import Stats

log = logging.getLogger("redraft.net")


class Evictor:
    """The connections of one node, by what they hold."""

    def __init__(self, stats: Stats) -> None:
        self.limit_bytes = 0
        """What all clients may hold; 0: as much as they like."""
        self._stats = stats
        self._weights: dict[Connection, int] = {}
        self._total = 0

    def limit(self, limit_bytes: int, connections: Iterable[Connection]) -> None:
        """From now on `connections`, which are all there are, may hold so much."""
        if limit_bytes == self.limit_bytes:
            return
        self.limit_bytes = limit_bytes
        self._weights.clear()
        self._total = 0
        if limit_bytes:
            self.weigh(connections)

    def weigh(self, connections: Iterable[Connection]) -> None:
        """What these hold may have changed. Closes as many as it must."""
        weights = self._weights
        for connection in connections:
            if not connection.closed:
                weight = connection.session.memory_bytes
                self._total += weight - weights.get(connection, 0)
                weights[connection] = weight
        if self._total > self.limit_bytes:
            self._evict()

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        self._total -= self._weights.pop(connection, 0)

    def _evict(self) -> None:
        candidates = [one for one in self._weights if not one.session.no_evict]
        for connection in sorted(candidates, key=self._weights.__getitem__, reverse=True):
            if self._total <= self.limit_bytes:
                break
            session = connection.session
            log.warning(
                "Client %d (%s) was closed: it held %d of the %d bytes that all clients held",
                *(session.id, session.address, self._weights[connection], self._total),
            )
            self._stats.evicted_clients += 1
            connection.close()
