"""Commands on keys of any type, and on whole databases: DEL, RENAME, COPY, MOVE, FLUSHDB, SWAPDB and their
kin."""

from resp.values import OK, Simple
from server.commands.arguments import database, int32
from server.commands.table import (
    DENYOOM,
    FAST,
    READONLY,
    SPREAD_ALL,
    SPREAD_KEYS,
    WRITE,
    Args,
    Join,
    Keys,
    Reply,
    command,
)
from server.errors import INVALID_DB, NO_SUCH_KEY, SYNTAX, CommandError
from server.keyspace import events
from server.keyspace.breath import breathe
from server.keyspace.layout import TYPE_NAMES
from server.keyspace.meta import DATABASES
from server.keyspace.view import View
from server.types import keys

_SAME_OBJECT = b"ERR source and destination objects are the same"
_TYPES = tuple(Simple(name) for name in TYPE_NAMES)
_NO_TYPE = Simple(b"none")


def _delete(view: View, args: Args) -> Reply:
    count = 0
    for key in args[1:]:
        breathe()
        if view.delete(key):
            count += 1
            view.event(events.GENERIC, b"del", key)
    return count


@command(
    "del",
    arity=-2,
    flags=WRITE,
    keys=Keys(1, -1, access="RM delete"),
    where=SPREAD_KEYS,
    join=Join.SUM,
    group="generic",
    complexity="O(N) where N is the number of keys that will be removed.",
)
def del_(view: View, args: Args) -> Reply:
    """Deletes one or more keys."""
    return _delete(view, args)


@command(
    "unlink",
    arity=-2,
    flags=WRITE | FAST,
    keys=Keys(1, -1, access="RM delete"),
    where=SPREAD_KEYS,
    join=Join.SUM,
    since="4.0.0",
    group="generic",
    complexity="O(1) for each key removed; the space is reclaimed in the background.",
)
def unlink(view: View, args: Args) -> Reply:
    """Asynchronously deletes one or more keys."""
    return _delete(view, args)


@command(
    "exists",
    arity=-2,
    flags=READONLY | FAST,
    keys=Keys(1, -1, access="RO"),
    where=SPREAD_KEYS,
    join=Join.SUM,
    group="generic",
    complexity="O(N) where N is the number of keys to check.",
)
def exists(view: View, args: Args) -> Reply:
    """Determines whether one or more keys exist."""
    return sum(view.exists(key) for key in args[1:])


@command(
    "touch",
    arity=-2,
    flags=READONLY | FAST,
    keys=Keys(1, -1, access="RO"),
    where=SPREAD_KEYS,
    join=Join.SUM,
    since="3.2.1",
    group="generic",
    complexity="O(N) where N is the number of keys that will be touched.",
)
def touch(view: View, args: Args) -> Reply:
    """Returns the number of existing keys out of those specified after updating the time they were last accessed."""
    return sum(view.touch(key) for key in args[1:])


@command("type", arity=2, flags=READONLY | FAST, keys=Keys(1, 1, access="RO"), group="generic")
def type_(view: View, args: Args) -> Reply:
    """Determines the type of value stored at a key."""
    record = view.record(args[1], quiet=True)
    return _NO_TYPE if record is None else _TYPES[record[0]]


def _rename(view: View, args: Args, only_if_new: bool) -> bool:
    """Whether the key was renamed; onto itself counts unless `only_if_new`."""
    source, target = args[1], args[2]
    if not view.exists(source):
        raise CommandError(NO_SUCH_KEY)
    if only_if_new and (source == target or view.exists(target)):
        return False
    if source != target:
        keys.rename(view, source, target)
    return True


@command(
    "rename",
    arity=3,
    flags=WRITE,
    keys=Keys(1, 2, access="RW access delete, OW update"),
    group="generic",
)
def rename(view: View, args: Args) -> Reply:
    """Renames a key and overwrites the destination."""
    _rename(view, args, only_if_new=False)
    return OK


@command(
    "renamenx",
    arity=3,
    flags=WRITE | FAST,
    keys=Keys(1, 2, access="RW access delete, OW insert"),
    group="generic",
)
def renamenx(view: View, args: Args) -> Reply:
    """Renames a key only when the target key name doesn't exist."""
    return int(_rename(view, args, only_if_new=True))


@command(
    "copy",
    arity=-3,
    flags=WRITE | DENYOOM,
    keys=Keys(1, 2, access="RO access, OW update"),
    since="6.2.0",
    group="generic",
    complexity="O(N) for collections, where N is the number of nested items. O(1) for string values.",
)
def copy(view: View, args: Args) -> Reply:
    """Copies the value of a key to a new key."""
    db, replace = view.db, False
    options = iter(args[3:])
    for option in options:
        name = option.lower()
        if name == b"replace":
            replace = True
        elif name == b"db" and (text := next(options, None)) is not None:
            db = database(text)
        else:
            raise CommandError(SYNTAX)
    if db == view.db and args[1] == args[2]:
        raise CommandError(_SAME_OBJECT)
    return int(keys.copy(view, args[1], args[2], db, replace))


@command(
    "move",
    arity=3,
    flags=WRITE | FAST,
    keys=Keys(1, 1, access="RW access update"),
    group="generic",
)
def move(view: View, args: Args) -> Reply:
    """Moves a key to another database."""
    db = database(args[2])
    if db == view.db:
        raise CommandError(_SAME_OBJECT)
    return int(keys.move(view, args[1], db))


@command(
    "swapdb",
    arity=3,
    flags=WRITE | FAST,
    where=SPREAD_ALL,
    since="4.0.0",
    group="server",
    categories="keyspace dangerous",
)
def swapdb(view: View, args: Args) -> Reply:
    """Swaps two databases."""
    first = int32(args[1], b"ERR invalid first DB index")
    second = int32(args[2], b"ERR invalid second DB index")
    if not (0 <= first < DATABASES and 0 <= second < DATABASES):
        raise CommandError(INVALID_DB)
    if first != second:
        view.swap(first, second)
    return OK


@command(
    "dbsize",
    arity=1,
    flags=READONLY | FAST,
    where=SPREAD_ALL,
    join=Join.SUM,
    group="server",
    categories="keyspace",
)
def dbsize(view: View, args: Args) -> Reply:
    """Returns the number of keys in the database."""
    return view.key_count()


def _check_flush_mode(args: Args) -> None:
    """ASYNC and SYNC are taken and change nothing: emptying is one record, sweeping goes on in the
    background."""
    if len(args) > 2 or (len(args) == 2 and args[1].lower() not in (b"async", b"sync")):
        raise CommandError(SYNTAX)


@command("flushdb", arity=-1, flags=WRITE, where=SPREAD_ALL, group="server", categories="keyspace dangerous")
def flushdb(view: View, args: Args) -> Reply:
    """Removes all keys from the current database."""
    _check_flush_mode(args)
    view.flush()
    return OK


@command("flushall", arity=-1, flags=WRITE, where=SPREAD_ALL, group="server", categories="keyspace dangerous")
def flushall(view: View, args: Args) -> Reply:
    """Removes all keys from all databases."""
    _check_flush_mode(args)
    home = view.db
    for db in range(DATABASES):
        view.select(db)
        view.flush()
    view.select(home)
    return OK
