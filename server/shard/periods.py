"""When a period ends in which the use of keys is seen: see server/keyspace/uses.py.

What is used in a period has to be found anew in the next one. A second is long enough for that to cost nothing while
a thousand keys are in use; while there are more, periods last longer, so that it always costs the same.
"""

from collections.abc import Mapping

from server.keyspace.hot import HotReplies
from server.shard.clock import TurnClock
from server.shard.shard import Shard

found_per_s = 1000
"""Keys, or what costs as much, that are found anew: under a hundredth of a node's time."""


class Periods:
    """Those of one node."""

    def __init__(self, hot: HotReplies, shards: Mapping[int, Shard], clock: TurnClock) -> None:
        self._hot = hot
        self._shards = shards
        self._clock = clock
        self._began_s = clock.steady_s

    def check(self) -> None:
        """To be called every second: begin a new one if it is time."""
        views = [shard.evaluator.view for shard in self._shards.values() if shard.ready]
        used = self._hot.cost + sum(view.used_count() for view in views)
        if used <= (self._clock.steady_s - self._began_s) * found_per_s:
            self._began_s = self._clock.steady_s
            self._hot.clear()
            for view in views:
                view.end_period(self._clock.now_ms)
