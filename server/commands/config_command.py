"""CONFIG: parameters at run time, from server/parameters/settings.py."""

from resp.values import OK
from server.commands.context import Context
from server.commands.help import help_reply
from server.commands.table import (
    ADMIN,
    LOADING,
    NODE,
    NOSCRIPT,
    STALE,
    Args,
    Reply,
    command,
    container,
    every_command,
    lookup,
)
from server.errors import SYNTAX, CommandError
from server.session import DEFAULT_USER

_FLAGS = ADMIN | NOSCRIPT | LOADING | STALE
_PER_PARAMETER = "O(N) when N is the number of configuration parameters provided"

container("config", since="2.0.0", group="server", summary="A container for server configuration commands")


@command(
    "config|get", arity=-3, flags=_FLAGS, where=NODE, since="2.0.0", group="server", complexity=_PER_PARAMETER
)
def config_get(context: Context, args: Args) -> Reply:
    """Returns the effective values of configuration parameters."""
    return context.node.settings.get(args[2:])


@command(
    "config|set", arity=-4, flags=_FLAGS, where=NODE, since="2.0.0", group="server", complexity=_PER_PARAMETER
)
def config_set(context: Context, args: Args) -> Reply:
    """Sets configuration parameters in-flight."""
    if len(args) % 2:
        raise CommandError(SYNTAX)
    pairs = list(zip(args[2::2], args[3::2], strict=True))
    context.node.settings.set(pairs)
    passwords = [value for name, value in pairs if name.lower() == b"requirepass"]
    return _change_password(context, passwords[-1]) if passwords else OK


async def _change_password(context: Context, password: bytes) -> Reply:
    """requirepass is the default user's password, on all nodes."""
    words = [b"resetpass", b">" + password if password else b"nopass"]
    args = [b"acl", b"setuser", DEFAULT_USER, *words]
    row = lookup(args)
    assert row is not None
    return await row.handler(context, args)


@command("config|resetstat", arity=2, flags=_FLAGS, where=NODE, since="2.0.0", group="server")
def config_resetstat(context: Context, args: Args) -> Reply:
    """Resets the server's statistics."""
    context.node.stats.reset()
    for row in every_command():
        row.forget_statistics()
    return OK


@command("config|rewrite", arity=2, flags=_FLAGS, where=NODE, since="2.8.0", group="server")
def config_rewrite(context: Context, args: Args) -> Reply:
    """Persists the effective configuration to file."""
    if not context.node.config_file:
        raise CommandError(b"ERR The server is running without a config file")
    raise CommandError(
        b"ERR The config file belongs to the operator and serves every node; edit %b by hand to keep a setting"
        % context.node.config_file.encode()
    )


@command("config|help", arity=2, flags=LOADING | STALE, where=NODE, since="5.0.0", group="server")
def config_help(context: Context, args: Args) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_reply(b"CONFIG", _HELP)


_HELP = """
GET <pattern>
    Return parameters matching the glob-like <pattern> and their values.
SET <directive> <value>
    Set the configuration <directive> to <value>.
RESETSTAT
    Reset statistics reported by the INFO command.
REWRITE
    Rewrite the configuration file.
"""
