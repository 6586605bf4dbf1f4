"""WAIT and WAITAOF: on how many replicas the writes before them are for certain.

A client's writes are committed when it is answered, so a majority has them. How many have them in all, each group's
leader knows: of the groups that this node leads it sees that for itself, of the others it asks (`_matches`, see
shard/forward.py). What counts is what was committed when WAIT began, in any group, not what others write since; a group
whose leader can not be reached counts with its majority.
"""

from collections.abc import Callable

import trio

from server.cluster.topology import SYSTEM_GROUP
from server.commands.arguments import bounded_integer, integer
from server.commands.context import Context
from server.commands.table import BLOCKING, NODE, READONLY, Args, Reply, command
from server.errors import CLIENT_UNBLOCKED, CommandError
from server.keyspace.view import View

_POLL_S = 0.005
"""How soon WAIT looks again: a fraction of the time that a replica needs for a synced write over a network."""
_POLL_MAX_S = 0.04
"""Each time it looks twice as late, up to this."""


@command("_matches", arity=2, flags=READONLY, group="server")
def matches(view: View, args: Args) -> Reply:
    """At its leader: [index, how many others have the log up to there], of an index, or with 0 of the commit index. It
    is answered where it arrives from another node; when that leads no more it comes here, and tells nothing."""
    return None


class _Count:
    """Groups and the replicas of each that have what was committed when each was first seen."""

    def __init__(self, context: Context, wanted: int) -> None:
        self._context = context
        self._wanted = wanted
        self._indexes: dict[int, int] = {}
        topology = context.node.topology
        self._found = {
            info.group: len(topology.groups[info.group].replicas) // 2
            for info in context.node.group_infos()
            if info.group != SYSTEM_GROUP
        }
        """A majority at least, this node or the leader not counted."""

    @property
    def least(self) -> int:
        """What can be said of all groups."""
        return min(self._found.values(), default=0)

    def look(self) -> list[int]:
        """See to the groups that this node leads. Returns the others of which more can be known."""
        me = self._context.node.topology.me
        elsewhere = []
        for info in self._context.node.group_infos():
            if info.group not in self._found:
                continue
            if info.role == "leader":
                index = self._indexes.setdefault(info.group, info.commit)
                self._found[info.group] = sum(
                    node != me and match >= index for node, match, _, _ in info.peers
                )
            elif self._found[info.group] < self._wanted:
                elsewhere.append(info.group)
        return elsewhere

    async def ask(self, groups: list[int]) -> None:
        """Ask the leaders of these. When cancelled, those that have not answered count as before."""
        async with trio.open_nursery() as nursery:
            for group in groups:
                nursery.start_soon(self._ask, group)

    async def _ask(self, group: int) -> None:
        request = [b"_matches", b"%d" % self._indexes.get(group, 0)]
        answer = await self._context.node.call(group, 0, request)
        if isinstance(answer, list):
            self._indexes[group], self._found[group] = answer


class _Waiting:
    """A client at WAIT or WAITAOF, see session.Blocked."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.error = False

    def unblock(self, *, error: bool) -> bool:
        """End it, with what there is or with an error."""
        self.error = error
        self.scope.cancel()
        return True

    def check(self) -> None:
        """It reads nothing that rules are about."""

    def log_slow(self, log: Callable[[], None]) -> None:
        """It has done what it does, but for the waiting."""
        log()


async def _wait_for_replicas(context: Context, wanted: int, timeout_ms: int) -> int:
    """Wait until `wanted` replicas have everything, or the time is over (0: never). Raises CommandError when CLIENT
    UNBLOCK ends it with an error."""
    session, waiting, count = context.session, _Waiting(), _Count(context, wanted)
    elsewhere = count.look()
    if count.least >= wanted or context.in_transaction:
        return count.least
    if timeout_ms:
        waiting.scope.deadline = trio.current_time() + timeout_ms / 1000
    session.blocked = waiting
    pause_s = _POLL_S
    try:
        with waiting.scope:
            await count.ask(elsewhere)
            while count.least < wanted:
                await trio.sleep(pause_s)
                pause_s = min(2 * pause_s, _POLL_MAX_S)
                await count.ask(count.look())
    finally:
        session.blocked = None
    if waiting.error:
        raise CommandError(CLIENT_UNBLOCKED)
    return count.least


def _timeout(word: bytes) -> int:
    timeout_ms = integer(word, b"ERR timeout is not an integer or out of range")
    if timeout_ms < 0:
        raise CommandError(b"ERR timeout is negative")
    return timeout_ms


@command(
    "wait",
    arity=3,
    flags=BLOCKING,
    where=NODE,
    since="3.0.0",
    group="generic",
    categories="connection -keyspace",
)
async def wait(context: Context, args: Args) -> Reply:
    """Blocks until the asynchronous replication of all preceding write commands sent by the connection is completed."""
    wanted, timeout_ms = integer(args[1]), _timeout(args[2])
    return await _wait_for_replicas(context, wanted, timeout_ms)


@command(
    "waitaof",
    arity=4,
    flags=BLOCKING,
    where=NODE,
    since="7.2.0",
    group="generic",
    categories="connection -keyspace",
)
async def waitaof(context: Context, args: Args) -> Reply:
    """Blocks until all of the preceding write commands sent by the connection are on disk here and on replicas."""
    local = integer(args[1])
    if not 0 <= local <= 1:
        raise CommandError(b"ERR value is out of range, value must between 0 and 1")
    replicas = bounded_integer(args[2], 0, 2**63 - 1, b"ERR value is out of range, must be positive")
    timeout_ms = _timeout(args[3])
    return [1, await _wait_for_replicas(context, replicas, timeout_ms)]
