"""CLIENT TRACKING and its kin: what a client wants to be told of the keys that it caches, see pubsub/tracking.py."""

from itertools import combinations

from resp import encode
from resp.values import OK, Raw
from server.commands.arguments import integer
from server.commands.client import ANY_TIME, PLAIN
from server.commands.context import Context
from server.commands.table import NODE, Args, Reply, command
from server.errors import SYNTAX, CommandError
from server.session import Session, Tracker

_SWITCH_BCAST = (
    b"ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it "
    b"with a different mode."
)
_SWITCH_OPT = (
    b"ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it "
    b"with a different mode."
)
_NOT_CACHING = (
    b"ERR CLIENT CACHING can be called only when the client is in tracking mode "
    b"with OPTIN or OPTOUT mode enabled"
)


@command(
    "client|tracking",
    arity=-3,
    flags=PLAIN,
    where=NODE,
    since="6.0.0",
    group="connection",
    complexity="O(1). Some options may introduce additional complexity.",
)
def client_tracking(context: Context, args: Args) -> Reply:
    """Controls server-assisted client-side caching for the connection."""
    session, tracking = context.session, context.node.tracking
    tracker = _options(context, args)
    word = args[2].lower()
    if word == b"off":
        tracking.disable(session)
    elif word == b"on":
        _check(session, tracker)
        if tracker.bcast and not tracker.prefixes and not (session.tracking and session.tracking.prefixes):
            tracker.prefixes = [b""]
        if tracking.must_wait:
            return _enable(context, tracker)
        tracking.enable(session, tracker)
    else:
        raise CommandError(SYNTAX)
    return OK


async def _enable(context: Context, tracker: Tracker) -> Reply:
    await context.node.tracking.enable_when_acknowledged(context.session, tracker)
    return OK


def _options(context: Context, args: Args) -> Tracker:
    """Raises CommandError."""
    tracker = Tracker()
    options = iter(args[3:])
    for option in options:
        name = option.lower()
        value = next(options, None) if name in (b"redirect", b"prefix") else b""
        if value is None:
            raise CommandError(SYNTAX)
        if name == b"redirect":
            if tracker.redirect:
                raise CommandError(b"ERR A client can only redirect to a single other client")
            tracker.redirect = integer(value)
            if tracker.redirect not in context.node.sessions:
                raise CommandError(b"ERR The client ID you want redirect to does not exist")
        elif name == b"prefix":
            tracker.prefixes.append(value)
        elif name == b"bcast":
            tracker.bcast = True
        elif name == b"optin":
            tracker.optin = True
        elif name == b"optout":
            tracker.optout = True
        elif name == b"noloop":
            tracker.noloop = True
        else:
            raise CommandError(SYNTAX)
    return tracker


def _check(session: Session, new: Tracker) -> None:
    """Whether the options go together, and with those that are in force. Raises CommandError."""
    old = session.tracking
    if new.prefixes and not new.bcast:
        raise CommandError(b"ERR PREFIX option requires BCAST mode to be enabled")
    if old is not None and old.bcast != new.bcast:
        raise CommandError(_SWITCH_BCAST)
    if new.bcast and (new.optin or new.optout):
        raise CommandError(b"ERR OPTIN and OPTOUT are not compatible with BCAST")
    if new.optin and new.optout:
        raise CommandError(b"ERR You can't specify both OPTIN mode and OPTOUT mode")
    if old is not None and ((new.optin and old.optout) or (new.optout and old.optin)):
        raise CommandError(_SWITCH_OPT)
    existing = old.prefixes if old is not None else []
    overlapping = _overlapping([*existing, *new.prefixes])
    prefixes = [prefix for prefix in new.prefixes if prefix in overlapping]
    for prefix in prefixes:
        for other in existing:
            _check_overlap(prefix, other, b"an existing prefix")
    for prefix, other in combinations(prefixes, 2):
        _check_overlap(prefix, other, b"another provided prefix")


def _overlapping(prefixes: list[bytes]) -> set[bytes]:
    """Those that another one begins with, and those others."""
    found: set[bytes] = set()
    above: list[bytes] = []
    for prefix in sorted(prefixes):
        while above and not prefix.startswith(above[-1]):
            above.pop()
        if above:
            found.update((prefix, above[-1]))
        above.append(prefix)
    return found


def _check_overlap(prefix: bytes, other: bytes, what: bytes) -> None:
    if prefix.startswith(other) or other.startswith(prefix):
        raise CommandError(
            b"ERR Prefix '%b' overlaps with %b '%b'. Prefixes for a single client must not overlap."
            % (prefix, what, other)
        )


def _set_of(words: list[bytes]) -> Raw:
    """A set in RESP3, in this order."""
    return Raw(b"~%d\r\n" % len(words) + b"".join(encode(word, 3) for word in words))


@command("client|caching", arity=3, flags=ANY_TIME, where=NODE, since="6.0.0", group="connection")
def client_caching(context: Context, args: Args) -> Reply:
    """Instructs the server whether to track the keys in the next request."""
    tracker = context.session.tracking
    if tracker is None:
        raise CommandError(_NOT_CACHING)
    word = args[2].lower()
    if word == b"yes":
        if not tracker.optin:
            raise CommandError(
                b"ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
            )
    elif word == b"no":
        if not tracker.optout:
            raise CommandError(
                b"ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
            )
    else:
        raise CommandError(SYNTAX)
    tracker.caching = True
    return OK


@command("client|getredir", arity=2, flags=ANY_TIME, where=NODE, since="6.0.0", group="connection")
def client_getredir(context: Context, args: Args) -> Reply:
    """Returns the client ID to which the connection's tracking notifications are redirected."""
    tracker = context.session.tracking
    return -1 if tracker is None else tracker.redirect


@command("client|trackinginfo", arity=2, flags=PLAIN, where=NODE, since="6.2.0", group="connection")
def client_trackinginfo(context: Context, args: Args) -> Reply:
    """Returns information about server-assisted client-side caching for the connection."""
    tracker = context.session.tracking
    if tracker is None:
        return {b"flags": {b"off"}, b"redirect": -1, b"prefixes": []}
    flags = {
        b"on": True,
        b"bcast": tracker.bcast,
        b"optin": tracker.optin,
        b"caching-yes": tracker.optin and tracker.caching,
        b"optout": tracker.optout,
        b"caching-no": tracker.optout and tracker.caching,
        b"noloop": tracker.noloop,
        b"broken_redirect": tracker.broken,
    }
    holding = [name for name, holds in flags.items() if holds]
    return {
        b"flags": holding if context.session.protocol == 2 else _set_of(holding),
        b"redirect": tracker.redirect,
        b"prefixes": sorted(tracker.prefixes),
    }
