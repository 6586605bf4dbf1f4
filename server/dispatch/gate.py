"""What stands between some commands and who runs them.

A session that is not plain has guards (server/session.py): it gave no password, its user may not do everything, it
listens, it has a queue, it tracks what it reads. At other times it is the node that is not plain: memory or replicas
are short, clients are paused, somebody MONITORs. The dispatcher asks the gate about each command of such a session, or
at such a time, and about no other.

To add a guard: a bit of Guard, or a term of `is_watched`, and its question in `admit`, where Redis asks it.
"""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from resp import Error, encode
from server.access.caller import Caller
from server.access.check import Denial, check, check_sort
from server.access.context import Node
from server.access.rules import User
from server.commands.client_line import describe_client
from server.commands.table import COMMANDS, Args, Command, Flag
from server.dispatch.caching import GO_ON, Caching
from server.dispatch.connection import Connection
from server.dispatch.pause import Pause
from server.dispatch.texts import SCRIPT_CALLS
from server.errors import NO_AUTH, NO_REPLICAS, ONLY_SUBSCRIBING, OUT_OF_MEMORY
from server.session import Guard, Session

if TYPE_CHECKING:
    from server.dispatch.dispatcher import Dispatcher
    from server.dispatch.transactions import Transactions

_IN_MULTI = frozenset(("exec", "discard", "quit", "reset"))
"""Commands that are not queued."""
_WHILE_SUBSCRIBED = frozenset(
    [
        "subscribe",
        "unsubscribe",
        "psubscribe",
        "punsubscribe",
        "ssubscribe",
        "sunsubscribe",
        "ping",
        "quit",
        "reset",
    ]
)
"""What a RESP2 client may do that listens to channels."""
_TELLING = frozenset(("connection", "transactions"))
"""Groups of commands that tell of a script which takes too long for another shard group."""


class Gate:
    """The part of dispatch that refuses, holds back and shows commands before they run."""

    def __init__(self, dispatcher: "Dispatcher", node: Node, transactions: "Transactions") -> None:
        self._node = node
        self._texts = dispatcher.texts
        self._clustered = len(dispatcher.nodes) * len(dispatcher.data_groups) > 1
        self._observers = dispatcher.observers
        self._transactions = transactions
        self._caching = Caching(dispatcher, node.tracking)
        self.pausing = Pause(dispatcher.texts)
        self.out_of_memory = False
        """Commands that may need more memory are refused."""
        self.short_of_replicas = False
        """Writes are refused."""

    def is_watched(self) -> bool:
        """Whether commands of plain sessions have to pass here too, as the node is not plain."""
        return bool(
            self._node.monitors or self.pausing.until_ms or self.out_of_memory or self.short_of_replicas
        )

    def admit(self, connection: Connection, row: Command, args: Args) -> bytes | None:
        """GO_ON when the command may run now. Otherwise its reply, or None when that comes later."""
        session = connection.session
        if not session.authenticated and not row.flags & Flag.NO_AUTH:
            return self.refuse(session, row, NO_AUTH)
        if session.guards & Guard.RESTRICTED:
            refusal = self.refusal(session, row, args)
            if refusal is not None:
                return self.refuse(session, row, refusal)
        if session.guards & Guard.SUBSCRIBED and session.protocol == 2 and row.name not in _WHILE_SUBSCRIBED:
            return self.refuse(session, row, ONLY_SUBSCRIBING % row.name.encode())
        if self.out_of_memory and self._needs_memory(session, row, args):
            return self.refuse(session, row, OUT_OF_MEMORY)
        if self.short_of_replicas and self._needs_replicas(session, row, args):
            return self.refuse(session, row, NO_REPLICAS)
        if self.pausing.until_ms and self.pausing.concerns(session, row, args):
            self.pausing.hold(connection, args)
            return None
        if session.queue is not None and row.name not in _IN_MULTI:
            busy = self.busy(COMMANDS[b"exec"])
            if busy is not None and not row.flags & (Flag.ALLOW_BUSY | Flag.NO_MULTI):
                return self.refuse(session, row, busy)
            reply = self._transactions.queue(session, row, args)
            if reply[0] == 45:
                row.rejected_calls += 1
                self._node.stats.count_error(reply)
            return reply
        if self._node.monitors:
            self._observers.monitor(session, row, args)
        if session.tracking is not None and session.guards & Guard.TRACKING:
            return self._caching.run(connection, session.tracking, row, args)
        return GO_ON

    def busy(self, row: Command) -> bytes | None:
        """What is said because a script takes too long here. In a cluster it holds up its group alone, but who asks how
        the node is (PING) hears of it, and no transaction is made here meanwhile."""
        text = self._node.busy_script()
        if (
            text is None
            or row.flags & Flag.ALLOW_BUSY
            or (self._clustered and (row.group not in _TELLING or row.flags & Flag.ADMIN))
        ):
            return None
        return text

    def _needs_memory(self, session: Session, row: Command, args: Args) -> bool:
        if row.name == "exec":
            return any(queued.command.needs_space for queued in session.queue or ())
        if row.name not in SCRIPT_CALLS:
            return row.needs_space
        flags = self._texts.flags(row, args)
        return flags is not None and b"allow-oom" not in flags and b"no-writes" not in flags

    def _needs_replicas(self, session: Session, row: Command, args: Args) -> bool:
        if row.name == "exec":
            return any(queued.command.is_write for queued in session.queue or ())
        if row.name not in SCRIPT_CALLS:
            return row.is_write
        flags = self._texts.flags(row, args)
        return flags is not None and b"no-writes" not in flags

    def refuse(self, session: Session, row: Command, text: bytes) -> bytes:
        """The encoded error of a command that does not run: the transaction that it belongs to will not run either, or
        has ended."""
        row.rejected_calls += 1
        if row.name == "exec":
            session.leave_transaction()
            text = b"EXECABORT Transaction discarded because of: " + text.removeprefix(b"ERR ")
        elif session.queue is not None:
            session.queue_broken = True
        reply = encode(Error(text), session.protocol)
        self._node.stats.count_error(reply)
        return reply

    def refusal(self, session: Session, row: Command, args: Args) -> bytes | None:
        """Why the session's user may not run the command, as an error's text; None: the user may."""
        session.last_command = row.name
        user = session.permissions
        queued = session.queue is not None
        db = session.multi_db if queued else session.db
        denial = check(user, row, args, db)
        if denial is not None:
            self.report_denial(session, b"multi" if queued else b"toplevel", user, denial)
            return b"NOPERM " + denial.message(user)
        return None if queued else check_sort(user, row, args, db)

    def report_denial(self, session: Session, where: bytes, user: User, denial: Denial) -> None:
        """Note in ACL LOG that the client was refused something."""
        self._node.users.report(user, denial, where, describe_client(session))

    def caller_of(self, session: Session, rows: Iterable[Command]) -> Caller | None:
        """For whom scripts among these commands run; None when there are none, or everything is allowed."""
        if all(row.group != "scripting" for row in rows):
            return None
        return Caller(session.permissions, partial(self.report_denial, session, b"lua"))
