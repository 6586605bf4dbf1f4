"""Commands about the connection itself: PING, ECHO, HELLO, AUTH, SELECT, QUIT, RESET. CLIENT is in client.py."""

from resp.values import OK, PONG, Simple
from server.commands.arguments import parse_int64
from server.commands.client_line import describe_client
from server.commands.context import Context
from server.commands.table import (
    ALLOW_BUSY,
    FAST,
    LOADING,
    NO_AUTH,
    NODE,
    NOSCRIPT,
    STALE,
    Args,
    Reply,
    command,
)
from server.errors import INVALID_DB, NOT_INTEGER, SYNTAX, CommandError
from server.session import DEFAULT_USER, ReplyMode
from server.version import COMPATIBLE, REDIS_VERSION, SERVER_NAME

WRONG_PASSWORD = b"WRONGPASS invalid username-password pair or user is disabled."
NO_PASSWORD = (
    b"ERR AUTH <password> called without any password configured for the default user. "
    b"Are you sure your configuration is correct?"
)
HELLO_NEEDS_AUTH = (
    b"NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> "
    b"<pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
)
BAD_NAME = b"ERR Client names cannot contain spaces, newlines or special characters."


def is_printable(text: bytes) -> bool:
    """Whether `text` has only what client and library names may have: visible ASCII without blanks."""
    return all(33 <= byte <= 126 for byte in text)


def log_in(context: Context, command_name: bytes, user: bytes, password: bytes) -> None:
    """Let the client act as a user; raises WRONGPASS. `command_name`: for ACL LOG, as the client wrote it."""
    session, users = context.session, context.node.users
    if not users.log_in(session, user, password):
        where = b"multi" if context.in_transaction else b"toplevel"
        users.report_login(user, where, command_name, describe_client(session))
        raise CommandError(WRONG_PASSWORD)


@command("ping", arity=-1, flags=FAST, where=NODE, group="connection")
def ping(context: Context, args: Args) -> Reply:
    """Returns the server's liveliness response."""
    if len(args) > 2:
        raise CommandError(b"ERR wrong number of arguments for 'ping' command")
    if context.session.subscriptions is not None and context.session.protocol == 2:
        return [b"pong", args[1] if len(args) == 2 else b""]
    return args[1] if len(args) == 2 else PONG


@command("echo", arity=2, flags=LOADING | STALE | FAST, where=NODE, group="connection")
def echo(context: Context, args: Args) -> Reply:
    """Returns the given string."""
    return args[1]


@command("select", arity=2, flags=LOADING | STALE | FAST | ALLOW_BUSY, where=NODE, group="connection")
def select(context: Context, args: Args) -> Reply:
    """Changes the selected database."""
    database = parse_int64(args[1])
    if database is None:
        raise CommandError(NOT_INTEGER)
    if not 0 <= database < int(context.node.settings.value("databases")):
        raise CommandError(INVALID_DB)
    context.session.db = database
    return OK


@command(
    "auth",
    arity=-2,
    flags=NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
    where=NODE,
    group="connection",
    complexity="O(N) where N is the number of passwords defined for the user",
)
def auth(context: Context, args: Args) -> Reply:
    """Authenticates the connection."""
    if len(args) > 3:
        raise CommandError(SYNTAX)
    if len(args) == 2:
        if context.node.users.no_password:
            raise CommandError(NO_PASSWORD)
        log_in(context, args[0], DEFAULT_USER, args[1])
    else:
        log_in(context, args[0], args[1], args[2])
    return OK


@command(
    "hello",
    arity=-1,
    flags=NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
    where=NODE,
    since="6.0.0",
    group="connection",
)
def hello(context: Context, args: Args) -> Reply:
    """Handshakes with the server."""
    session = context.session
    protocol = session.protocol
    credentials: tuple[bytes, bytes] | None = None
    name: bytes | None = None
    if len(args) > 1:
        version = parse_int64(args[1])
        if version is None:
            raise CommandError(b"ERR Protocol version is not an integer or out of range")
        if version not in (2, 3):
            raise CommandError(b"NOPROTO unsupported protocol version")
        protocol = version
    at = 2
    while at < len(args):
        option = args[at].lower()
        if option == b"auth" and at + 2 < len(args):
            credentials = (args[at + 1], args[at + 2])
            at += 3
        elif option == b"setname" and at + 1 < len(args):
            name = args[at + 1]
            if not is_printable(name):
                raise CommandError(BAD_NAME)
            at += 2
        else:
            raise CommandError(b"ERR Syntax error in HELLO option '%b'" % args[at])
    if credentials is not None:
        log_in(context, args[0], *credentials)
    if not session.authenticated:
        raise CommandError(HELLO_NEEDS_AUTH)
    if name is not None:
        session.name = name
    session.protocol = protocol
    server_name, redis_version = (
        COMPATIBLE if context.node.settings.extended_compatibility else (SERVER_NAME, REDIS_VERSION)
    )
    return {
        b"server": server_name.encode(),
        b"version": redis_version.encode(),
        b"proto": protocol,
        b"id": session.id,
        b"mode": b"cluster" if context.node.topology.clustered else b"standalone",
        b"role": b"master",
        b"modules": [],
    }


@command(
    "quit",
    arity=-1,
    flags=NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
    where=NODE,
    group="connection",
)
def quit_(context: Context, args: Args) -> Reply:
    """Closes the connection."""
    context.session.outlet.close(after_reply=True)
    return OK


@command(
    "reset",
    arity=1,
    flags=NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
    where=NODE,
    since="6.2.0",
    group="connection",
)
def reset(context: Context, args: Args) -> Reply:
    """Resets the connection."""
    session = context.session
    session.leave_transaction()
    context.node.pubsub.forget(session)
    context.node.tracking.disable(session)
    session.protocol = 2
    session.db = 0
    context.node.users.admit(session)
    session.name = b""
    session.reply_mode = ReplyMode.ON
    session.readonly = session.asking = False
    session.no_evict = session.no_touch = False
    if session.monitoring:
        session.monitoring = False
        context.node.monitors.discard(session)
        context.node.monitors_changed()
    return Simple(b"RESET")
