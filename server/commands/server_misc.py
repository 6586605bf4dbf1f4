"""Small commands about the server as a whole: TIME, ROLE, SHUTDOWN, SAVE, LOLWUT, and those it has no use for.

Every acknowledged write is on the disks of a majority already, so SAVE, BGSAVE and BGREWRITEAOF have nothing to do and
say that they did it.
"""

from random import Random
from time import time

from resp.values import OK, Simple, Verbatim
from server.commands.arguments import parse_int64
from server.commands.context import Context, GroupInfo
from server.commands.help import help_reply
from server.commands.table import (
    ADMIN,
    ALLOW_BUSY,
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
from server.errors import SYNTAX, CommandError
from server.version import REDRAFT_VERSION


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
    return context.node.stats.saved_at_s


@command("save", arity=1, flags=_SAVING | NO_MULTI, where=NODE, group="server")
async def save(context: Context, args: Args) -> Reply:
    """Synchronously saves the database(s) to disk."""
    stats = context.node.stats
    changes = stats.unsaved_changes
    await context.node.wait_synced()
    stats.saved(changes)
    return OK


@command("bgsave", arity=-1, flags=_SAVING, where=NODE, group="server")
def bgsave(context: Context, args: Args) -> Reply:
    """Asynchronously saves the database(s) to disk."""
    if len(args) > 2 or (len(args) == 2 and args[1].lower() not in (b"schedule", b"cancel")):
        raise CommandError(SYNTAX)
    if len(args) == 2 and args[1].lower() == b"cancel":
        raise CommandError(b"ERR Background saving is currently not in progress or scheduled")
    stats = context.node.stats
    stats.saved(stats.unsaved_changes)
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


def _refuse(name: str) -> Handler:
    def refused(context: Context, args: Args) -> Reply:
        raise CommandError(_NO_REPLICATION % name.upper().encode())

    return refused


def _replicaof(name: str) -> Handler:
    refused = _refuse(name)

    def handler(context: Context, args: Args) -> Reply:
        if args[1].lower() == b"no" and args[2].lower() == b"one":
            return OK
        return refused(context, args)

    return handler


for _name, _since in (("replicaof", "5.0.0"), ("slaveof", "1.0.0")):
    command(
        _name,
        arity=3,
        flags=_SAVING | STALE,
        where=NODE,
        since=_since,
        group="server",
        summary="Configures a server as replica of another, or promotes it to a primary",
    )(_replicaof(_name))
for _name, _arity, _since, _flags, _summary in (
    ("failover", -1, "6.2.0", ADMIN | NOSCRIPT | STALE, "Starts a coordinated failover to a replica"),
    ("psync", -3, "2.8.0", _SAVING | NO_MULTI, "An internal command used in replication"),
    ("sync", 1, "1.0.0", _SAVING | NO_MULTI, "An internal command used in replication"),
    (
        "replconf",
        -1,
        "3.0.0",
        ADMIN | NOSCRIPT | LOADING | STALE | ALLOW_BUSY,
        "An internal command for configuring the replication stream",
    ),
):
    command(_name, arity=_arity, flags=_flags, where=NODE, since=_since, group="server", summary=_summary)(
        _refuse(_name)
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
