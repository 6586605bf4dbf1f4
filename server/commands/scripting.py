"""EVAL and its kin, and SCRIPT.

A script is one command of the group of its keys (of the first data group when it declares none), with one entry for
all that it writes. `redis.call` runs other commands' handlers on the same view: commands whose keys live in the same
group, declared or not. After each command that wrote, `view.keep()`: what a script wrote before it failed stays.

To let a NODE command run in scripts: a function in `_IN_SCRIPTS`, of the view and the words.
"""

import logging
from collections.abc import Callable
from functools import partial
from hashlib import sha1
from typing import Any

import hiredis
import trio

from resp.values import OK, PONG, Error
from server.commands.arguments import database, integer
from server.commands.context import Context
from server.commands.help import help_reply
from server.commands.table import (
    ALLOW_BUSY,
    COMMANDS,
    LOADING,
    NODE,
    NOSCRIPT,
    READONLY,
    SKIP_MONITOR,
    SPREAD_ALL,
    STALE,
    Args,
    Command,
    Flag,
    Keys,
    Reply,
    command,
    container,
    lookup,
)
from server.errors import CROSS_SLOT, INTERNAL, CommandError, WouldBlock
from server.keyspace.view import View
from server.scripting.interpreter import interpreter
from server.scripting.script import EVALUATED, LOADED, find_text, forget_texts, keep_text

log = logging.getLogger("redraft.script")

NO_SCRIPT = b"NOSCRIPT No matching script."
UNKNOWN = b"ERR Unknown command called from script"
WRONG_COUNT = b"ERR Wrong number of args calling command from script"
NOT_ALLOWED = b"ERR This Valkey command is not allowed from script"
READ_ONLY = b"ERR Write commands are not allowed from read-only scripts."
_EVAL_FLAGS = NOSCRIPT | STALE | SKIP_MONITOR | Flag.NO_MANDATORY_KEYS
_SCRIPT_FLAGS = NOSCRIPT | STALE


def _script_keys(args: Args) -> list[int]:
    """Indexes of the keys that a script declares. Raises CommandError."""
    count = integer(args[2])
    if count > len(args) - 3:
        raise CommandError(b"ERR Number of keys can't be greater than number of args")
    if count < 0:
        raise CommandError(b"ERR Number of keys can't be negative")
    return list(range(3, 3 + count))


_KEYS_RW = Keys(find=_script_keys, access="RW access update", count_at=2)
_KEYS_RO = Keys(find=_script_keys, access="RO access", count_at=2)


# -- commands that run in scripts ------------------------------------------------------------------------------


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


_IN_SCRIPTS: dict[str, Callable[[View, Args], Reply]] = {
    "ping": _ping,
    "echo": lambda view, args: args[1],
    "select": _select,
    "time": _time,
    "wait": lambda view, args: 0,
}


def _find(args: Args, readonly: bool) -> Command:
    """The command that a script calls. Raises CommandError."""
    row = lookup(args)
    if row is None or not row.open:
        raise CommandError(UNKNOWN)
    if row.handler is None:
        if len(args) < 2:
            raise CommandError(WRONG_COUNT)
        name = row.name.upper().encode()
        raise CommandError(b"ERR unknown subcommand '" + args[1][:128] + b"'. Try " + name + b" HELP.")
    if (row.arity > 0 and len(args) != row.arity) or len(args) < -row.arity:
        raise CommandError(WRONG_COUNT)
    if row.flags & NOSCRIPT:
        raise CommandError(NOT_ALLOWED)
    if readonly and row.is_write:
        raise CommandError(READ_ONLY)
    return row


def _call(view: View, readonly: bool, args: Args, protocol: int) -> Any:
    """One command of a script; `protocol` 0 only asks whether there is such a command."""
    if not protocol:
        return Error(UNKNOWN) if lookup(args) is None else None
    view.protocol = protocol
    try:
        row = _find(args, readonly)
        handler: Any = _IN_SCRIPTS.get(row.name)
        if handler is None:
            row = COMMANDS.get(b"_" + row.error_name, row)
            handler = row.handler
            if row.where is NODE:
                raise CommandError(NOT_ALLOWED)
            if row.where is SPREAD_ALL:
                if not view.home.is_all:
                    raise CommandError(CROSS_SLOT)
            elif not all(view.home.owns(args[at]) for at in row.keys.indexes(args)):
                raise CommandError(CROSS_SLOT)
        row.calls += 1
        if view.script_reads is not None and row.flags & READONLY:
            view.script_reads.keys.update(args[at] for at in row.keys.indexes(args))
        reply = handler(view, args)
    except WouldBlock as blocked:
        return blocked.empty
    except CommandError as error:
        view.rollback()
        return Error(error.text)
    except Exception:
        view.rollback()
        log.exception("A command of a script failed; the script was told so")
        return Error(INTERNAL)
    if view.effects:
        view.keep()
    return reply


# -- EVAL --------------------------------------------------------------------------------------------------------


def _run(view: View, args: Args, digest: bytes, text: bytes, readonly: bool) -> Reply:
    count = len(_script_keys(args))
    protocol, db = view.protocol, view.db
    script = interpreter().compile(digest, text)
    if script.declared and readonly and b"no-writes" not in script.flags:
        raise CommandError(b"ERR Can not execute a script with write flag using *_ro command.")
    call = partial(_call, view, readonly or b"no-writes" in script.flags)
    try:
        reply = interpreter().run(digest, text, args[3 : 3 + count], args[3 + count :], protocol, call)
        if view.script_reads is not None:
            view.script_reads.complete = True
        return reply
    finally:
        view.protocol = protocol
        if view.db != db:
            view.select(db)


def _eval(view: View, args: Args, readonly: bool) -> Reply:
    text = args[1]
    _script_keys(args)
    digest = sha1(text).digest()
    interpreter().compile(digest, text)
    if find_text(view, digest) is None:
        keep_text(view, digest, text, EVALUATED)
        view.keep()
    return _run(view, args, digest, text, readonly)


def _digest(text: bytes) -> bytes | None:
    """The sha1 that 40 hex digits say."""
    try:
        return bytes.fromhex(text.decode()) if len(text) == 40 else None
    except ValueError:
        return None


def _evalsha(view: View, args: Args, readonly: bool) -> Reply:
    _script_keys(args)
    digest = _digest(args[1])
    text = None if digest is None else find_text(view, digest)
    if digest is None or text is None:
        raise CommandError(NO_SCRIPT)
    return _run(view, args, digest, text, readonly)


_DEPENDS = "Depends on the script that is executed."


@command(
    "eval",
    arity=-3,
    flags=_EVAL_FLAGS,
    keys=_KEYS_RW,
    writes=True,
    since="2.6.0",
    group="scripting",
    complexity=_DEPENDS,
)
def eval_(view: View, args: Args) -> Reply:
    """Executes a server-side Lua script."""
    return _eval(view, args, readonly=False)


@command(
    "eval_ro",
    arity=-3,
    flags=_EVAL_FLAGS | READONLY,
    keys=_KEYS_RO,
    since="7.0.0",
    group="scripting",
    complexity=_DEPENDS,
)
def eval_ro(view: View, args: Args) -> Reply:
    """Executes a read-only server-side Lua script."""
    return _eval(view, args, readonly=True)


@command(
    "evalsha",
    arity=-3,
    flags=_EVAL_FLAGS,
    keys=_KEYS_RW,
    writes=True,
    since="2.6.0",
    group="scripting",
    complexity=_DEPENDS,
)
def evalsha(view: View, args: Args) -> Reply:
    """Executes a server-side Lua script by SHA1 digest."""
    return _evalsha(view, args, readonly=False)


@command(
    "evalsha_ro",
    arity=-3,
    flags=_EVAL_FLAGS | READONLY,
    keys=_KEYS_RO,
    since="7.0.0",
    group="scripting",
    complexity=_DEPENDS,
)
def evalsha_ro(view: View, args: Args) -> Reply:
    """Executes a read-only server-side Lua script by SHA1 digest."""
    return _evalsha(view, args, readonly=True)


# -- the texts of a group ----------------------------------------------------------------------------------------


@command("_scriptload", arity=2, writes=True, group="scripting")
def script_load_group(view: View, args: Args) -> Reply:
    """Lets a group know a text."""
    keep_text(view, sha1(args[1]).digest(), args[1], LOADED)
    return OK


@command("_scripttexts", arity=-2, flags=READONLY, group="scripting")
def script_texts(view: View, args: Args) -> Reply:
    """The texts of sha1s, null for those that the group does not know."""
    digests = [_digest(arg) for arg in args[1:]]
    return [None if digest is None else find_text(view, digest) for digest in digests]


@command("_scriptflush", arity=1, writes=True, group="scripting")
def script_flush_group(view: View, args: Args) -> Reply:
    """Lets a group forget all texts."""
    forget_texts(view)
    return OK


async def _ask_all(context: Context, request: Args) -> dict[int, Any]:
    """The reply of every data group. Raises the first error."""
    replies: dict[int, Any] = {}

    async def ask(group: int) -> None:
        replies[group] = await context.node.call(group, 0, request)

    async with trio.open_nursery() as nursery:
        for group in context.node.topology.data_groups:
            nursery.start_soon(ask, group)
    for reply in replies.values():
        if isinstance(reply, hiredis.ReplyError):
            raise CommandError(str(reply).encode())
    return replies


# -- SCRIPT ------------------------------------------------------------------------------------------------------

container(
    "script", since="2.6.0", group="scripting", summary="A container for Lua scripts management commands."
)


@command(
    "script|load",
    arity=3,
    flags=_SCRIPT_FLAGS,
    where=NODE,
    since="2.6.0",
    group="scripting",
    complexity="O(N) with N being the length in bytes of the script body.",
)
async def script_load(context: Context, args: Args) -> Reply:
    """Loads a server-side Lua script to the script cache."""
    digest = sha1(args[2])
    interpreter().compile(digest.digest(), args[2])
    await _ask_all(context, [b"_scriptload", args[2]])
    return digest.hexdigest().encode()


@command(
    "script|exists",
    arity=-3,
    flags=_SCRIPT_FLAGS,
    where=NODE,
    since="2.6.0",
    group="scripting",
    complexity="O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).",
)
async def script_exists(context: Context, args: Args) -> Reply:
    """Determines whether server-side Lua scripts exist in the script cache."""
    replies = await _ask_all(context, [b"_scripttexts", *args[2:]])
    found = []
    for texts in zip(*replies.values(), strict=True):
        known = [text for text in texts if text is not None]
        if known and len(known) < len(texts):
            await _ask_all(context, [b"_scriptload", known[0]])
        found.append(int(bool(known)))
    return found


@command("script|show", arity=3, flags=_SCRIPT_FLAGS, where=NODE, since="8.0.0", group="scripting")
async def script_show(context: Context, args: Args) -> Reply:
    """Shows a server-side Lua script in the script cache."""
    for (text,) in (await _ask_all(context, [b"_scripttexts", args[2]])).values():
        if text is not None:
            return text
    raise CommandError(NO_SCRIPT)


@command(
    "script|flush",
    arity=-2,
    flags=_SCRIPT_FLAGS,
    where=NODE,
    since="2.6.0",
    group="scripting",
    complexity="O(N) with N being the number of scripts in cache",
)
async def script_flush(context: Context, args: Args) -> Reply:
    """Removes all server-side Lua scripts from the script cache."""
    if len(args) > 3 or (len(args) == 3 and args[2].lower() not in (b"sync", b"async")):
        raise CommandError(b"ERR SCRIPT FLUSH only support SYNC|ASYNC option")
    await _ask_all(context, [b"_scriptflush"])
    return OK


@command("script|kill", arity=2, flags=NOSCRIPT | ALLOW_BUSY, where=NODE, since="2.6.0", group="scripting")
def script_kill(context: Context, args: Args) -> Reply:
    """Terminates a server-side Lua script during execution."""
    raise CommandError(b"NOTBUSY No scripts in execution right now.")


@command("script|debug", arity=-3, flags=NOSCRIPT, where=NODE, since="3.2.0", group="scripting")
def script_debug(context: Context, args: Args) -> Reply:
    """Sets the debug mode of server-side Lua scripts."""
    mode = args[2].lower()
    if mode == b"no":
        return OK
    if mode in (b"yes", b"sync"):
        raise CommandError(b"ERR There is no debugger for scripts here")
    raise CommandError(b"ERR Use SCRIPT DEBUG YES/SYNC/NO")


_HELP = """
DEBUG (YES|SYNC|NO) [<engine_name>]
    Set the debug mode for subsequent scripts executed of the specified engine.
    Default engine name: 'lua'
EXISTS <sha1> [<sha1> ...]
    Return information about the existence of the scripts in the script cache.
FLUSH [ASYNC|SYNC]
    Flush the Lua scripts cache. Very dangerous on replicas.
    When called without the optional mode argument, the behavior is determined
     by the lazyfree-lazy-user-flush configuration directive. Valid modes are:
    * ASYNC: Asynchronously flush the scripts cache.
    * SYNC: Synchronously flush the scripts cache.
KILL
    Kill the currently executing Lua script.
LOAD <script>
    Load a script into the scripts cache without executing it.
SHOW <sha1>
    Show a script from the scripts cache.
"""


@command("script|help", arity=2, flags=LOADING | STALE, where=NODE, since="5.0.0", group="scripting")
def script_help(context: Context, args: Args) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_reply(b"SCRIPT", _HELP)
