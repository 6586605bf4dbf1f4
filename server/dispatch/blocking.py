"""A client whose command waits for a key: its connection takes nothing else until the reply is there.

The command waits at the leader of its key (shard/waiters.py), which may be another node; what stands here is the way
back, and the way to end it early: CLIENT UNBLOCK, a client that went away, a user that may not do this any more.
"""

from collections.abc import Callable

from resp import Error, encode
from server.commands.table import Args, Command
from server.dispatch.connection import Connection
from server.errors import CLIENT_UNBLOCKED
from server.session import Session
from server.shard.call import Call, Overtaken, Slot
from server.shard.route import Route


class BlockedSlot:
    """The slot of a call that may wait; also what the session holds meanwhile (session.Blocked)."""

    __slots__ = ("_call", "_connection", "_log_slow", "_refusal", "_refuse", "_route", "_slot")

    def __init__(
        self,
        connection: Connection,
        route: Route,
        slot: Slot,
        refuse: Callable[[Session, Command, Args], bytes | None],
    ) -> None:
        """`refuse`: why the session's user may not run a command, as an error's text."""
        self._refuse = refuse
        self._refusal: bytes | None = None
        """The error in whose place the command was unblocked."""
        self._connection = connection
        self._route = route
        self._slot = slot
        self._call: Call | None = None
        self._log_slow: Callable[[], None] | None = None

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

    def overtaken(self, args: Args, known: Overtaken) -> bool:
        """See Slot."""
        return False

    def fill(self, reply: bytes) -> None:
        """See Slot."""
        session = self._connection.session
        session.blocked = None
        if self._refusal is not None and reply == encode(Error(CLIENT_UNBLOCKED), session.protocol):
            reply = encode(Error(self._refusal), session.protocol)
        self._slot.fill(reply)
        if self._log_slow is not None:
            self._log_slow()
        self._connection.unblock()

    def unblock(self, *, error: bool) -> bool:
        """See session.Blocked."""
        return self._call is not None and self._route.unblock(self._call, error=error)

    def log_slow(self, log: Callable[[], None]) -> None:
        """See session.Blocked."""
        self._log_slow = log

    def check(self) -> None:
        """See session.Blocked. What was served meanwhile stays so."""
        call = self._call
        if call is not None and self._refusal is None:
            self._refusal = self._refuse(self._connection.session, call.command, call.args)
            if self._refusal is not None:
                self._route.unblock(call, error=True)
