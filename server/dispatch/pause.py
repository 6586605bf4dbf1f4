"""CLIENT PAUSE: commands of all clients, or those that may write, wait until its time is over.

What is paused is postponed at its connection, like a command that is blocked, and runs when the pause ends. The
dispatcher asks about a command only while there is a pause.
"""

from server.commands.table import REPLICATED, Args, Command
from server.dispatch.connection import Connection
from server.dispatch.texts import SCRIPT_CALLS, Texts
from server.session import Session


class Pause:
    """The pause of one node's clients, and who waits for its end."""

    __slots__ = ("_connections", "_texts", "_writes_only", "until_ms")

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self.until_ms = 0
        """Unix time; 0: there is none."""
        self._writes_only = False
        self._connections: list[Connection] = []

    def set(self, until_ms: int, writes_only: bool) -> None:
        """Pause until then; 0 ends it, and those that wait go on."""
        self.until_ms = until_ms
        self._writes_only = writes_only
        if not until_ms:
            connections, self._connections = self._connections, []
            for connection in connections:
                connection.session.paused = False
                connection.unblock()

    def hold(self, connection: Connection, args: Args) -> None:
        """This request waits for the end."""
        connection.postpone(args)
        connection.session.paused = True
        self._connections.append(connection)

    def concerns(self, session: Session, row: Command, args: Args) -> bool:
        """Whether the command has to wait."""
        if row.name == "client" or row.name.startswith("client|"):
            return False
        if not self._writes_only:
            return True
        if row.name == "exec":
            return any(self._may_write(queued.command, queued.args) for queued in session.queue or ())
        return session.queue is None and self._may_write(row, args)

    def _may_write(self, row: Command, args: Args) -> bool:
        """A script that says that it writes nothing is taken at its word."""
        if row.name in SCRIPT_CALLS:
            flags = self._texts.flags(row, args)
            return flags is None or b"no-writes" not in flags
        return row.is_write or row.name in REPLICATED
