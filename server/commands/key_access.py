"""What a request does to each of its keys, in Redis's words: COMMAND GETKEYSANDFLAGS, and the permissions of users.

It stands in the table (`Keys.access`), but for commands whose options decide: those are `variable_flags` there and
have a function here.
"""

from collections.abc import Callable

from server.commands.table import WRITE, Args, Command
from server.errors import CommandError

_WRITES = frozenset(("RW", "access", "update"))
_READS = frozenset(("RO", "access"))
_OVERWRITES = frozenset(("OW", "update"))


def _set(args: Args) -> frozenset[str]:
    return _WRITES if any(word.lower() == b"get" for word in args[3:]) else _OVERWRITES


def _bitfield(args: Args) -> frozenset[str]:
    at = 2
    while at < len(args):
        if args[at].lower() != b"get" or at + 2 >= len(args):
            return _WRITES
        at += 3
    return _READS


_STORING = frozenset(("georadius", "georadiusbymember", "sort"))
"""Commands that write to all keys but the first."""
_VARIABLE: dict[str, Callable[[Args], frozenset[str]]] = {"set": _set, "bitfield": _bitfield}


def key_flags(row: Command, position: int) -> list[str]:
    """The flags of the key that comes as number `position` (from 0) in a request, as COMMAND INFO has them."""
    specs = row.keys.access.split(",") if row.keys.access else []
    if position and row.keys.anywhere:
        specs = [row.keys.anywhere[-1]]
    if specs:
        return specs[min(position, len(specs) - 1)].split()
    return ["RW", "access", "update"] if row.flags & WRITE else ["RO", "access"]


def key_access(row: Command, args: Args) -> list[tuple[int, frozenset[str]]]:
    """The index of each key of a request, and the flags that tell what is done to it. Empty when the request makes no
    sense."""
    try:
        indexes = [index for index in row.keys.indexes(args) if index < len(args)]
    except CommandError:
        return []
    variable = _VARIABLE.get(row.name)
    if variable is not None:
        return [(index, variable(args)) for index in indexes]
    if row.name in _STORING:
        return [(index, _OVERWRITES if number else _READS) for number, index in enumerate(indexes)]
    return [(index, frozenset(key_flags(row, number))) for number, index in enumerate(indexes)]
