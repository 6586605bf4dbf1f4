"""SCRIPT, and the texts of a group; EVAL and its kin are in evals.py.

A group knows the texts that it has been given; SCRIPT asks every data group, since EVALSHA comes to that of its keys.
"""

from hashlib import sha1
from typing import Any

import hiredis
import trio

from resp.values import OK
from server.commands.context import Context
from server.commands.evals import NO_SCRIPT, digest_in
from server.commands.help import help_reply
from server.commands.table import (
    ALLOW_BUSY,
    LOADING,
    NODE,
    NOSCRIPT,
    READONLY,
    STALE,
    Args,
    Reply,
    command,
    container,
)
from server.errors import CommandError
from server.keyspace.view import View
from server.scripting.interpreter import interpreter
from server.scripting.library import ENGINE
from server.scripting.script import EVALUATED, LOADED, find_text, forget_texts, keep_text

NOT_BUSY = b"NOTBUSY No scripts in execution right now."
kill_patience_s = 1.0
"""SCRIPT KILL waits so long for the groups to answer."""
_SCRIPT_FLAGS = NOSCRIPT | STALE


# -- the texts of a group ----------------------------------------------------------------------------------------


@command("_scriptload", arity=2, writes=True, group="scripting")
def script_load_group(view: View, args: Args) -> Reply:
    """Lets a group know a text."""
    keep_text(view, sha1(args[1]).digest(), args[1], LOADED)
    return OK


@command("_scriptkeep", arity=2, writes=True, group="scripting")
def script_keep_group(view: View, args: Args) -> Reply:
    """Lets a group know a text that another one has from EVAL."""
    keep_text(view, sha1(args[1]).digest(), args[1], EVALUATED)
    return OK


@command("_scripttexts", arity=-2, flags=READONLY, group="scripting")
def script_texts(view: View, args: Args) -> Reply:
    """The texts of sha1s, null for those that the group does not know."""
    digests = [digest_in(arg) for arg in args[1:]]
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
    digest = interpreter().compile(args[2]).digest
    await _ask_all(context, [b"_scriptload", args[2]])
    return digest.hex().encode()


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
async def script_kill(context: Context, args: Args) -> Reply:
    """Terminates a server-side Lua script during execution."""
    return await kill_scripts(context, b"script")


@command("_scriptkill", arity=2, flags=READONLY | ALLOW_BUSY, group="scripting")
def script_kill_group(view: View, args: Args) -> Reply:
    """Ends the script that runs in a group. Its shard does that while there is one (shard/work.py)."""
    raise CommandError(NOT_BUSY)


async def kill_scripts(context: Context, kind: bytes) -> Reply:
    """SCRIPT KILL and FUNCTION KILL, `kind` being `script` or `function`: all that run anywhere. Raises CommandError
    when there is none, or one of them has written."""
    answers: list[Any] = []

    async def ask(group: int) -> None:
        answers.append(await context.node.call(group, 0, [b"_scriptkill", kind]))

    with trio.move_on_after(kill_patience_s):  # a group without a leader runs nothing
        async with trio.open_nursery() as nursery:
            for group in context.node.topology.data_groups:
                nursery.start_soon(ask, group)
    refusals = [str(answer) for answer in answers if isinstance(answer, hiredis.ReplyError)]
    if len(refusals) < len(answers):
        return OK
    raise CommandError(next((text.encode() for text in refusals if not text.startswith("NOTBUSY")), NOT_BUSY))


@command("script|debug", arity=-3, flags=NOSCRIPT, where=NODE, since="3.2.0", group="scripting")
def script_debug(context: Context, args: Args) -> Reply:
    """Sets the debug mode of server-side Lua scripts."""
    mode = args[2].lower()
    if len(args) > 4:
        raise CommandError(
            b"ERR unknown subcommand or wrong number of arguments for '" + args[1] + b"'. Try SCRIPT HELP."
        )
    if len(args) == 4 and args[3].upper() != ENGINE:
        raise CommandError(b"ERR No scripting engine found with name '" + args[3] + b"' to enable debug")
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
