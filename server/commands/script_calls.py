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
from typing import Any, NamedTuple, Protocol, cast

from resp.values import OK, PONG, Error, Raw
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

    output_bytes = query_bytes = 0

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
}


def _check_home(view: View, keys: Keys, args: Args) -> None:
    """Raises CommandError when a script's command has keys that are not here, or Elsewhere."""
    for at in keys.indexes(args):
        if not view.home.owns(args[at]):
            if view.wanders:
                raise Elsewhere(key_slot(args[at]))
            raise CommandError(CROSS_SLOT)
        view.wanders = False


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


class _Callee(NamedTuple):
    """What is run when a script calls a command."""

    handler: Handler
    keys: Keys | None
    """They have to live here; None: that is not to be asked."""
    everywhere: bool
    """Only where every key lives."""


_callees: dict[str, _Callee] = {}
"""By the command's name; made when one is called first."""


def _callee(row: Command) -> _Callee:
    found = _callees.get(row.name)
    if found is None:
        handler: Handler | None = _IN_SCRIPTS.get(row.name)
        if handler is not None:
            found = _Callee(handler, None, False)
        else:
            inner = COMMANDS.get(b"_" + row.error_name, row)
            handler = partial(_on_node, inner) if inner.is_node else inner.handler
            everywhere = not inner.is_node and inner.where is SPREAD_ALL
            found = _Callee(handler, None if inner.is_node or everywhere else inner.keys, everywhere)
        _callees[row.name] = found
    return found


def _check(view: View, row: Command, args: Args, readonly: bool) -> None:
    """Raises CommandError when a script may not call a command so."""
    if (row.arity > 0 and len(args) != row.arity) or len(args) < -row.arity:
        raise CommandError(WRONG_COUNT)
    if row.no_script and not (view.home.node is not None and view.home.node.scripts_run_anything):
        raise CommandError(NOT_ALLOWED)
    if readonly and (row.is_write or row.name in REPLICATED):
        raise CommandError(READ_ONLY)
    if view.caller is not None and (refusal := cast("Caller", view.caller).refusal(row, args, view.db)):
        raise CommandError(refusal)


class Caller(Protocol):
    """The user for whom a script runs, if not everything is allowed; see server/access/caller.py."""

    def may(self, row: Command, args: Args, db: int) -> bool:
        """Whether the user may run the command, for a script that asks."""

    def refusal(self, row: Command, args: Args, db: int) -> bytes | None:
        """The error text for a command that the user may not run."""


def call_command(
    view: View, failures: list[bytes], readonly: bool, before: int, args: Args, protocol: int
) -> Any:
    """One command of a script; `protocol` 0 only asks whether there is such a command, and whether it is allowed.
    `failures`: see InScript. `before`: see `effects_before`."""
    if not protocol:
        row = lookup(args)
        caller = cast("Caller | None", view.caller)
        return Error(UNKNOWN) if row is None else caller is None or caller.may(row, args, view.db)
    view.protocol = protocol
    view.keep()
    called: Command | None = None
    home = view.home
    try:
        row = PLAIN.get(args[0]) or _resolve(args)
        _check(view, row, args, readonly)
        handler, keys, everywhere = _callee(row)
        if not home.is_all:
            if everywhere:
                raise CommandError(CROSS_SLOT)
            if keys is not None:
                _check_home(view, keys, args)
        elif keys is not None and keys.find is not None:
            keys.find(args)  # it may know of none
        if row.is_write and home.node is not None and home.node.short_of_replicas:
            raise CommandError(NO_REPLICAS)
        if row.needs_space and len(view.effects) <= before and (refusal := _refusal(view)):
            raise CommandError(refusal)
        called = row
        row.calls += 1
        notes = view.script_notes
        if notes is not None:
            if notes.keys is not None and row.flags & READONLY:
                notes.keys.update(args[at] for at in row.keys.indexes(args))
            if notes.shown is not None:
                notes.shown.append((view.db, monitored_words(args)))
        if view.monitored and (notes is None or not notes.visiting):
            view.show(monitored_words(args))
        if row.is_write and (work := current()) is not None:
            work.wrote = True
        reply = handler(view, args)
    except WouldBlock as blocked:
        return blocked.empty
    except CommandError as error:
        view.rollback()
        _count_failure(view, failures, called, args, error.text)
        return Error(error.text)
    except Exception:
        view.rollback()
        _count_failure(view, failures, called, args, INTERNAL)
        log.exception("A command of a script failed; the script was told so")
        return Error(INTERNAL)
    if view.notify & KEY_MISS:
        view.choose_events(partial(told, called, args))
    return reply


def _count_failure(
    view: View, failures: list[bytes], called: Command | None, args: Args, text: bytes
) -> None:
    """Statistics of a command that failed; `called`: None when it was rejected before it ran."""
    row = called or lookup(args)
    if row is not None and called is None:
        row.rejected_calls += 1
    elif row is not None:
        row.failed_calls += 1
    if view.home.node is not None:
        view.home.node.stats.count_error(b"-" + text)
        failures.append(text)


# -- around a script ---------------------------------------------------------------------------------------------


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


def effects_before(view: View, flags: Container[bytes]) -> int:
    """How many effects there are before a script runs. While there are no more, it has not written, and what needs
    space is refused when the disk is nearly full; -1 if the script may have it all the same."""
    return -1 if b"allow-oom" in flags else len(view.effects)


class InScript:
    """A script runs: the client's RESP version, and afterwards that and the database are what they were."""

    __slots__ = ("_db", "_protocol", "_view", "failures")

    def __init__(self, view: View) -> None:
        self._view = view
        self._protocol = view.protocol
        self._db = view.db
        self.failures: list[bytes] = []
        """The errors of commands that the script has called. They have been counted; one that becomes its answer will
        be when the client gets it."""

    def __enter__(self) -> int:
        return self._protocol

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        view = self._view
        if kind is not None:
            view.keep()
        elif view.script_notes is not None:
            view.script_notes.complete = True
        if isinstance(error, CommandError) and any(error.text.startswith(text) for text in self.failures):
            assert view.home.node is not None
            view.home.node.stats.discount_error(b"-" + error.text)
        view.protocol = self._protocol
        if view.db != self._db:
            view.select(self._db)


def answered(reply: bytes | Raw) -> bytes | Raw:
    """What a script has answered. Raises CommandError when that is an error."""
    if type(reply) is Raw and reply.value[:1] == b"-":
        raise CommandError(reply.value[1:-2])
    return reply
