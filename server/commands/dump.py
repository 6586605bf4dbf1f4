"""DUMP and RESTORE: a value as Redis writes it into its own files; see types/dump.py for the format."""

from resp.values import OK
from server.commands.arguments import INT64_MAX, integer
from server.commands.table import DENYOOM, READONLY, WRITE, Args, Flag, Keys, Reply, command
from server.errors import SYNTAX, CommandError
from server.keyspace import events
from server.keyspace.limits import counts_uses
from server.keyspace.view import View
from server.types.dump import BadFormat, WrongChecksum, dump, load


@command(
    "dump",
    arity=2,
    flags=READONLY,
    keys=Keys(1, 1, access="RO access"),
    since="2.6.0",
    group="generic",
    complexity="O(1) to access the key and additional O(N) to serialize it, where N is its size.",
)
def dump_(view: View, args: Args) -> Reply:
    """Returns a serialized representation of the value stored at a key."""
    return dump(view, args[1])


def _options(options: Args) -> tuple[bool, bool, int, int]:
    """(REPLACE, ABSTTL, IDLETIME in seconds, FREQ), the last two -1 when they are not given."""
    replace = absolute = False
    idle_s = frequency = -1
    rest = iter(options)
    for option in rest:
        name = option.lower()
        if name == b"replace":
            replace = True
        elif name == b"absttl":
            absolute = True
        elif name == b"idletime" and frequency == -1 and (text := next(rest, None)) is not None:
            idle_s = integer(text)
            if idle_s < 0:
                raise CommandError(b"ERR Invalid IDLETIME value, must be >= 0")
        elif name == b"freq" and idle_s == -1 and (text := next(rest, None)) is not None:
            frequency = integer(text)
            if not 0 <= frequency <= 255:
                raise CommandError(b"ERR Invalid FREQ value, must be >= 0 and <= 255")
        else:
            raise CommandError(SYNTAX)
    return replace, absolute, idle_s, frequency


@command(
    "restore",
    arity=-4,
    flags=WRITE | DENYOOM,
    keys=Keys(1, 1, access="OW update"),
    since="2.6.0",
    group="generic",
    complexity="O(1) to create the key and additional O(N) to read the value, where N is its size.",
    categories="dangerous",
)
def restore(view: View, args: Args) -> Reply:
    """Creates a key from the serialized representation of a value."""
    key = args[1]
    replace, absolute, idle_s, frequency = _options(args[4:])
    if not replace and view.exists(key):
        raise CommandError(b"BUSYKEY Target key name already exists.")
    ttl_ms = integer(args[2])
    if ttl_ms < 0:
        raise CommandError(b"ERR Invalid TTL value, must be >= 0")
    try:
        value = load(args[3])
    except WrongChecksum:
        raise CommandError(b"ERR DUMP payload version or checksum are wrong") from None
    except BadFormat:
        raise CommandError(b"ERR Bad data format") from None
    expire_ms = ttl_ms if absolute or not ttl_ms else ttl_ms + view.now_ms
    existed = view.exists(key)
    # A sum past 64 bits wraps around to the past, as it does in Redis.
    over = expire_ms and (expire_ms <= view.now_ms or expire_ms > INT64_MAX)
    if not over and value.put(view, key, expire_ms):
        if existed:
            view.event(events.NEW, b"new", key)  # the one before it is deleted without a word
        view.event(events.GENERIC, b"restore", key)
        if counts_uses(view.limits):
            if frequency >= 0:
                view.set_use_count(key, frequency)
        elif idle_s > 0:
            view.set_idle(key, idle_s * 1000)
    else:
        view.delete(key)
        if existed:
            view.event(events.GENERIC, b"del", key)
    return OK


command(
    "restore-asking",
    arity=-4,
    flags=WRITE | DENYOOM | Flag.ASKING,
    keys=Keys(1, 1, access="OW update"),
    since="3.0.0",
    group="server",
    complexity="O(1) to create the key and additional O(N) to read the value, where N is its size.",
    categories="keyspace dangerous",
)(restore)
