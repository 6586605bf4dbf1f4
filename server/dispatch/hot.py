"""Replies that need nobody: GETs, and commands that are `kept`, of keys that have not changed since the last one.

The shards of the node keep them at hand, and see to it that they are true (server/keyspace/hot.py).
What is left to do here is to count, and to look at the lease, once for all requests of a pipeline.
"""

from itertools import islice
from time import perf_counter_ns
from typing import Final

from raft.core.quorum import UNBOUNDED as NEVER_ENDS_US
from resp import encode
from server.commands.table import COMMANDS, PLAIN, Args, Command
from server.keyspace.hot import MISSING
from server.session import Session
from server.shard.clock import TurnClock, boot_time_us
from server.shard.router import Router

_NULL: Final = {protocol: encode(None, protocol) for protocol in (2, 3)}
HOT: Final[dict[bytes, Command]] = {}
"""What `HotAnswers` answers, as clients spell it: GET, and what is `kept`."""
_GET: Final = frozenset((b"GET", b"get"))
hot_ns_max = 20_000
"""What `HotAnswers` answers has not taken longer, and is in no slow log that asks for more."""
found_bytes_max = 1 << 18
"""No more of large replies are gathered at once."""


class HotAnswers:
    """Those of one node's groups."""

    __slots__ = ("_clock", "_lease_until_us", "_parts", "_replies", "_router", "turn")

    def __init__(self, router: Router, clock: TurnClock) -> None:
        self._router = router
        self._clock = clock
        self._replies = router.hot.databases
        self._parts = router.hot.parts
        self.turn = 0
        """The turn for which `_lease_until_us` was asked; 0, as when a shard has kept a reply: to be asked anew."""
        self._lease_until_us = 0
        get = COMMANDS[b"get"]
        HOT.update((name, row) for name, row in PLAIN.items() if row is get or row.kept)

    def answer(self, session: Session, requests: list[Args], start: int) -> list[bytes]:
        """The replies to the requests of one command, one of HOT, that stand at `start` of `requests`, as far as they
        are at hand; none that is not. Only for a session without guards while nobody is attentive."""
        began_ns = perf_counter_ns()
        row = HOT[requests[start][0]]
        found = (
            self._found_parts(session, requests, start) if row.kept else self._found(session, requests, start)
        )
        if not found:
            return found
        turn = self._clock.turn
        if self.turn != turn:
            self.turn = turn
            self._lease_until_us = self._router.lease_until_us()
        # As in Shard: the proof of leadership is looked at after the value was read.
        if self._lease_until_us != NEVER_ENDS_US and boot_time_us() >= self._lease_until_us:
            return []
        count = len(found)
        row.calls += count
        session.last_command = row.name
        elapsed_ns = perf_counter_ns() - began_ns
        row.elapsed_ns += elapsed_ns
        row.buckets[(elapsed_ns // (1000 * count)).bit_length()] += count
        return found

    def _found(self, session: Session, requests: list[Args], start: int) -> list[bytes]:
        """The replies to GETs that are at hand."""
        replies = self._replies[session.db]
        null = _NULL[session.protocol]
        found = []
        for args in requests if not start else islice(requests, start, None):
            if len(args) != 2 or args[0] not in _GET:
                break
            reply = replies.get(args[1])
            if reply is None:
                break
            found.append(reply if reply is not MISSING else null)
        return found

    def _found_parts(self, session: Session, requests: list[Args], start: int) -> list[bytes]:
        """The replies to requests of a command that is `kept`."""
        keys = self._parts[session.db]
        name = requests[start][0]
        protocol = session.protocol
        found: list[bytes] = []
        size_bytes = 0
        for at in range(start, len(requests)):
            args = requests[at]
            if args[0] != name or len(args) < 2 or size_bytes > found_bytes_max:
                break
            parts = keys.get(args[1])
            reply = parts and parts.get((protocol, *args))
            if not reply:
                break
            found.append(reply)
            size_bytes += len(reply)
        return found
