"""What stands between some commands and who runs them.

A session that is not plain has guards (server/session.py): it gave no password, its user may not do everything, it
listens, it has a queue, it tracks what it reads. At other times it is the node that is not plain: memory or replicas
are short, clients are paused, somebody MONITORs. The dispatcher asks the gate about each command of such a session, or
at such a time, and about no other.

To add a guard: a bit of Guard, or a term of `is_watched`, and its question in `admit`, where Redis asks it.
"""

from collections.abc import Callable

from resp import Error, encode
from server.access.context import Node
from server.commands.table import COMMANDS, Args, Command, Flag
from server.dispatch.caching import GO_ON, Caching
from server.dispatch.connection import Connection
from server.dispatch.observers import Observers
from server.dispatch.pause import Pause
from server.dispatch.permissions import Permissions
from server.dispatch.texts import SCRIPT_CALLS, Texts
from server.dispatch.transactions import Transactions
from server.errors import NO_AUTH, NO_REPLICAS, ONLY_SUBSCRIBING, OUT_OF_MEMORY
from server.session import Guard, Session

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

    def __init__(
        self,
        node: Node,
        texts: Texts,
        permissions: Permissions,
        observers: Observers,
        transactions: Transactions,
        caching: Caching,
        *,
        is_cluster: bool,
        run_quietly: Callable[[Connection, Command, Args], bytes | None],
    ) -> None:
        """`run_quietly`: do a command that was let pass, and that does not use what it reads."""
        self._node = node
        self._texts = texts
        self._permissions = permissions
        self._observers = observers
        self._transactions = transactions
        self._caching = caching
        self._is_cluster = is_cluster
        self._run_quietly = run_quietly
        self.pausing = Pause(texts)
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
            refusal = self._permissions.refusal(session, row, args)
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
            answer = self._caching.run(connection, session.tracking, row, args)
            if answer is not GO_ON:
                return answer
        if session.guards & Guard.NO_TOUCH and row.name != "touch":
            return self._run_quietly(connection, row, args)
        return GO_ON

    def busy(self, row: Command) -> bytes | None:
        """What is said because a script takes too long here. In a cluster it holds up its group alone, but who asks how
        the node is (PING) hears of it, and no transaction is made here meanwhile."""
        text = self._node.busy_script()
        if (
            text is None
            or row.flags & Flag.ALLOW_BUSY
            or (self._is_cluster and (row.group not in _TELLING or row.flags & Flag.ADMIN))
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
