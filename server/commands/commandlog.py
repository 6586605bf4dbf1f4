"""COMMANDLOG: Valkey's newer name of the slow log, and two logs of large requests and replies.

The type `slow` is the slow log itself (commands/diagnostics.py). Requests and replies are large by what they take on
the wire. The commands of a transaction count when their requests arrive; the reply to EXEC is not logged.
"""

from resp.values import OK
from server.commands.arguments import bounded_integer
from server.commands.context import Context
from server.commands.help import help_reply
from server.commands.table import ADMIN, LOADING, NODE, STALE, Args, Reply, command, container
from server.errors import CommandError
from server.telemetry.diagnostics import CommandLog

_FLAGS = ADMIN | LOADING | STALE

container("commandlog", since="8.1.0", group="server", summary="A container for command log commands")


def _log(context: Context, type_: bytes) -> CommandLog:
    """The log of a type. Raises CommandError."""
    node = context.node
    match type_.lower():
        case b"slow":
            return node.slowlog
        case b"large-request":
            return node.large_requests
        case b"large-reply":
            return node.large_replies
        case _:
            raise CommandError(b"ERR type should be one of the following: slow, large-request, large-reply")


@command(
    "commandlog|get",
    arity=4,
    flags=_FLAGS,
    where=NODE,
    since="8.1.0",
    group="server",
    complexity="O(N) where N is the number of entries returned",
)
def commandlog_get(context: Context, args: Args) -> Reply:
    """Returns the specified command log's entries."""
    count = bounded_integer(args[2], -1, 2**63 - 1, b"ERR count should be greater than or equal to -1")
    entries = list(_log(context, args[3]).entries)
    return [
        [one.id, one.time_s, one.value, one.args, one.address, one.client_name]
        for one in (entries if count == -1 else entries[:count])
    ]


@command("commandlog|len", arity=3, flags=_FLAGS, where=NODE, since="8.1.0", group="server")
def commandlog_len(context: Context, args: Args) -> Reply:
    """Returns the number of entries in the specified type of command log."""
    return len(_log(context, args[2]).entries)


@command(
    "commandlog|reset",
    arity=3,
    flags=_FLAGS,
    where=NODE,
    since="8.1.0",
    group="server",
    complexity="O(N) where N is the number of entries in the commandlog",
)
def commandlog_reset(context: Context, args: Args) -> Reply:
    """Clears all entries from the specified type of command log."""
    _log(context, args[2]).reset()
    return OK


@command("commandlog|help", arity=2, flags=LOADING | STALE, where=NODE, since="8.1.0", group="server")
def commandlog_help(context: Context, args: Args) -> Reply:
    """Shows helpful text about the different subcommands."""
    return help_reply(b"COMMANDLOG", _HELP)


_HELP = """
GET <count> <type>
    Return top <count> entries of the specified <type> from the commandlog (-1 mean all).
    Entries are made of:
    id, timestamp,
        time in microseconds for type of slow,
        or size in bytes for type of large-request,
        or size in bytes for type of large-reply
    arguments array, client IP and port,
    client name
LEN <type>
    Return the length of the specified type of commandlog.
RESET <type>
    Reset the specified type of commandlog.
"""
