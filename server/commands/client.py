"""CLIENT: who is connected to this node, and how this connection behaves."""

from time import time

from resp.values import OK, Raw, Verbatim
from server.commands.arguments import INT64_MAX, integer
from server.commands.client_filter import select_clients
from server.commands.client_line import describe_client
from server.commands.connection import BAD_NAME, is_printable
from server.commands.context import Context
from server.commands.help import help_reply
from server.commands.table import (
    ADMIN,
    ALLOW_BUSY,
    LOADING,
    NO_MULTI,
    NODE,
    NOSCRIPT,
    STALE,
    Args,
    Reply,
    command,
    container,
)
from server.errors import SYNTAX, CommandError
from server.session import ReplyMode, Session

PLAIN = NOSCRIPT | LOADING | STALE
ANY_TIME = PLAIN | ALLOW_BUSY

NO_REPLY = Raw(b"")
"""Nothing is sent at all."""


container(
    "client",
    since="2.4.0",
    group="connection",
    summary="A container for client connection commands",
)


@command("client|id", arity=2, flags=ANY_TIME, where=NODE, since="5.0.0", group="connection")
def client_id(context: Context, args: Args) -> Reply:
    """Returns the unique client ID of the connection."""
    return context.session.id


@command("client|getname", arity=2, flags=ANY_TIME, where=NODE, since="2.6.9", group="connection")
def client_getname(context: Context, args: Args) -> Reply:
    """Returns the name of the connection."""
    return context.session.name or None


@command("client|setname", arity=3, flags=ANY_TIME, where=NODE, since="2.6.9", group="connection")
def client_setname(context: Context, args: Args) -> Reply:
    """Sets the connection name."""
    if not is_printable(args[2]):
        raise CommandError(BAD_NAME)
    context.session.name = args[2]
    return OK


@command("client|setinfo", arity=4, flags=ANY_TIME, where=NODE, since="7.2.0", group="connection")
def client_setinfo(context: Context, args: Args) -> Reply:
    """Sets information specific to the client or connection."""
    option = args[2].lower()
    if option not in (b"lib-name", b"lib-ver"):
        raise CommandError(b"ERR Unrecognized option '%b'" % args[2])
    if not is_printable(args[3]):
        raise CommandError(b"ERR %b cannot contain spaces, newlines or special characters." % args[2])
    if option == b"lib-name":
        context.session.library_name = args[3]
    else:
        context.session.library_version = args[3]
    return OK


@command(
    "client|list",
    arity=-2,
    flags=ADMIN | PLAIN,
    where=NODE,
    since="2.4.0",
    group="connection",
    complexity="O(N) where N is the number of client connections",
)
def client_list(context: Context, args: Args) -> Reply:
    """Lists open connections."""
    return Verbatim(b"".join(describe_client(one) + b"\n" for one in select_clients(context, args, False)))


@command("client|info", arity=2, flags=PLAIN, where=NODE, since="6.2.0", group="connection")
def client_info(context: Context, args: Args) -> Reply:
    """Returns information about the connection."""
    return Verbatim(describe_client(context.session) + b"\n")


def _close(context: Context, session: Session) -> None:
    context.node.end_work(session)
    session.outlet.close(after_reply=session is context.session)


@command(
    "client|kill",
    arity=-3,
    flags=ADMIN | PLAIN,
    where=NODE,
    since="2.4.0",
    group="connection",
    complexity="O(N) where N is the number of client connections",
)
def client_kill(context: Context, args: Args) -> Reply:
    """Terminates open connections."""
    if len(args) == 3:
        address = args[2].decode("latin-1")
        for session in list(context.node.sessions.values()):
            if session.address == address:
                _close(context, session)
                return OK
        raise CommandError(b"ERR No such client")
    found = select_clients(context, args, True)
    for session in found:
        _close(context, session)
    return len(found)


@command("client|reply", arity=3, flags=ANY_TIME | NO_MULTI, where=NODE, since="3.2.0", group="connection")
def client_reply(context: Context, args: Args) -> Reply:
    """Instructs the server whether to reply to commands."""
    word, session = args[2].lower(), context.session
    if word == b"on":
        session.reply_mode = ReplyMode.ON
        return OK
    if word == b"off":
        session.reply_mode = ReplyMode.OFF
    elif word == b"skip":
        if session.reply_mode is not ReplyMode.OFF:
            session.reply_mode = ReplyMode.SKIP_NEXT
    else:
        raise CommandError(SYNTAX)
    return NO_REPLY


def _on_or_off(word: bytes) -> bool:
    if word.lower() not in (b"on", b"off"):
        raise CommandError(SYNTAX)
    return word.lower() == b"on"


@command("client|no-evict", arity=3, flags=ADMIN | ANY_TIME, where=NODE, since="7.0.0", group="connection")
def client_no_evict(context: Context, args: Args) -> Reply:
    """Sets the client eviction mode of the connection."""
    context.session.no_evict = _on_or_off(args[2])
    return OK


@command("client|no-touch", arity=3, flags=ANY_TIME, where=NODE, since="7.2.0", group="connection")
def client_no_touch(context: Context, args: Args) -> Reply:
    """Controls whether commands sent by the client affect the LRU/LFU of accessed keys."""
    context.session.no_touch = _on_or_off(args[2])
    return OK


@command("client|pause", arity=-3, flags=ADMIN | PLAIN, where=NODE, since="3.0.0", group="connection")
def client_pause(context: Context, args: Args) -> Reply:
    """Suspends commands processing."""
    writes_only = False
    if len(args) > 4:
        raise CommandError(SYNTAX)
    if len(args) == 4:
        if args[3].lower() not in (b"write", b"all"):
            raise CommandError(b"ERR CLIENT PAUSE mode must be WRITE or ALL")
        writes_only = args[3].lower() == b"write"
    timeout_ms = integer(args[2], b"ERR timeout is not an integer or out of range")
    if timeout_ms < 0:
        raise CommandError(b"ERR timeout is negative")
    until_ms = int(time() * 1000) + timeout_ms
    if until_ms > INT64_MAX:
        raise CommandError(b"ERR timeout is out of range")
    context.node.pause_clients(until_ms, writes_only)
    return OK


@command("client|unpause", arity=2, flags=ADMIN | PLAIN, where=NODE, since="6.2.0", group="connection")
def client_unpause(context: Context, args: Args) -> Reply:
    """Resumes processing commands from paused clients."""
    context.node.pause_clients(0, False)
    return OK


@command(
    "client|unblock",
    arity=-3,
    flags=ADMIN | PLAIN,
    where=NODE,
    since="5.0.0",
    group="connection",
    complexity="O(log N) where N is the number of client connections",
)
def client_unblock(context: Context, args: Args) -> Reply:
    """Unblocks a client blocked by a blocking command from a different connection."""
    error = False
    if len(args) == 4:
        if args[3].lower() not in (b"timeout", b"error"):
            raise CommandError(b"ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
        error = args[3].lower() == b"error"
    return int(context.node.unblock(integer(args[2]), error))


@command("client|capa", arity=-3, flags=ANY_TIME, where=NODE, since="8.0.0", group="connection")
def client_capa(context: Context, args: Args) -> Reply:
    """A client claims its capability."""
    if any(word.lower() == b"redirect" for word in args[2:]):
        context.session.capabilities = "r"
    return OK


@command("client|import-source", arity=3, flags=PLAIN, where=NODE, since="8.1.0", group="connection")
def client_import_source(context: Context, args: Args) -> Reply:
    """Marks this client as an import source when the server is in import mode."""
    word = args[2].lower()
    if word != b"off" and not context.node.settings.value("import-mode"):
        raise CommandError(b"ERR Server is not in import mode")
    if word not in (b"on", b"off"):
        raise CommandError(SYNTAX)
    return OK


@command("client|help", arity=2, flags=LOADING | STALE, where=NODE, since="5.0.0", group="connection")
def client_help(context: Context, args: Args) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_reply(b"CLIENT", _HELP)


_HELP = """
CACHING (YES|NO)
    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.
CAPA <option> [options...]
    The client claims its some capability options. Options are:
    * REDIRECT
      The client can handle redirection during primary and replica failover in standalone mode.
GETREDIR
    Return the client ID we are redirecting to when tracking is enabled.
GETNAME
    Return the name of the current connection.
ID
    Return the ID of the current connection.
INFO
    Return information about the current client connection.
KILL <ip:port>
    Kill connection made from <ip:port>.
KILL <option> <value> [<option> <value> [...]]
    Kill connections. Options are:
    * ADDR (<ip:port>|<unixsocket>:0)
      Kill connections made from the specified address.
    * LADDR (<ip:port>|<unixsocket>:0)
      Kill connections made to the specified local address.
    * TYPE (NORMAL|PRIMARY|REPLICA|PUBSUB)
      Kill connections by type.
    * USER <username>
      Kill connections authenticated by <username>.
    * SKIPME (YES|NO)
      Skip killing current connection (default: yes).
    * ID <client-id> [<client-id>...]
      Kill connections by client IDs.
    * MAXAGE <maxage>
      Kill connections older than the specified age.
    * FLAGS <flags>
      Kill connections that include the specified flags.
    * NAME <client-name>
      Kill connections with the specified name.
    * IDLE <idle>
      Kill connections with idle time greater than or equal to <idle> seconds.
    * LIB-NAME <library-name>
      Kill connections with the specified library name.
    * LIB-VER <library-version>
      Kill connections with the specified library version.
    * DB <db-id>
      Kill connections currently operating on the specified database ID.
    * CAPA <capa>
      Kill connections currently with the specified capa.
    * IP <ip>
      Kill connections made from the specified ip.
LIST [options ...]
    Return information about client connections. Options:
    * TYPE (NORMAL|PRIMARY|REPLICA|PUBSUB)
      Return clients of specified type.
    * USER <username>
      Return clients authenticated by <username>.
    * ADDR <ip:port>
      Return clients connected from the specified address.
    * LADDR <ip:port>
      Return clients connected to the specified local address.
    * ID <client-id> [<client-id>...]
      Return clients with the specified IDs.
    * SKIPME (YES|NO)
      Exclude the current client from the list (default: no).
    * MAXAGE <maxage>
      List connections older than the specified age.
    * FLAGS <flags>
      Return clients with the specified flags.
    * NAME <client-name>
      Return clients with the specified name.
    * IDLE <idle>
      Return clients with idle time greater than or equal to <idle> seconds.
    * LIB-NAME <lib-name>
      Return clients with the specified lib name.
    * LIB-VER <lib-version>
      Return clients with the specified lib version.
    * DB <db-id>
      Return clients currently operating on the specified database ID.
    * CAPA <capa>
      Return connections currently with the specified capa.
    * IP <ip>
      Return connections made from the specified ip.
UNPAUSE
    Stop the current client pause, resuming traffic.
PAUSE <timeout> [WRITE|ALL]
    Suspend all, or just write, clients for <timeout> milliseconds.
REPLY (ON|OFF|SKIP)
    Control the replies sent to the current connection.
SETNAME <name>
    Assign the name <name> to the current connection.
SETINFO <option> <value>
    Set client meta attr. Options are:
    * LIB-NAME: the client lib name.
    * LIB-VER: the client lib version.
UNBLOCK <clientid> [TIMEOUT|ERROR]
    Unblock the specified blocked client.
TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]
         [OPTIN] [OPTOUT] [NOLOOP]
    Control server assisted client side caching.
TRACKINGINFO
    Report tracking status for the current connection.
NO-EVICT (ON|OFF)
    Protect current client connection from eviction.
NO-TOUCH (ON|OFF)
    Will not touch LRU/LFU stats when this mode is on.
IMPORT-SOURCE (ON|OFF)
    Mark this connection as an import source if import-mode is enabled.
    Sync tools can set their connections into 'import-source' state to visit
    expired keys.
"""
