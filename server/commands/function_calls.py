"""FCALL: running a function on the group of its keys.

The client's node finds the function's library among those that it knows (dispatch/texts.py) and asks the group to run
that very text, by its digest; the text itself goes along when the group may not have it yet:

    _runfunction digest text-or-empty function numkeys key… arg…

So it does not matter whether the group's leader has heard of the library. The rest is as for EVAL in evals.py.
"""

from server.commands.arguments import integer
from server.commands.evals import DEPENDS, EVAL_FLAGS
from server.commands.script_calls import InScript, answered, check_flags
from server.commands.table import READONLY, Args, Keys, Reply, command
from server.errors import CommandError, not_applied
from server.keyspace.view import View
from server.scripting.interpreter import interpreter
from server.scripting.library import Function, Library
from server.scripting.script import EVALUATED, LIBRARIES, find_text, keep_text

NOT_FOUND = b"ERR Function not found"
_COUNT_AT = 2
_COUNT_WITHIN = 4
"""Where the number of keys stands in an FCALL, and in what becomes of it."""


def _count(args: Args, at: int) -> int:
    count = integer(args[at], b"ERR Bad number of keys provided")
    if count > len(args) - at - 1:
        raise CommandError(b"ERR Number of keys can't be greater than number of args")
    if count < 0:
        raise CommandError(b"ERR Number of keys can't be negative")
    return count


def _keys(args: Args) -> list[int]:
    return list(range(_COUNT_AT + 1, _COUNT_AT + 1 + _count(args, _COUNT_AT)))


def _keys_within(args: Args) -> list[int]:
    return list(range(_COUNT_WITHIN + 1, _COUNT_WITHIN + 1 + _count(args, _COUNT_WITHIN)))


def run_request(args: Args, library: Library, function: Function, *, with_text: bool) -> Args:
    """What the group is asked for a client's FCALL or FCALL_RO. Raises CommandError when its keys make no sense."""
    _count(args, _COUNT_AT)
    readonly = args[0].lower() == b"fcall_ro"
    text = library.text if with_text else b""
    name = b"_runfunction_ro" if readonly else b"_runfunction"
    return [name, library.digest, text, function.name, *args[_COUNT_AT:]]


def client_request(request: Args) -> Args:
    """What the client has sent, of what `run_request` made of it; any other request is itself."""
    if not request[0].startswith(b"_runfunction"):
        return request
    word = b"fcall_ro" if request[0] == b"_runfunction_ro" else b"fcall"
    return [word, request[3], *request[_COUNT_WITHIN:]]


def _run(view: View, args: Args, readonly: bool) -> Reply:
    digest, text, name = args[1:_COUNT_WITHIN]
    first = _COUNT_WITHIN + 1
    count = _count(args, _COUNT_WITHIN)
    lua = interpreter()
    if text:
        keep_text(view, digest, text, EVALUATED, LIBRARIES)
        view.keep()
    registered = lua.find_function(digest, name)
    if registered is None:
        known = text or find_text(view, digest, LIBRARIES)
        if known is None:
            raise not_applied(b"The function's library is on its way")
        lua.load(digest, known)
        registered = lua.find_function(digest, name)
        assert registered is not None
    flags = registered.function.flags
    check_flags(view, flags, readonly)
    with InScript(view, flags, readonly or b"no-writes" in flags) as running:
        return answered(lua.call_function(registered, args[first:], count, running))


@command(
    "fcall",
    arity=-3,
    flags=EVAL_FLAGS,
    keys=Keys(find=_keys, access="RW access update", count_at=_COUNT_AT),
    writes=True,
    since="7.0.0",
    group="scripting",
    complexity=DEPENDS,
    needs_text=True,
)
def fcall(view: View, args: Args) -> Reply:
    """Invokes a function."""
    raise AssertionError("run as _runfunction")


@command(
    "fcall_ro",
    arity=-3,
    flags=EVAL_FLAGS | READONLY,
    keys=Keys(find=_keys, access="RO access", count_at=_COUNT_AT),
    since="7.0.0",
    group="scripting",
    complexity=DEPENDS,
    needs_text=True,
)
def fcall_ro(view: View, args: Args) -> Reply:
    """Invokes a read-only function."""
    raise AssertionError("run as _runfunction_ro")


@command(
    "_runfunction", arity=-5, keys=Keys(find=_keys_within), writes=True, group="scripting", complexity=DEPENDS
)
def run_function(view: View, args: Args) -> Reply:
    """Runs a function of a library."""
    return _run(view, args, readonly=False)


@command(
    "_runfunction_ro",
    arity=-5,
    flags=READONLY,
    keys=Keys(find=_keys_within),
    group="scripting",
    complexity=DEPENDS,
)
def run_function_readonly(view: View, args: Args) -> Reply:
    """Runs a function of a library that may not write."""
    return _run(view, args, readonly=True)


@command("_fail", arity=2, flags=READONLY, group="scripting")
def fail(view: View, args: Args) -> Reply:
    """Fails: the place of a call in a transaction that can not be made."""
    raise CommandError(args[1])
