"""EVAL, EVALSHA, and their kin that only read.

A script is one command of the group of its keys (of the first data group when it declares none), with one entry for
all that it writes. What it calls stands in script_calls.py, and what a group knows of texts in scripting/script.py.
"""

from binascii import unhexlify
from dataclasses import replace
from typing import Final

from server.commands.arguments import integer
from server.commands.script_calls import InScript, answered, check_flags
from server.commands.table import (
    NOSCRIPT,
    READONLY,
    SKIP_MONITOR,
    STALE,
    Args,
    Flag,
    Keys,
    Reply,
    command,
)
from server.errors import CommandError
from server.keyspace.view import View
from server.scripting.interpreter import Compiled, Interpreter, interpreter
from server.scripting.script import EVALUATED, find_text, has_text, keep_text

NO_SCRIPT = b"NOSCRIPT No matching script."
EVAL_FLAGS = NOSCRIPT | STALE | SKIP_MONITOR | Flag.NO_MANDATORY_KEYS
DEPENDS = "Depends on the script that is executed."
_DIGEST_CHARACTERS: Final = 40
"""Of a sha1 in hex."""
_COUNTS: Final = {b"%d" % count: count for count in range(16)}
"""Numbers of keys, at hand for those that are usual."""


def _keys_end(args: Args) -> int:
    """Index behind the keys that a script declares, which begin at 3. Raises CommandError."""
    count = _COUNTS.get(args[2])
    if count is None:
        count = integer(args[2])
    if count > len(args) - 3:
        raise CommandError(b"ERR Number of keys can't be greater than number of args")
    if count < 0:
        raise CommandError(b"ERR Number of keys can't be negative")
    return 3 + count


def _script_keys(args: Args) -> list[int]:
    """Indexes of the keys that a script declares. Raises CommandError."""
    return list(range(3, _keys_end(args)))


def _keys_by_digest(args: Args) -> list[int]:
    """Likewise, of a script that is named: of what can not be a digest that is said first."""
    try:
        return _script_keys(args)
    except CommandError:
        if len(args[1]) != _DIGEST_CHARACTERS:
            raise CommandError(NO_SCRIPT) from None
        raise


_KEYS_RW = Keys(find=_script_keys, access="RW access update", count_at=2)
_KEYS_RO = Keys(find=_script_keys, access="RO access", count_at=2)
_KEYS_RW_BY_DIGEST = replace(_KEYS_RW, find=_keys_by_digest)
_KEYS_RO_BY_DIGEST = replace(_KEYS_RO, find=_keys_by_digest)


def _run(
    view: View, args: Args, keys_end: int, lua: Interpreter, compiled: Compiled, readonly: bool
) -> Reply:
    script = compiled.script
    if script.declared:
        check_flags(view, script.flags, readonly)
        readonly = readonly or b"no-writes" in script.flags
    with InScript(view, script.flags, readonly) as running:
        return answered(lua.run(compiled, args[3:], keys_end - 3, running))


def _eval(view: View, args: Args, readonly: bool) -> Reply:
    keys_end = _keys_end(args)
    lua = interpreter()
    compiled = lua.compile(args[1])
    if not has_text(view, compiled.digest):
        keep_text(view, compiled.digest, args[1], EVALUATED)
        view.keep()
    return _run(view, args, keys_end, lua, compiled, readonly)


def digest_in(text: bytes) -> bytes | None:
    """The sha1 that 40 hex digits say."""
    try:
        return unhexlify(text) if len(text) == _DIGEST_CHARACTERS else None
    except ValueError:
        return None


def _evalsha(view: View, args: Args, readonly: bool) -> Reply:
    keys_end = _keys_end(args)
    digest = digest_in(args[1])
    if digest is None or not has_text(view, digest):
        raise CommandError(NO_SCRIPT)
    lua = interpreter()
    compiled = lua.find_script(digest)
    if compiled is None:
        text = find_text(view, digest)
        assert text is not None
        compiled = lua.compile(text)
    return _run(view, args, keys_end, lua, compiled, readonly)


@command(
    "eval",
    arity=-3,
    flags=EVAL_FLAGS,
    keys=_KEYS_RW,
    writes=True,
    since="2.6.0",
    group="scripting",
    complexity=DEPENDS,
)
def eval_(view: View, args: Args) -> Reply:
    """Executes a server-side Lua script."""
    return _eval(view, args, readonly=False)


@command(
    "eval_ro",
    arity=-3,
    flags=EVAL_FLAGS | READONLY,
    keys=_KEYS_RO,
    since="7.0.0",
    group="scripting",
    complexity=DEPENDS,
)
def eval_ro(view: View, args: Args) -> Reply:
    """Executes a read-only server-side Lua script."""
    return _eval(view, args, readonly=True)


@command(
    "evalsha",
    arity=-3,
    flags=EVAL_FLAGS,
    keys=_KEYS_RW_BY_DIGEST,
    writes=True,
    since="2.6.0",
    group="scripting",
    complexity=DEPENDS,
    needs_text=True,
)
def evalsha(view: View, args: Args) -> Reply:
    """Executes a server-side Lua script by SHA1 digest."""
    return _evalsha(view, args, readonly=False)


@command(
    "evalsha_ro",
    arity=-3,
    flags=EVAL_FLAGS | READONLY,
    keys=_KEYS_RO_BY_DIGEST,
    since="7.0.0",
    group="scripting",
    complexity=DEPENDS,
    needs_text=True,
)
def evalsha_ro(view: View, args: Args) -> Reply:
    """Executes a read-only server-side Lua script by SHA1 digest."""
    return _evalsha(view, args, readonly=True)
