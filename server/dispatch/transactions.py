"""MULTI, EXEC, DISCARD, WATCH, UNWATCH.

Queued commands of one shard group become one Call and one log entry. WATCH remembers each key's revision,
asked at its leader; EXEC sends them along, and the leader compares before it runs anything. Nothing about a
transaction lives outside of the session until then, so a leader that changes in between costs nothing.

NODE commands inside a transaction (SELECT, PING, PUBLISH…) run on the client's node: those that stand before the
first keyed command before it, the others after it. Where keys are watched all of them come after it: should these have
changed, nothing is run.

Commands that walk all keys have a twin `_name` for use in here.

Error semantics: https://redis.io/docs/latest/develop/interact/transactions/#errors-inside-a-transaction
"""

from collections.abc import Callable
from time import perf_counter_ns
from types import CoroutineType
from typing import Any

from resp import NULL_ARRAY, OK, QUEUED, Error, Raw, encode
from server.access.check import EXEC_REASONS, EXEC_TEXT, check, check_sort
from server.commands.arguments import parse_int64
from server.commands.context import Context
from server.commands.table import (
    ALL,
    ALLOW_BUSY,
    COMMANDS,
    FAST,
    LOADING,
    NO_MULTI,
    NODE,
    NOSCRIPT,
    READONLY,
    SHARD,
    SKIP_COMMANDLOG,
    STALE,
    Args,
    Command,
    Keys,
    Reply,
    command,
    lookup,
)
from server.dispatch.asking import Answer
from server.dispatch.connection import Connection
from server.dispatch.node_commands import NodeCommands
from server.dispatch.observers import Observers
from server.dispatch.permissions import Permissions
from server.dispatch.places import Places
from server.dispatch.texts import Texts
from server.errors import CROSS_SLOT, INTERNAL, CommandError
from server.keyspace.breath import paced
from server.keyspace.view import View
from server.session import Queued, Session
from server.shard.call import Call, Later, Slot, Transaction
from server.shard.gather import decode
from server.shard.route import Route

_NEVER = (1 << 63) - 1
"""The revision of no key: what was watched while a script kept the group counts as changed."""
TRANSACTION_FLAGS = NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY


@command(
    "multi", arity=1, flags=TRANSACTION_FLAGS | NO_MULTI, where=NODE, since="1.2.0", group="transactions"
)
def multi(context: Context, args: Args) -> Reply:
    """Starts a transaction."""
    context.session.queue = []
    context.session.queue_broken = False
    context.session.multi_db = context.session.db
    return OK


@command(
    "discard",
    arity=1,
    flags=TRANSACTION_FLAGS,
    where=NODE,
    since="2.0.0",
    group="transactions",
    complexity="O(N), when N is the number of queued commands",
)
def discard(context: Context, args: Args) -> Reply:
    """Discards a transaction."""
    if context.session.queue is None:
        raise CommandError(b"ERR DISCARD without MULTI")
    context.session.leave_transaction()
    return OK


@command("unwatch", arity=1, flags=TRANSACTION_FLAGS, where=NODE, since="2.2.0", group="transactions")
def unwatch(context: Context, args: Args) -> Reply:
    """Forgets about watched keys of a transaction."""
    context.session.watched = None
    return OK


@command(
    "watch",
    arity=-2,
    flags=TRANSACTION_FLAGS | NO_MULTI,
    keys=Keys(1, -1, 1, access="RO"),
    where=NODE,
    since="2.2.0",
    group="transactions",
    complexity="O(1) for every key.",
)
def watch(context: Context, args: Args) -> Reply:
    """Monitors changes to keys to determine the execution of a transaction."""
    raise AssertionError("run by Transactions.watch")


@command(
    "exec",
    arity=1,
    flags=NOSCRIPT | LOADING | STALE | SKIP_COMMANDLOG,
    where=NODE,
    since="1.2.0",
    group="transactions",
    complexity="Depends on commands in the transaction",
)
def exec_(context: Context, args: Args) -> Reply:
    """Executes all commands in a transaction."""
    raise AssertionError("run by Transactions.execute")


@command("_refuse", arity=2, where=NODE, group="transactions")
def refuse(context: Context, args: Args) -> Reply:
    """Answers with an error."""
    raise CommandError(args[1])


@command("_watch", arity=-2, flags=READONLY, keys=ALL, where=SHARD, group="transactions")
def watch_keys(view: View, args: Args) -> Reply:
    """The revision of each key, for WATCH."""
    return [view.watch_revision(key) for key in paced(iter(args[1:]))]


class Transactions:
    """The part of dispatch that knows sessions with a queue or with watched keys."""

    def __init__(
        self,
        places: Places,
        node_commands: NodeCommands,
        texts: Texts,
        permissions: Permissions,
        observers: Observers,
        *,
        databases: int,
        end_turn: Callable[[], None],
    ) -> None:
        """`databases`: how many there are; `end_turn`: carries out what has been submitted."""
        self._places = places
        self._node_commands = node_commands
        self._texts = texts
        self._permissions = permissions
        self._observers = observers
        self._databases = databases
        self._end_turn = end_turn
        self._watch_row = COMMANDS[b"_watch"]
        self._exec_row = COMMANDS[b"exec"]
        self._fail_row = COMMANDS[b"_fail"]

    def queue(self, session: Session, row: Command, args: Args) -> bytes:
        """A command between MULTI and EXEC: check what can be checked now, and keep it."""
        if row.flags & NO_MULTI:
            session.queue_broken = True
            text = b"ERR Command '" + row.error_name + b"' not allowed inside a transaction"
            return encode(Error(text), session.protocol)
        # A command that asks all nodes has a twin that runs on the view of one group.
        row = COMMANDS.get(b"_" + row.error_name, row)
        try:
            self._places.check_routable(row, args)
        except CommandError as error:
            session.queue_broken = True
            return encode(Error(error.text), session.protocol)
        assert session.queue is not None
        session.queue.append(Queued(row, args, session.multi_db))
        session.queued_bytes += sum(map(len, args))
        if row.name == "select":
            db = parse_int64(args[1])
            if db is not None and 0 <= db < self._databases:
                session.multi_db = db
        return encode(QUEUED, session.protocol)

    def watch(self, connection: Connection, args: Args) -> bytes | None:
        """WATCH: ask for the revisions; the client's next command waits until they are there."""
        session = connection.session
        protocol = session.protocol
        watched = session.watched if session.watched is not None else {}
        keys = [key for key in dict.fromkeys(args[1:]) if (session.db, key) not in watched]
        groups = {self._places.group_of(key) for key in (*keys, *(key for _, key in watched))}
        if len(groups) > 1:
            return encode(Error(CROSS_SLOT), protocol)
        if not keys:
            session.watched = watched
            return encode(OK, protocol)
        question = [b"_watch", *keys]
        try:  # a client that heard MOVED only for what it queues would have lost its watches
            self._places.check_routable(self._watch_row, question)
        except CommandError as error:
            return encode(Error(error.text), protocol)
        session.watched = watched
        db = session.db
        slot = connection.defer(args)
        connection.block()

        def then(reply: bytes) -> None:
            if reply[:1] == b"*":
                watched.update(zip(((db, key) for key in keys), decode(reply), strict=True))
            elif reply.startswith(b"-BUSY"):
                watched.update(dict.fromkeys(((db, key) for key in keys), _NEVER))
            else:
                session.watched = None
                slot.fill(reply)
                connection.unblock()
                return
            slot.fill(encode(OK, protocol))
            connection.unblock()

        call = Call(self._watch_row, question, db, protocol, Later(then))
        self._places.route_of(keys[0]).submit(call)
        return None

    def execute(self, connection: Connection, args: Args) -> bytes | None:
        """EXEC."""
        session = connection.session
        queue, watched, broken = session.queue, session.watched or {}, session.queue_broken
        if queue is None:
            return encode(Error(b"ERR EXEC without MULTI"), session.protocol)
        session.leave_transaction()
        if broken:
            return encode(
                Error(b"EXECABORT Transaction discarded because of previous errors."), session.protocol
            )
        if session.permissions is not None:
            queue = self._check_again(session, queue)
        try:
            route = self._route(queue, watched)
        except CommandError as error:
            return encode(
                Error(b"EXECABORT Transaction discarded because of: " + error.text), session.protocol
            )
        keyed = [queued for queued in queue if not queued.command.is_node]
        slot = connection.defer(args)
        if route is None or len(keyed) < len(queue) or any(queued.command.needs_text for queued in keyed):
            connection.start(self._execute_mixed(connection, queue, watched, route), slot, session.protocol)
        else:
            transaction = self._transaction(keyed, watched)
            route.submit(self._call(transaction, session, slot))
            self._observers.was_run(transaction, session)
        return None

    def _transaction(self, keyed: list[Queued], watched: dict[tuple[int, bytes], int]) -> Transaction:
        return Transaction(
            [(queued.command, queued.args, queued.db) for queued in keyed],
            [(db, key, revision) for (db, key), revision in watched.items()],
        )

    def _check_again(self, session: Session, queue: list[Queued]) -> list[Queued]:
        """The commands that the client's user may run now; in the place of the others, errors."""
        user, db = session.permissions, session.db
        checked = []
        for queued in queue:
            row = lookup(queued.args)
            assert row is not None
            denial = check(user, row, queued.args, db)
            if denial is not None:
                self._permissions.report(session, b"multi", user, denial)
                error: bytes | None = EXEC_TEXT + EXEC_REASONS[denial.reason]
            else:
                error = check_sort(user, row, queued.args, db)
            if error is not None:
                checked.append(Queued(COMMANDS[b"_refuse"], [b"_refuse", error], db))
                continue
            checked.append(Queued(queued.command, queued.args, db))
            if row.name == "select":
                selected = parse_int64(queued.args[1])
                db = selected if selected is not None and 0 <= selected < self._databases else db
        return checked

    def _call(self, transaction: Transaction, session: Session, slot: Slot) -> Call:
        call = Call(
            self._exec_row, [b"exec"], session.db, session.protocol, slot, transaction, session.origin
        )
        call.caller = self._permissions.caller_of(session, (row for row, _, _ in transaction.commands))
        return call

    def _route(self, queue: list[Queued], watched: dict[tuple[int, bytes], int]) -> Route | None:
        """The one group of all that is queued and watched; None when there is none. Raises CommandError."""
        places = self._places
        groups = {places.group_of(key) for _, key in watched}
        for queued in queue:
            if not queued.command.is_node:
                found = places.groups_of(queued.command, queued.args)
                if found is not places.anywhere:
                    groups.update(found)
        if len(groups) > 1:
            raise CommandError(CROSS_SLOT)
        if not groups and any(not queued.command.is_node for queued in queue):
            groups.update(places.anywhere)
        return places.routes[groups.pop()] if groups else None

    async def _execute_mixed(
        self,
        connection: Connection,
        queue: list[Queued],
        watched: dict[tuple[int, bytes], int],
        route: Route | None,
    ) -> Any:
        """A transaction with NODE commands among the keyed ones."""
        replies: dict[int, Any] = {}
        db = connection.session.db
        first_keyed = next((at for at, queued in enumerate(queue) if not queued.command.is_node), None)
        for at, queued in enumerate(queue):
            if at == (0 if watched else first_keyed):
                assert route is not None
                keyed = [number for number, other in enumerate(queue) if not other.command.is_node]
                reply = await self._ask(
                    route, [queue[number] for number in keyed], watched, connection.session
                )
                if reply[:1] != b"*" or reply[:2] == b"*-":
                    connection.session.db = db  # whatever SELECT has made of it
                    return NULL_ARRAY if reply[:1] in b"*_" else Raw(reply)
                for number, element in zip(keyed, split_array(reply), strict=True):
                    replies[number] = Raw(element)
            if queued.command.is_node:
                replies[at] = await self._run_node(connection, queued)
        return [replies[at] for at in range(len(queue))]

    async def _ask(
        self, route: Route, keyed: list[Queued], watched: dict[tuple[int, bytes], int], session: Session
    ) -> bytes:
        keyed = [await self._prepare(queued, route.group) for queued in keyed]
        answer = Answer()
        transaction = self._transaction(keyed, watched)
        route.submit(self._call(transaction, session, answer))
        self._end_turn()
        reply = await answer.wait()
        self._observers.was_run(transaction, session)
        return reply

    async def _prepare(self, queued: Queued, group: int) -> Queued:
        """The command with the text that it needs; one that can not be, as one that fails."""
        if not queued.command.needs_text:
            return queued
        try:
            row, args = await self._texts.fetch(queued.command, queued.args, group)
        except CommandError as error:
            row, args = self._fail_row, [b"_fail", error.text]
        return Queued(row, args, queued.db)

    async def _run_node(self, connection: Connection, queued: Queued) -> Any:
        nodes = self._node_commands
        try:
            context = nodes.context(connection)
            context.in_transaction = True
            queued.command.calls += 1
            began_ns = perf_counter_ns()
            value = nodes.value_of(queued.command, context, queued.args)
            self._observers.took(queued.command, queued.args, connection.session, began_ns)
            return await value if isinstance(value, CoroutineType) else value
        except CommandError as error:
            nodes.count_failure(queued.command, error.text)
            return Error(error.text)
        except Exception:
            nodes.log_failure(queued.command)
            return Error(INTERNAL)


def split_array(reply: bytes) -> list[bytes]:
    """The encoded elements of an encoded array, each as it stands. For replies of our own making: well-
    formed."""
    end = reply.index(b"\r\n")
    count = int(reply[1:end])
    elements = []
    start = end + 2
    for _ in range(count):
        stop = _skip(reply, start)
        elements.append(reply[start:stop])
        start = stop
    return elements


def _skip(reply: bytes, start: int) -> int:
    """Where the element that starts at `start` ends."""
    missing = 1
    while missing:
        end = reply.index(b"\r\n", start) + 2
        kind = reply[start]
        missing -= 1
        if kind in b"$=!":
            size = int(reply[start + 1 : end - 2])
            end += max(size + 2, 0) if size >= 0 else 0
        elif kind in b"*~>":
            missing += max(int(reply[start + 1 : end - 2]), 0)
        elif kind in b"%|":
            missing += 2 * int(reply[start + 1 : end - 2]) + (1 if kind == ord("|") else 0)
        start = end
    return start
