"""DEBUG and MEMORY: what Redis's own test suite and people with a problem ask for.

DEBUG subcommands are not rows of the table, as in Redis: each is an entry of `_SUBCOMMANDS`, which says how many
arguments it takes. To add one, write a handler and an entry.
"""

import logging
from collections.abc import Awaitable, Callable

import hiredis
import trio

import server.commands.object_command  # noqa: F401  (declares MEMORY)
from resp.replies import encode
from resp.values import OK, Attribute, BigNumber, Error, Push, Raw, Simple, Verbatim
from server.commands.arguments import bounded_integer, sleep_time_s
from server.commands.context import Context
from server.commands.help import help_reply
from server.commands.table import (
    ADMIN,
    FIRST,
    LOADING,
    NO_FLAGS,
    NODE,
    NOSCRIPT,
    READONLY,
    STALE,
    Args,
    Reply,
    command,
)
from server.errors import NO_SUCH_KEY, CommandError
from server.keyspace.layout import HEADER_BYTES
from server.keyspace.slots import key_slot
from server.keyspace.view import View
from server.telemetry.process import peak_resident_bytes, resident_bytes
from server.types.keys import encoding_name

log = logging.getLogger("redraft.debug")

_BAD_SUBCOMMAND = b"ERR unknown subcommand or wrong number of arguments for '%b'. Try DEBUG HELP."
_NOT_POSITIVE = b"ERR value is out of range, must be positive"
_PROTOCOL_TYPES = b"string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"


@command("_debugobject", arity=2, flags=READONLY, keys=FIRST, group="server")
def debug_object_here(view: View, args: Args) -> Reply:
    """DEBUG OBJECT, at the leader of the key: also of one past its time, while it is there."""
    head = view.head_at_rest(args[1])
    if head is None:
        raise CommandError(NO_SUCH_KEY)
    return Simple(
        b"Value at:0x%x refcount:1 encoding:%b serializedlength:%d lru:0 lru_seconds_idle:%d revision:%d"
        % (
            *(id(view), encoding_name(args[1], head), HEADER_BYTES + len(head.payload)),
            *(view.idle_ms(args[1]) // 1000, head.revision),
        )
    )


async def _object(context: Context, args: Args) -> Reply:
    group = context.node.topology.slot_groups[key_slot(args[2])]
    reply = await context.node.call(group, context.session.db, [b"_debugobject", args[2]])
    if isinstance(reply, hiredis.ReplyError):
        raise CommandError(str(reply).encode())
    return Simple(reply if isinstance(reply, bytes) else str(reply).encode())


async def _sleep(context: Context, args: Args) -> Reply:
    """Unlike Redis's, only this connection sleeps. It counts as slow all the same: what it is used for."""
    seconds = sleep_time_s(args[2])
    await trio.sleep(seconds)
    node, micros = context.node, int(seconds * 1_000_000)
    if micros >= node.slowlog.threshold:
        node.slowlog.add(args, micros, context.session)
    if micros >= node.latency.threshold_us:
        node.latency.event(b"command", micros // 1000)
    return OK


def _set_active_expire(context: Context, args: Args) -> Reply:
    context.node.active_expire = args[2] != b"0"
    return OK


def _set_disable_deny_scripts(context: Context, args: Args) -> Reply:
    context.node.scripts_run_anything = args[2] != b"0"
    return OK


def _error(context: Context, args: Args) -> Reply:
    return Error(args[2])


def _protocol(context: Context, args: Args) -> Reply:
    replies: dict[bytes, Reply] = {
        b"string": b"Hello World",
        b"integer": 12345,
        b"double": 3.141,
        b"bignum": BigNumber(1234567999999999999999999999999999999),
        b"null": None,
        b"array": [0, 1, 2],
        b"set": {0, 1, 2},
        b"map": {0: False, 1: True, 2: False},
        b"attrib": Attribute(
            {b"key-popularity": [b"key:123", 90]}, b"Some real reply following the attribute"
        ),
        b"verbatim": Verbatim(b"This is a verbatim\nstring"),
        b"true": True,
        b"false": False,
    }
    kind = args[2].lower()
    if kind == b"push":
        if context.session.protocol == 2:
            raise CommandError(b"ERR RESP2 is not supported by this command")
        push = Push([b"server-cpu-usage", 42])
        return Raw(encode(b"Some real reply following the push reply", 3) + encode(push, 3))
    if kind not in replies:
        raise CommandError(
            b"ERR Wrong protocol type name. Please use one of the following: " + _PROTOCOL_TYPES
        )
    return replies[kind]


async def _reload(context: Context, args: Args) -> Reply:
    """Nothing needs to be saved and loaded again, but everything applied is on disk afterwards. What would be loaded
    beside itself clashes, unless it may be merged."""
    options = {option.lower() for option in args[2:]}
    node = context.node
    if not options <= _RELOAD_OPTIONS:
        raise CommandError(b"ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    clashes = b"noflush" in options and b"merge" not in options
    if clashes and (node.functions.libraries or any(count for count, _ in node.keyspace())):
        raise CommandError(b"ERR Error trying to load the RDB dump, check server logs.")
    await node.wait_synced()
    return OK


async def _populate(context: Context, args: Args) -> Reply:
    """Keys `prefix:0` and on, as far as they are not there, with values `value:0` and on, cut or filled to a size."""
    count = bounded_integer(args[2], 0, 2**63 - 1, _NOT_POSITIVE)
    prefix = args[3] if len(args) > 3 else b"key"
    size_bytes = bounded_integer(args[4], 0, 2**63 - 1, _NOT_POSITIVE) if len(args) > 4 else 0
    numbers = iter(range(count))

    async def write() -> None:
        for number in numbers:
            key, value = b"%b:%d" % (prefix, number), b"value:%d" % number
            if size_bytes > 0:
                value = value[:size_bytes].ljust(size_bytes, b"\0")
            group = context.node.topology.slot_groups[key_slot(key)]
            await context.node.call(group, context.session.db, [b"SETNX", key, value])

    async with trio.open_nursery() as nursery:
        for _ in range(min(count, _WRITERS)):
            nursery.start_soon(write)
    return OK


async def _digest(context: Context, args: Args) -> Reply:
    """Of the data that this node's replicas have applied: equal on nodes with the same groups when nothing is
    written."""
    return Simple(b"%040x" % await context.node.digest())


def _log(context: Context, args: Args) -> Reply:
    log.warning("DEBUG LOG: %s", args[2].decode(errors="replace"))
    return OK


def _nothing(context: Context, args: Args) -> Reply:
    """For switches of parts that this server does not have."""
    return OK


def _refused(context: Context, args: Args) -> Reply:
    raise CommandError(b"ERR DEBUG %b is refused: it would harm the server or its data" % args[1].upper())


def _memory_free(context: Context, args: Args) -> Reply:
    raise CommandError(
        b"ERR DEBUG %b is not supported: values live in a data store on disk, not in the structures it shows"
        % args[1].upper()
    )


def _help(context: Context, args: Args) -> Reply:
    return help_reply(b"DEBUG", _HELP)


_RELOAD_OPTIONS = frozenset((b"merge", b"noflush", b"nosave"))
_ANY = 1 << 30
_WRITERS = 200
"""So many keys of DEBUG POPULATE are under way at once."""
_SUBCOMMANDS: dict[bytes, tuple[int, int, Callable[[Context, Args], Reply | Awaitable[Reply]]]] = {
    b"assert": (2, 2, _refused),
    b"change-repl-id": (2, 2, _nothing),
    b"client-enforce-reply-list": (3, 3, _nothing),
    b"config-rewrite-force-all": (2, 2, _refused),
    b"crash-and-recover": (2, 3, _refused),
    b"delay-rdb-client-free-second": (3, 3, _nothing),
    b"dict-resizing": (3, 3, _nothing),
    b"digest": (2, 2, _digest),
    b"error": (3, 3, _error),
    b"hashtable-can-abort-shrink": (3, 3, _nothing),
    b"help": (2, 2, _help),
    b"htstats": (3, 4, _memory_free),
    b"htstats-key": (3, 4, _memory_free),
    b"jmap": (2, 2, _memory_free),
    b"leak": (3, 3, _refused),
    b"listpack": (3, 3, _memory_free),
    b"loadaof": (2, 2, _reload),
    b"log": (3, 3, _log),
    b"object": (3, 4, _object),
    b"oom": (2, 2, _refused),
    b"panic": (2, 2, _refused),
    b"pause-cron": (3, 3, _nothing),
    b"populate": (3, 5, _populate),
    b"protocol": (3, 3, _protocol),
    b"quicklist": (3, 4, _memory_free),
    b"quicklist-packed-threshold": (3, 3, _nothing),
    b"reload": (2, _ANY, _reload),
    b"replicate": (3, _ANY, _refused),
    b"replybuffer": (4, 4, _nothing),
    b"restart": (2, 3, _refused),
    b"sdslen": (3, 3, _memory_free),
    b"segfault": (2, 2, _refused),
    b"set-active-expire": (3, 3, _set_active_expire),
    b"set-disable-deny-scripts": (3, 3, _set_disable_deny_scripts),
    b"set-skip-checksum-validation": (3, 3, _nothing),
    b"sleep": (3, 3, _sleep),
    b"stringmatch-len": (4, 4, _nothing),
    b"structsize": (2, 2, _memory_free),
}
"""Name to fewest and most arguments (DEBUG and the name counted) and handler."""


@command(
    "debug",
    arity=-2,
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    where=NODE,
    group="server",
    complexity="Depends on subcommand.",
)
def debug(context: Context, args: Args) -> Reply | Awaitable[Reply]:
    """A container for debugging commands."""
    entry = _SUBCOMMANDS.get(args[1].lower())
    if entry is None or not entry[0] <= len(args) <= entry[1]:
        raise CommandError(_BAD_SUBCOMMAND % args[1])
    return entry[2](context, args)


# -- MEMORY (the container, USAGE and HELP are in object_command.py) ---------------------------------------------


@command("memory|doctor", arity=2, flags=NO_FLAGS, where=NODE, since="4.0.0", group="server")
def memory_doctor(context: Context, args: Args) -> Reply:
    """Outputs a memory problems report."""
    return Verbatim(
        b"Keys and values are on disk here: memory holds clients' buffers, recent log entries and caches of a fixed "
        b"size. Nothing to report.\n"
    )


@command("memory|stats", arity=2, flags=NO_FLAGS, where=NODE, since="4.0.0", group="server")
def memory_stats(context: Context, args: Args) -> Reply:
    """Returns details about memory usage."""
    node = context.node
    used, peak = resident_bytes(), peak_resident_bytes()
    clients = sum(one.outlet.output_bytes + one.outlet.query_bytes for one in node.sessions.values())
    keys = sum(count for count, _ in node.keyspace())
    stored = node.disk_bytes()
    return {
        b"peak.allocated": peak,
        b"total.allocated": used,
        b"startup.allocated": 0,
        b"replication.backlog": sum(info.log_bytes for info in node.group_infos()),
        b"replicas.repl.buffer": 0,
        b"clients.slaves": 0,
        b"clients.normal": clients,
        b"cluster.links": sum(waiting_bytes for _, _, waiting_bytes in node.links()),
        b"cluster.slot_import": 0,
        b"cluster.slot_export": 0,
        b"aof.buffer": sum(info.uncommitted_bytes for info in node.group_infos()),
        b"lua.caches": 0,
        b"functions.caches": 0,
        **{
            b"db.%d" % db: {b"overhead.hashtable.main": 0, b"overhead.hashtable.expires": 0}
            for db, (count, _) in enumerate(node.keyspace())
            if count
        },
        b"overhead.db.hashtable.lut": 0,
        b"overhead.db.hashtable.rehashing": 0,
        b"overhead.total": used,
        b"db.dict.rehashing.count": 0,
        b"keys.count": keys,
        b"keys.bytes-per-key": stored // keys if keys else 0,
        b"dataset.bytes": stored,
        b"dataset.percentage": 0.0,
        b"peak.percentage": 100.0 * used / max(peak, 1),
        b"allocator.allocated": used,
        b"allocator.active": used,
        b"allocator.resident": used,
        b"allocator.muzzy": 0,
        b"allocator-fragmentation.ratio": 1.0,
        b"allocator-fragmentation.bytes": 0,
        b"allocator-rss.ratio": 1.0,
        b"allocator-rss.bytes": 0,
        b"rss-overhead.ratio": 1.0,
        b"rss-overhead.bytes": 0,
        b"fragmentation": 1.0,
        b"fragmentation.bytes": 0,
    }


_ALLOCATOR = "Depends on how much memory is allocated, could be slow"


@command(
    "memory|purge", arity=2, flags=LOADING, where=NODE, since="4.0.0", group="server", complexity=_ALLOCATOR
)
def memory_purge(context: Context, args: Args) -> Reply:
    """Asks the allocator to release memory."""
    return OK


@command(
    "memory|malloc-stats",
    arity=2,
    flags=LOADING,
    where=NODE,
    since="4.0.0",
    group="server",
    complexity=_ALLOCATOR,
)
def memory_malloc_stats(context: Context, args: Args) -> Reply:
    """Returns the allocator statistics."""
    return b"Stats not supported for the current allocator"


_HELP = """
CHANGE-REPL-ID
    Accepted; there is no replication id.
ERROR <string>
    Return a RESP protocol error with <string> as message. Useful for clients
    unit tests to simulate error replies.
LOADAOF
    Return when everything applied is synced in the data store.
LOG <message>
    Write <message> to the server log.
OBJECT <key> [fast]
    Show low level info about `key` and associated value.
POPULATE <count> [<prefix>] [<size>]
    Create <count> string keys named key:<num>. If <prefix> is specified then
    it is used instead of the 'key' prefix. Values are cut or filled up to <size> bytes.
PROTOCOL <type>
    Reply with a test value of the specified type. <type> can be: string,
    integer, double, bignum, null, array, set, map, attrib, push, verbatim,
    true, false.
QUICKLIST-PACKED-THRESHOLD <size>
    Accepted; there are no quicklists.
RELOAD [option ...]
    Return when everything applied is synced in the data store.
SET-ACTIVE-EXPIRE <0|1>
    Setting it to 0 disables expiring keys in background when they are not
    accessed (otherwise the behavior). Setting it to 1 reenables back the
    default.
SET-DISABLE-DENY-SCRIPTS <0|1>
    Setting it to 1 lets scripts call commands on this node that scripts may not
    call, such as DEBUG itself.
SLEEP <seconds>
    Let this connection wait for <seconds>. Decimals allowed.
STRINGMATCH-LEN <length> <pattern>
    Accepted; does nothing.
"""
