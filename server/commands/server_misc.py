"""Small commands about the server as a whole: TIME, ROLE, WAIT, SHUTDOWN, SAVE, LOLWUT, and those it has no use for.

Every acknowledged write is on the disks of a majority already, so SAVE, BGSAVE and BGREWRITEAOF have nothing to do and
say that they did it; WAIT counts replicas.
"""

from collections.abc import Callable
from random import Random
from time import time

import trio

from resp.values import OK, Simple, Verbatim
from server.cluster.topology import SYSTEM_GROUP
from server.commands.arguments import bounded_integer, integer, parse_int64
from server.commands.context import Context, GroupInfo
from server.commands.help import help_reply
from server.commands.table import (
    ADMIN,
    ALLOW_BUSY,
    BLOCKING,
    FAST,
    LOADING,
    NO_MULTI,
    NODE,
    NOSCRIPT,
    READONLY,
    STALE,
    Args,
    Flag,
    Handler,
    Reply,
    command,
    container,
)
from server.errors import CLIENT_UNBLOCKED, SYNTAX, CommandError
from server.version import REDRAFT_VERSION

_POLL_S = 0.005
"""How often WAIT looks again: a fraction of the time that a replica needs for a synced write over a network."""


@command("time", arity=1, flags=FAST | LOADING | STALE, where=NODE, since="2.6.0", group="server")
def time_(context: Context, args: Args) -> Reply:
    """Returns the server time."""
    now_us = int(time() * 1_000_000)
    return [b"%d" % (now_us // 1_000_000), b"%d" % (now_us % 1_000_000)]


# -- replication ----------------------------------------------------------------------------------------------------


def replication_offset(infos: list[GroupInfo]) -> int:
    """A number that grows with every write applied here: the sum of the groups' applied indexes."""
    return sum(info.applied for info in infos)


@command(
    "role",
    arity=1,
    flags=FAST | LOADING | STALE | NOSCRIPT,
    where=NODE,
    since="2.8.12",
    group="server",
    categories="admin dangerous",
)
def role(context: Context, args: Args) -> Reply:
    """Returns the replication role."""
    return [b"master", replication_offset(context.node.group_infos()), []]


def synced_replicas(context: Context) -> tuple[int, bool]:
    """On how many other replicas every committed write is for certain, and whether waiting can show a greater number.

    Of a group that this node leads it knows each replica's progress. Of the others it knows that what is committed is
    on a majority, and will not learn more by waiting.
    """
    topology = context.node.topology
    counts, can_grow = [], False
    for info in context.node.group_infos():
        if info.group == SYSTEM_GROUP:
            continue
        replicas = len(topology.groups[info.group].replicas)
        if info.role == "leader":
            counts.append(
                sum(node != topology.me and match >= info.commit for node, match, _, _ in info.peers)
            )
            can_grow = True
        else:
            counts.append(replicas // 2)
    least = min(counts, default=0)
    led_limits = can_grow and all(
        info.role == "leader"
        for info, count in zip(
            (one for one in context.node.group_infos() if one.group != SYSTEM_GROUP), counts, strict=True
        )
        if count == least
    )
    return least, led_limits


class _Waiting:
    """A client at WAIT or WAITAOF, see session.Blocked."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.error = False

    def unblock(self, *, error: bool) -> bool:
        """End it, with what there is or with an error."""
        self.error = error
        self.scope.cancel()
        return True

    def check(self) -> None:
        """It reads nothing that rules are about."""

    def log_slow(self, log: Callable[[], None]) -> None:
        """It has done what it does, but for the waiting."""
        log()


async def _wait_for_replicas(context: Context, wanted: int, timeout_ms: int) -> int:
    """Wait until `wanted` replicas have everything, the time is over (0: never), or waiting tells nothing more. Raises
    CommandError when CLIENT UNBLOCK ends it with an error."""
    session, waiting = context.session, _Waiting()
    if timeout_ms:
        waiting.scope.deadline = trio.current_time() + timeout_ms / 1000
    count, can_grow = synced_replicas(context)
    if count >= wanted or not can_grow or context.in_transaction:
        return count
    session.blocked = waiting
    try:
        with waiting.scope:
            while count < wanted and can_grow:
                await trio.sleep(_POLL_S)
                count, can_grow = synced_replicas(context)
    finally:
        session.blocked = None
    if waiting.error:
        raise CommandError(CLIENT_UNBLOCKED)
    return synced_replicas(context)[0]


def _timeout(word: bytes) -> int:
    timeout_ms = integer(word, b"ERR timeout is not an integer or out of range")
    if timeout_ms < 0:
        raise CommandError(b"ERR timeout is negative")
    return timeout_ms


@command(
    "wait",
    arity=3,
    flags=BLOCKING,
    where=NODE,
    since="3.0.0",
    group="generic",
    categories="connection -keyspace",
)
async def wait(context: Context, args: Args) -> Reply:
    """Blocks until the asynchronous replication of all preceding write commands sent by the connection is completed."""
    wanted, timeout_ms = integer(args[1]), _timeout(args[2])
    return await _wait_for_replicas(context, wanted, timeout_ms)


@command(
    "waitaof",
    arity=4,
    flags=BLOCKING,
    where=NODE,
    since="7.2.0",
    group="generic",
    categories="connection -keyspace",
)
async def waitaof(context: Context, args: Args) -> Reply:
    """Blocks until all of the preceding write commands sent by the connection are on disk here and on replicas."""
    local = integer(args[1])
    if not 0 <= local <= 1:
        raise CommandError(b"ERR value is out of range, value must between 0 and 1")
    replicas = bounded_integer(args[2], 0, 2**63 - 1, b"ERR value is out of range, must be positive")
    timeout_ms = _timeout(args[3])
    return [1, await _wait_for_replicas(context, replicas, timeout_ms)]


# -- persistence and the end ----------------------------------------------------------------------------------------

_SAVING = ADMIN | NOSCRIPT | Flag.NO_ASYNC_LOADING


@command(
    "lastsave",
    arity=1,
    flags=FAST | LOADING | STALE,
    where=NODE,
    group="server",
    categories="admin dangerous",
)
def lastsave(context: Context, args: Args) -> Reply:
    """Returns the Unix timestamp of the last successful save to disk."""
    return int(time())


@command("save", arity=1, flags=_SAVING | NO_MULTI, where=NODE, group="server")
async def save(context: Context, args: Args) -> Reply:
    """Synchronously saves the database(s) to disk."""
    await context.node.wait_synced()
    return OK


@command("bgsave", arity=-1, flags=_SAVING, where=NODE, group="server")
def bgsave(context: Context, args: Args) -> Reply:
    """Asynchronously saves the database(s) to disk."""
    if len(args) > 2 or (len(args) == 2 and args[1].lower() not in (b"schedule", b"cancel")):
        raise CommandError(SYNTAX)
    if len(args) == 2 and args[1].lower() == b"cancel":
        raise CommandError(b"ERR Background saving is currently not in progress or scheduled")
    return Simple(b"Background saving started")


@command("bgrewriteaof", arity=1, flags=_SAVING, where=NODE, group="server")
def bgrewriteaof(context: Context, args: Args) -> Reply:
    """Asynchronously rewrites the append-only file to disk."""
    return Simple(b"Background append only file rewriting started")


@command(
    "shutdown",
    arity=-1,
    flags=ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY,
    where=NODE,
    group="server",
)
async def shutdown(context: Context, args: Args) -> Reply:
    """Hands over what this node leads, flushes, and ends the process."""
    words = [word.lower() for word in args[1:]]
    if not set(words) <= {b"nosave", b"save", b"now", b"force", b"safe", b"failover", b"abort"}:
        raise CommandError(SYNTAX)
    if (b"save" in words and b"nosave" in words) or (b"abort" in words and len(words) > 1):
        raise CommandError(SYNTAX)
    if b"abort" in words:
        raise CommandError(b"ERR No shutdown in progress.")
    busy = context.node.busy_script()
    if busy is not None and b"nosave" not in words:
        raise CommandError(busy)
    await context.node.shutdown(now=b"now" in words)
    return OK


# -- what other servers have ----------------------------------------------------------------------------------------

_NO_REPLICATION = (
    b"ERR %b is not supported: replicas are the nodes of the config file, kept in step by Raft; see INFO raft"
)


def _refuse(name: str, summary: str) -> Handler:
    def refused(context: Context, args: Args) -> Reply:
        raise CommandError(_NO_REPLICATION % name.upper().encode())

    refused.__doc__ = summary
    return refused


def _replicaof(name: str, summary: str) -> Handler:
    refused = _refuse(name, summary)

    def handler(context: Context, args: Args) -> Reply:
        if args[1].lower() == b"no" and args[2].lower() == b"one":
            return OK
        return refused(context, args)

    handler.__doc__ = summary
    return handler


for _name, _since in (("replicaof", "5.0.0"), ("slaveof", "1.0.0")):
    command(_name, arity=3, flags=_SAVING | STALE, where=NODE, since=_since, group="server")(
        _replicaof(_name, "Configures a server as replica of another, or promotes it to a primary.")
    )
for _name, _arity, _since, _flags, _summary in (
    ("failover", -1, "6.2.0", ADMIN | NOSCRIPT | STALE, "Starts a coordinated failover to a replica."),
    ("psync", -3, "2.8.0", _SAVING | NO_MULTI, "An internal command used in replication."),
    ("sync", 1, "1.0.0", _SAVING | NO_MULTI, "An internal command used in replication."),
    (
        "replconf",
        -1,
        "3.0.0",
        ADMIN | NOSCRIPT | LOADING | STALE | ALLOW_BUSY,
        "An internal command for configuring the replication stream.",
    ),
):
    command(_name, arity=_arity, flags=_flags, where=NODE, since=_since, group="server")(
        _refuse(_name, _summary)
    )

container("module", since="4.0.0", group="server", summary="A container for module commands")


@command("module|list", arity=2, flags=ADMIN | NOSCRIPT, where=NODE, since="4.0.0", group="server")
def module_list(context: Context, args: Args) -> Reply:
    """Returns all loaded modules."""
    return []


def _no_modules(context: Context, args: Args) -> Reply:
    """Loads or unloads a module."""
    raise CommandError(
        b"ERR modules are not supported: every command of this server is built in; see COMMAND LIST"
    )


for _name, _arity, _since in (("load", -3, "4.0.0"), ("loadex", -3, "7.0.0"), ("unload", 3, "4.0.0")):
    command(f"module|{_name}", arity=_arity, flags=_SAVING, where=NODE, since=_since, group="server")(
        _no_modules
    )


@command("module|help", arity=2, flags=LOADING | STALE, where=NODE, since="5.0.0", group="server")
def module_help(context: Context, args: Args) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_reply(b"MODULE", "LIST\n    Return a list of loaded modules.")


@command("lolwut", arity=-1, flags=READONLY | FAST, where=NODE, since="5.0.0", group="server", complexity="")
def lolwut(context: Context, args: Args) -> Reply:
    """Displays computer art and the server version."""
    words = args[3:] if len(args) > 2 and args[1].lower() == b"version" else args[1:]
    sizes = [parse_int64(word) for word in words[:2]]
    columns, rows = [
        min(max(size, 1), limit) if size is not None else default
        for size, limit, default in zip([*sizes, None, None], (160, 40), (66, 6), strict=False)
    ]
    return Verbatim(_sea(Random(), columns, rows).encode() + f"\nRedraft ver. {REDRAFT_VERSION}\n".encode())


def _sea(random: Random, columns: int, rows: int) -> str:
    """A raft of three logs on a sea that is never the same twice."""
    raft = (" |> ", " |  ", "=ooo=")
    at = random.randrange(max(columns - 5, 1))
    lines = [" " * at + part for part in raft]
    for row in range(rows):
        calm = 0.3 + 0.5 * row / rows
        lines.append(
            "".join("~" if random.random() > calm else " -_"[random.randrange(3)] for _ in range(columns))
        )
    return "\n".join(lines)
