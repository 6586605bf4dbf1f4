"""FUNCTION: libraries of functions, which all nodes share. What calls them is in function_calls.py.

The node that a client talks to runs a library's text to learn what it registers, and sends the result to group 0,
whose leader says whether the names are free (`_functionkeep`). What is asked for comes from this node's own copy.

Clients that know Redis Cluster, where every node has libraries of its own, tell each node the same. So a node that is
told to load what another has loaded already, text for text, is right; and so is one that is told, soon after, to
delete what another has deleted. What remembers that is in group 0 too: `Library.nodes`, and an entry
`functiongone:NAME` with a time and those nodes.
"""

from hashlib import sha1
from typing import Any

import hiredis
import trio
from msgspec import msgpack, structs

from resp.values import OK, Members, Simple
from server.cluster import state
from server.cluster.topology import SYSTEM_GROUP
from server.commands.context import Context
from server.commands.function_calls import client_request
from server.commands.help import help_reply
from server.commands.scripting import kill_scripts
from server.commands.table import (
    ALLOW_BUSY,
    CLUSTER,
    DENYOOM,
    LOADING,
    NODE,
    NOSCRIPT,
    READONLY,
    STALE,
    WRITE,
    Args,
    Reply,
    command,
    container,
)
from server.errors import CommandError
from server.keyspace.view import View
from server.scripting.functions import (
    add_libraries,
    forget_libraries,
    forget_library,
    owner,
    read_library,
    write_library,
)
from server.scripting.interpreter import interpreter
from server.scripting.library import (
    ENGINE,
    Function,
    Library,
    decode_library,
    dump_libraries,
    encode_library,
    load_libraries,
    parse_library,
    stamped,
)
from server.types.glob import compile_glob

_GONE = b"functiongone:"
gone_ms = 10_000
"""How long it is known which nodes were told to delete a library."""
_SWEEP_EVERY = 20
"""With one in so many deletions, what is older is forgotten: that looks at all there is."""
_LIBRARIES_AT_A_TIME = 200
"""That FUNCTION LIST shows while others wait."""
_LOAD, _APPEND, _REPLACE, _FLUSH = b"load", b"append", b"replace", b"flush"
_LIBRARY_EXISTS = b"ERR Library '%b' already exists"
_BAD_SUBCOMMAND = b"ERR unknown subcommand or wrong number of arguments for '%b'. Try FUNCTION HELP."


def _register(text: bytes) -> Library:
    """Run the text of a library. Raises CommandError."""
    name, _ = parse_library(text)
    return Library(name, text, interpreter().load(sha1(text).digest(), text))


# -- on group 0 --------------------------------------------------------------------------------------------------


@command("_functionkeep", arity=-3, where=CLUSTER, group="scripting")
def keep(view: View, args: Args) -> Reply:
    """Keeps libraries: a policy, the node (0: the only one), and what encode_library made of each."""
    policy, node = args[1], int(args[2])
    new, again = [], []
    for library in map(decode_library, args[3:]):
        old = read_library(view, library.name)
        if node and old is not None and old.text == library.text and node not in old.nodes:
            again.append(structs.replace(old, nodes=(*old.nodes, node)))
        elif policy == _LOAD and old is not None:
            raise CommandError(_LIBRARY_EXISTS % library.name)
        else:
            new.append(stamped(library, view.revision, (node,)))
    if policy == _FLUSH:
        forget_libraries(view, but={library.name for library in again})
    add_libraries(view, new, replace=policy == _REPLACE)
    for library in again:
        write_library(view, library)
    for library in (*new, *again):
        state.forget(view, _GONE + library.name)
    return OK


@command("_functiondelete", arity=3, where=CLUSTER, group="scripting")
def delete(view: View, args: Args) -> Reply:
    """Deletes a library: its name, the node (0: the only one)."""
    name, node = args[1], int(args[2])
    told: list[int] = []
    record = state.read(view, _GONE + name)
    if record is not None:
        until_ms, nodes = _decode_gone(record)
        if until_ms > view.now_ms:
            told = nodes
    library = read_library(view, name)
    if library is not None:
        forget_library(view, library)
    elif not told or node in told:
        raise CommandError(b"ERR Library not found")
    if node:
        if not view.random.randrange(_SWEEP_EVERY):
            _forget_old(view)
        state.write(view, _GONE + name, msgpack.encode((view.now_ms + gone_ms, [*told, node])))
    return OK


def _decode_gone(record: bytes) -> tuple[int, list[int]]:
    return msgpack.decode(record, type=tuple[int, list[int]])


def _forget_old(view: View) -> None:
    """Forget what was deleted too long ago to matter."""
    for name, record in state.entries(view, _GONE).items():
        if _decode_gone(record)[0] <= view.now_ms:
            state.forget(view, _GONE + name)


@command("_functionfind", arity=2, flags=READONLY, where=CLUSTER, group="scripting")
def find(view: View, args: Args) -> Reply:
    """The library that has a function of this name, as encode_library makes it."""
    found = owner(view, args[1])
    return None if found is None else encode_library(found)


def _check_space(context: Context) -> None:
    if context.node.refusal:
        raise CommandError(context.node.refusal)


def _me(context: Context) -> bytes:
    """For group 0: the node that was told."""
    topology = context.node.topology
    return b"%d" % topology.me if topology.clustered else b"0"


async def _change(context: Context, request: Args) -> Any:
    reply = await context.node.call(SYSTEM_GROUP, 0, request)
    if isinstance(reply, hiredis.ReplyError):
        raise CommandError(str(reply).encode())
    return reply


# -- FUNCTION ----------------------------------------------------------------------------------------------------

container(
    "function",
    since="7.0.0",
    group="scripting",
    summary="A container for function commands.",
)


@command(
    "function|load",
    arity=-3,
    flags=WRITE | DENYOOM | NOSCRIPT,
    where=NODE,
    since="7.0.0",
    group="scripting",
    complexity="O(1) (considering compilation time is redundant)",
)
async def function_load(context: Context, args: Args) -> Reply:
    """Creates a library."""
    _check_space(context)
    replace = False
    for option in args[2:-1]:
        if option.lower() != b"replace":
            raise CommandError(b"ERR Unknown option given: " + option)
        replace = True
    name, _ = parse_library(args[-1])
    try:
        library = _register(args[-1])
    except CommandError:
        if name in context.node.functions.libraries and not replace:
            raise CommandError(_LIBRARY_EXISTS % name) from None
        raise
    policy = _REPLACE if replace else _LOAD
    await _change(context, [b"_functionkeep", policy, _me(context), encode_library(library)])
    return name


@command(
    "function|delete",
    arity=3,
    flags=WRITE | NOSCRIPT,
    where=NODE,
    since="7.0.0",
    group="scripting",
)
async def function_delete(context: Context, args: Args) -> Reply:
    """Deletes a library and its functions."""
    await _change(context, [b"_functiondelete", args[2], _me(context)])
    return OK


@command(
    "function|flush",
    arity=-2,
    flags=WRITE | NOSCRIPT,
    where=NODE,
    since="7.0.0",
    group="scripting",
    complexity="O(N) where N is the number of functions deleted",
)
async def function_flush(context: Context, args: Args) -> Reply:
    """Deletes all libraries and functions."""
    if len(args) > 3:
        raise CommandError(_BAD_SUBCOMMAND % args[1])
    if len(args) == 3 and args[2].lower() not in (b"sync", b"async"):
        raise CommandError(b"ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
    await _change(context, [b"_functionkeep", _FLUSH, _me(context)])
    return OK


def _function_reply(function: Function) -> Reply:
    return {
        b"name": function.name,
        b"description": function.description,
        b"flags": Members([Simple(flag) for flag in function.flags]),
    }


@command(
    "function|list",
    arity=-2,
    flags=NOSCRIPT,
    where=NODE,
    since="7.0.0",
    group="scripting",
    complexity="O(N) where N is the number of functions",
)
async def function_list(context: Context, args: Args) -> Reply:
    """Returns information about all libraries."""
    pattern = None
    with_code = False
    options = iter(args[2:])
    for option in options:
        word = option.lower()
        if word == b"withcode" and not with_code:
            with_code = True
        elif word == b"libraryname" and pattern is None:
            pattern = next(options, None)
            if pattern is None:
                raise CommandError(b"ERR library name argument was not given")
        else:
            raise CommandError(b"ERR Unknown argument " + option)
    matches = None if pattern is None else compile_glob(pattern.lower())
    replies = []
    for at, library in enumerate(list(context.node.functions.libraries.values()), 1):
        if at % _LIBRARIES_AT_A_TIME == 0:
            await trio.lowlevel.checkpoint()
        if matches is None or matches(library.name.lower()):
            functions = [_function_reply(function) for function in library.functions]
            reply = {b"library_name": library.name, b"engine": ENGINE, b"functions": functions}
            replies.append(reply | {b"library_code": library.text} if with_code else reply)
    return replies


@command(
    "function|stats",
    arity=2,
    flags=NOSCRIPT | ALLOW_BUSY,
    where=NODE,
    since="7.0.0",
    group="scripting",
)
def function_stats(context: Context, args: Args) -> Reply:
    """Returns information about a function during execution."""
    functions = context.node.functions
    found = context.node.running_function()
    busy = context.node.busy_script()
    if found is None and busy is not None:
        raise CommandError(busy)
    running = None
    if found is not None:
        request, elapsed_ms = found
        asked = client_request(request)
        running = {b"name": asked[1], b"command": asked, b"duration_ms": elapsed_ms}
    counts = {b"libraries_count": len(functions.libraries), b"functions_count": functions.count()}
    return {b"running_script": running, b"engines": {ENGINE: counts}}


@command("function|kill", arity=2, flags=NOSCRIPT | ALLOW_BUSY, where=NODE, since="7.0.0", group="scripting")
async def function_kill(context: Context, args: Args) -> Reply:
    """Terminates a function during execution."""
    return await kill_scripts(context, b"function")


@command(
    "function|dump",
    arity=2,
    flags=NOSCRIPT,
    where=NODE,
    since="7.0.0",
    group="scripting",
    complexity="O(N) where N is the number of functions",
)
def function_dump(context: Context, args: Args) -> Reply:
    """Dumps all libraries into a serialized binary payload."""
    return dump_libraries([library.text for library in context.node.functions.libraries.values()])


@command(
    "function|restore",
    arity=-3,
    flags=WRITE | DENYOOM | NOSCRIPT,
    where=NODE,
    since="7.0.0",
    group="scripting",
    complexity="O(N) where N is the number of functions on the payload",
)
async def function_restore(context: Context, args: Args) -> Reply:
    """Restores all libraries from a payload."""
    _check_space(context)
    if len(args) > 4:
        raise CommandError(_BAD_SUBCOMMAND % args[1])
    policy = args[3].lower() if len(args) == 4 else _APPEND
    if policy not in (_APPEND, _REPLACE, _FLUSH):
        raise CommandError(
            b"ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
        )
    libraries: dict[bytes, Library] = {}
    taken: set[bytes] = set()
    for text in load_libraries(args[2]):
        name, _ = parse_library(text)
        if name in libraries:
            raise CommandError(_LIBRARY_EXISTS % name)
        library = _register(text)
        for function in library.functions:
            if function.name.lower() in taken:
                raise CommandError(b"ERR Function " + function.name + b" already exists")
        taken.update(function.name.lower() for function in library.functions)
        libraries[name] = library
    records = map(encode_library, libraries.values())
    await _change(context, [b"_functionkeep", policy, _me(context), *records])
    return OK


_HELP = """
LOAD [REPLACE] <FUNCTION CODE>
    Create a new library with the given library name and code.
DELETE <LIBRARY NAME>
    Delete the given library.
LIST [LIBRARYNAME PATTERN] [WITHCODE]
    Return general information on all the libraries:
    * Library name
    * The engine used to run the Library
    * Functions list
    * Library code (if WITHCODE is given)
    It also possible to get only function that matches a pattern using LIBRARYNAME argument.
STATS
    Return information about the current function running:
    * Function name
    * Command used to run the function
    * Duration in MS that the function is running
    If no function is running, return nil
    In addition, returns a list of available engines.
KILL
    Kill the current running function.
FLUSH [ASYNC|SYNC]
    Delete all the libraries.
    When called without the optional mode argument, the behavior is determined by the
    lazyfree-lazy-user-flush configuration directive. Valid modes are:
    * ASYNC: Asynchronously flush the libraries.
    * SYNC: Synchronously flush the libraries.
DUMP
    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE command
RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]
    Restore the libraries represented by the given payload, it is possible to give a restore policy to
    control how to handle existing libraries (default APPEND):
    * FLUSH: delete all existing libraries.
    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.
    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old
      libraries with the new libraries (notice that even on this option there is a chance of failure
      in case of functions name collision with another library).
"""


@command("function|help", arity=2, flags=LOADING | STALE, where=NODE, since="7.0.0", group="scripting")
def function_help(context: Context, args: Args) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_reply(b"FUNCTION", _HELP)
