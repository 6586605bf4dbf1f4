"""What a script calls: `redis.call` on the view of the group that the script runs in, and what stands around a script.

A call runs another command's handler on the same view: of a command whose keys live in the same group, declared or not.
Before each one, and when the script fails, `view.keep()`: what it wrote before that stays.

A NODE command that Redis allows in scripts and that does not wait runs on the leader's node; what needs more, or less,
is a function in `_IN_SCRIPTS`, of the view and the words.
"""

import logging
from collections.abc import Callable, Container
from functools import partial
from inspect import iscoroutine, iscoroutinefunction
from time import monotonic, sleep
from typing import Any, Protocol, cast

from resp.values import OK, PONG, Error, Raw
from server.commands import sort
from server.commands.arguments import database, sleep_time_s
from server.commands.context import Context
from server.commands.misses import told
from server.commands.table import (
    COMMANDS,
    PLAIN,
    READONLY,
    REPLICATED,
    SPREAD_ALL,
    Args,
    Command,
    Handler,
    Keys,
    Reply,
    lookup,
)
from server.errors import CROSS_SLOT, INTERNAL, NO_REPLICAS, CommandError, WouldBlock
from server.keyspace.breath import Elsewhere, breathe, current
from server.keyspace.events import KEY_MISS
from server.keyspace.slots import key_slot
from server.keyspace.view import View
from server.pubsub.hub import CHANNEL
from server.pubsub.hub import SHARD as SHARD_CHANNEL
from server.scripting.interpreter import Commands
from server.scripting.wording import NOT_ALLOWED, UNKNOWN, WRONG_COUNT
from server.session import Session
from server.telemetry.diagnostics import monitored_words

log = logging.getLogger("redraft.script")

READ_ONLY = b"ERR Write commands are not allowed from read-only scripts."
_NAP_S = 0.001
"""DEBUG SLEEP looks so often whether the script has had its slice."""


def _ping(view: View, args: Args) -> Reply:
    if len(args) > 2:
        raise CommandError(b"ERR wrong number of arguments for 'ping' command")
    return args[1] if len(args) == 2 else PONG


def _select(view: View, args: Args) -> Reply:
    view.select(database(args[1]))
    return OK


def _time(view: View, args: Args) -> Reply:
    """Stands still while the script runs, as in Redis."""
    return [b"%d" % (view.now_ms // 1000), b"%d" % (view.now_ms % 1000 * 1000)]


def _publish(kind: int, view: View, args: Args) -> Reply:
    view.publish(args[1], args[2], kind)
    node = view.home.node
    return 0 if node is None else node.pubsub.count(kind, args[1])


def _on_node(row: Command, view: View, args: Args) -> Reply:
    """A command that the leader's node answers by itself, as if a client of no account had sent it there."""
    if view.home.node is None or row.is_container or iscoroutinefunction(row.handler):
        raise CommandError(NOT_ALLOWED)
    session = Session(0, _NOWHERE, "", "", view.now_ms / 1000)
    session.protocol, session.db = view.protocol, view.db
    reply = row.handler(Context(view.home.node, session), args)
    if iscoroutine(reply):
        reply.close()
        raise CommandError(NOT_ALLOWED)
    return reply


def _debug(view: View, args: Args) -> Reply:
    """DEBUG SLEEP makes the script take so long; other groups go on, as beside any long script."""
    if args[1].lower() != b"sleep" or len(args) != 3:
        return _on_node(COMMANDS[b"debug"], view, args)
    until_s = monotonic() + sleep_time_s(args[2])
    while (left_s := until_s - monotonic()) > 0:
        sleep(min(left_s, _NAP_S))
        breathe()
    return OK


class _Nowhere:
    """The Outlet of that client."""

    def __init__(self) -> None:
        self.output_bytes = 0
        self.query_bytes = 0

    def push(self, value: Any) -> None:
        """See Outlet."""

    def send(self, data: bytes) -> None:
        """See Outlet."""

    @property
    def replies_due(self) -> bool:
        """See Outlet."""
        return False

    def inform(self, data: bytes) -> None:
        """See Outlet."""

    def close(self, after_reply: bool = False) -> None:
        """See Outlet."""


_NOWHERE = _Nowhere()


_IN_SCRIPTS: dict[str, Callable[[View, Args], Reply]] = {
    "ping": _ping,
    "echo": lambda view, args: args[1],
    "select": _select,
    "time": _time,
    "wait": lambda view, args: 0,
    "debug": _debug,
    "publish": partial(_publish, CHANNEL),
    "spublish": partial(_publish, SHARD_CHANNEL),
    **sort.IN_SCRIPTS,
}


class _Callee:
    """What is run when a script calls a command."""

    __slots__ = ("everywhere", "handler", "keys", "row", "writes")

    def __init__(
        self, row: Command, handler: Handler, keys: Keys | None, everywhere: bool, writes: bool
    ) -> None:
        self.row = row
        self.handler = handler
        self.keys = keys
        """They have to live here; None: that is not to be asked."""
        self.everywhere = everywhere
        """Only where every key lives."""
        self.writes = writes
        """Read-only scripts may not call it."""


_callees: dict[str, _Callee] = {}
"""By the command's name; made when one is called first."""
_spelled: dict[bytes, _Callee] = {}
"""Those of PLAIN, as scripts spell them."""


def _resolve(args: Args) -> Command:
    """The command of a request that is not among PLAIN. Raises CommandError."""
    row = lookup(args)
    if row is None or not row.open:
        raise CommandError(UNKNOWN)
    if row.is_container:
        if len(args) < 2:
            raise CommandError(WRONG_COUNT)
        name = row.name.upper().encode()
        raise CommandError(b"ERR unknown subcommand '" + args[1][:128] + b"'. Try " + name + b" HELP.")
    return row


def _callee(args: Args) -> _Callee:
    """What a request means. Raises CommandError."""
    row = PLAIN.get(args[0]) or _resolve(args)
    found = _callees.get(row.name)
    if found is None:
        inner = COMMANDS.get(b"_" + row.error_name, row)
        handler: Handler | None = _IN_SCRIPTS.get(row.name)
        if handler is None:
            handler = partial(_on_node, inner) if inner.is_node else inner.handler
        everywhere = not inner.is_node and inner.where is SPREAD_ALL
        keys = None if inner.is_node or everywhere else inner.keys
        found = _Callee(row, handler, keys, everywhere, row.is_write or row.name in REPLICATED)
        _callees[row.name] = found
    if args[0] in PLAIN:
        _spelled[args[0]] = found
    return found


class Caller(Protocol):
    """For whom a script runs, if not everything is allowed; see server/access/caller.py."""

    def may(self, row: Command, args: Args, db: int) -> bool:
        """Whether the user may run the command, for a script that asks."""

    def refusal(self, row: Command, args: Args, db: int) -> bytes | None:
        """The error text for a command that the user may not run."""


# -- around a script ---------------------------------------------------------------------------------------------


class InScript(Commands):
    """A script runs: calls its commands, and puts the client's RESP version and database back when it has ended."""

    __slots__ = ("_before", "_db", "_failures", "_readonly", "_view")

    def __init__(self, view: View, flags: Container[bytes], readonly: bool) -> None:
        """`flags`: what it says of itself; `readonly`: it may not write."""
        super().__init__(view.protocol)
        self._view = view
        self._readonly = readonly
        self._db = view.db
        self._before = -1 if b"allow-oom" in flags else len(view.effects)
        """How many effects there were. While there are no more, it has not written, and what needs space is refused
        when there is none; -1 if the script may have it all the same."""
        self._failures: list[bytes] = []
        """The errors of commands that the script has called. They have been counted; one that becomes its answer will
        be when the client gets it."""

    def __enter__(self) -> "InScript":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        view = self._view
        if kind is not None:
            view.keep()
        elif view.script_notes is not None:
            view.script_notes.complete = True
        if isinstance(error, CommandError) and any(error.text.startswith(text) for text in self._failures):
            assert view.home.node is not None
            view.home.node.stats.discount_error(b"-" + error.text)
        view.protocol = self.protocol
        if view.db != self._db:
            view.select(self._db)

    def call(self, args: Args, protocol: int) -> Any:
        """The reply to one command, in RESP `protocol`; an Error when it fails."""
        view = self._view
        view.protocol = protocol
        view.keep()
        called: Command | None = None
        try:
            callee = _spelled.get(args[0]) or _callee(args)
            row = callee.row
            self._check(callee, row, args)
            called = row
            row.calls += 1
            if view.monitored or view.script_notes is not None:
                self._note(row, args)
            if row.is_write and (work := current()) is not None:
                work.wrote = True
            reply = callee.handler(view, args)
        except WouldBlock as blocked:
            return blocked.empty
        except CommandError as error:
            view.rollback()
            self._count_failure(called, args, error.text)
            return Error(error.text)
        except Exception:
            view.rollback()
            self._count_failure(called, args, INTERNAL)
            log.exception("A command of a script failed; the script was told so")
            return Error(INTERNAL)
        if view.notify & KEY_MISS:
            view.choose_events(partial(told, called, args))
        return reply

    def may(self, args: Args) -> bool | None:
        """Whether the script's user may run a command; None: there is no such command."""
        row = lookup(args)
        caller = cast("Caller | None", self._view.caller)
        return None if row is None else caller is None or caller.may(row, args, self._view.db)

    def _note(self, row: Command, args: Args) -> None:
        """Tell those who want to know what the script does."""
        view = self._view
        notes = view.script_notes
        if notes is not None:
            if notes.keys is not None and row.flags & READONLY:
                notes.keys.update(args[at] for at in row.keys.indexes(args))
            if notes.shown is not None:
                notes.shown.append((view.db, monitored_words(args)))
        if view.monitored and (notes is None or not notes.visiting):
            view.show(monitored_words(args))

    def _check(self, callee: _Callee, row: Command, args: Args) -> None:
        """Raises CommandError when the script may not call a command so."""
        count, arity = len(args), row.arity
        if count != arity and (arity > 0 or count < -arity):
            raise CommandError(WRONG_COUNT)
        view = self._view
        home = view.home
        if row.no_script and not (home.node is not None and home.node.scripts_run_anything):
            raise CommandError(NOT_ALLOWED)
        if self._readonly and callee.writes:
            raise CommandError(READ_ONLY)
        if view.caller is not None and (refusal := cast("Caller", view.caller).refusal(row, args, view.db)):
            raise CommandError(refusal)
        if not home.is_all:
            if callee.everywhere:
                raise CommandError(CROSS_SLOT)
            if callee.keys is not None:
                self._check_home(callee.keys, args)
        elif callee.keys is not None and callee.keys.find is not None:
            callee.keys.find(args)  # it may know of none
        if row.is_write and home.node is not None and home.node.short_of_replicas:
            raise CommandError(NO_REPLICAS)
        if row.needs_space and len(view.effects) <= self._before and (refusal := _refusal(view)):
            raise CommandError(refusal)

    def _check_home(self, keys: Keys, args: Args) -> None:
        """Raises CommandError when a command has keys that are not here, or Elsewhere."""
        view = self._view
        for at in keys.indexes(args):
            if not view.home.owns(args[at]):
                if view.wanders:
                    raise Elsewhere(key_slot(args[at]))
                raise CommandError(CROSS_SLOT)
            view.wanders = False

    def _count_failure(self, called: Command | None, args: Args, text: bytes) -> None:
        """Statistics of a command that failed; `called`: None when it was rejected before it ran."""
        row = called or lookup(args)
        if row is not None and called is None:
            row.rejected_calls += 1
        elif row is not None:
            row.failed_calls += 1
        node = self._view.home.node
        if node is not None:
            node.stats.count_error(b"-" + text)
            self._failures.append(text)


def check_flags(view: View, flags: Container[bytes], readonly: bool) -> None:
    """Raises CommandError when a script or function that says what it does may not run here and now. `readonly`: it was
    called by a command that must not write."""
    if b"no-cluster" in flags and not view.home.is_all:
        raise CommandError(b"ERR Can not run script on cluster, 'no-cluster' flag is set.")
    if b"no-writes" not in flags:
        if readonly:
            raise CommandError(b"ERR Can not execute a script with write flag using *_ro command.")
        if b"allow-oom" not in flags and (refusal := _refusal(view)):
            raise CommandError(refusal)


def _refusal(view: View) -> bytes:
    """Why nothing that needs space is done here now; empty: it is."""
    return view.home.node.refusal if view.home.node is not None else b""


def answered(reply: bytes | Raw) -> bytes | Raw:
    """What a script has answered. Raises CommandError when that is an error."""
    if type(reply) is Raw and reply.value[:1] == b"-":
        raise CommandError(reply.value[1:-2])
    return reply
