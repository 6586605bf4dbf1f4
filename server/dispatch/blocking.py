"""A client whose command waits for a key: its connection takes nothing else until the reply is there.

The command waits at the leader of its key (shard/waiters.py), which may be another node; what stands here is the way
back, and the way to end it early: CLIENT UNBLOCK, and a client that went away.
"""

from server.dispatch.connection import Connection
from server.session import Session
from server.shard.call import Call, Slot
from server.shard.route import Route


class BlockedSlot:
    """The slot of a call that may wait; also what the session holds meanwhile (session.Blocked)."""

    __slots__ = ("_call", "_connection", "_route", "_slot")

    def __init__(self, connection: Connection, route: Route, slot: Slot) -> None:
        self._connection = connection
        self._route = route
        self._slot = slot
        self._call: Call | None = None

    def submit(self, call: Call) -> None:
        """Block the connection and do `call`, whose slot this is."""
        self._call = call
        self._connection.session.blocked = self
        self._connection.block()
        self._route.submit(call)

    @property
    def session(self) -> Session:
        """Whose reply it is."""
        return self._connection.session

    def fill(self, reply: bytes) -> None:
        """See Slot."""
        self._connection.session.blocked = None
        self._slot.fill(reply)
        self._connection.unblock()

    def unblock(self, *, error: bool) -> bool:
        """See session.Blocked."""
        return self._call is not None and self._route.unblock(self._call, error=error)
