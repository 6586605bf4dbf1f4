"""Reads from a replica, for a client that said READONLY: what is applied here, if that is no older than allowed.

A worker thread goes on applying entries meanwhile. A command that looks at several records could see one as it was
before an entry and another one as it is behind it; so it is done again when something was applied in between, and when
that happens over and over it is for the leader.
"""

from typing import TYPE_CHECKING

from resp import encode
from server.commands.table import Args, Command
from server.errors import WouldBlock
from server.keyspace.breath import TooLong, begin_attempt, end_attempt
from server.shard.clock import GroupClock
from server.shard.failure import failure
from server.shard.replica import Replica
from server.shard.views import Views
from server.telemetry.stats import Stats

if TYPE_CHECKING:
    from raft.runtime.group import Group

attempts_max = 4
"""At a read, before it goes to the leader."""


class StaleReads:
    """Those of one group on one node."""

    def __init__(
        self, replica: Replica, clock: GroupClock, stats: Stats, views: Views, *, max_ms: int
    ) -> None:
        """`max_ms`: so old may it be what the replica has applied."""
        self._replica = replica
        self._clock = clock
        self._stats = stats
        self._views = views
        self._max_ms = max_ms

    def evaluate(self, group: "Group", command: Command, args: Args, db: int, protocol: int) -> bytes | None:
        """Run a reading command; None when what is here may be too old, or is not one consistent state, or the command
        takes long or blocks, and is for the leader then."""
        if not group.consistent or group.age_s * 1000 > self._max_ms:
            return None
        replica = self._replica
        for _ in range(attempts_max):
            writes = replica.writes
            try:
                reply = self._read(command, args, db, protocol)
            except (TooLong, WouldBlock):
                return None
            except Exception as error:
                if not _changed(replica, writes):
                    return failure(command, error, protocol, self._stats)
            else:
                if not _changed(replica, writes):
                    return reply
        return None

    def _read(self, command: Command, args: Args, db: int, protocol: int) -> bytes:
        replica = self._replica
        view = self._views.make_stale(replica, replica.meta())
        view.begin_entry(self._clock.now_ms(replica.clock_ms), 0)
        view.begin(db, protocol)
        begin_attempt()
        try:
            return encode(command.handler(view, args), protocol)
        finally:
            end_attempt()


def _changed(replica: Replica, writes: int) -> bool:
    """Whether something was, or may have been, applied since `writes`."""
    return replica.writes != writes or writes % 2 == 1
