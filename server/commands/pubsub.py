"""Publish and subscribe: SUBSCRIBE and its kin, PUBLISH, SPUBLISH, PUBSUB. What they mean is in server/pubsub/hub.py.

A SUBSCRIBE is answered once for each name, by messages of the same shape as those that follow: arrays in RESP2, pushes
in RESP3.
"""

import trio

from resp import Raw, encode
from resp.values import Push
from server.commands.context import Context
from server.commands.help import help_reply
from server.commands.table import (
    FAST,
    LOADING,
    NODE,
    NOSCRIPT,
    PUBSUB,
    STALE,
    Args,
    Keys,
    Reply,
    command,
    container,
)
from server.errors import CommandError
from server.pubsub.hub import CHANNEL, PATTERN, SHARD, subscription_count
from server.session import Session
from server.types.glob import EVERY_KEY, Matcher, check_glob, compile_glob

_SUBSCRIBING = PUBSUB | NOSCRIPT | LOADING | STALE
_ASKING = PUBSUB | LOADING | STALE
_BAD_SUBCOMMAND = b"ERR unknown subcommand or wrong number of arguments for '%b'. Try PUBSUB HELP."
_SHARD_CHANNELS = Keys(1, -1, access="not_key")
_COMPILED_AT_ONCE = 64
_SHARD_CHANNEL = Keys(1, 1, access="not_key")


def _notice(session: Session, word: bytes, name: bytes | None, count: int) -> bytes:
    return encode(Push([word, name, count]), session.protocol)


def _notices(session: Session, notices: list[bytes]) -> Reply:
    """The answer to a subscriber. As in Redis it is sent like a message, which CLIENT REPLY does not silence."""
    data = b"".join(notices)
    if session.reply_mode:
        session.outlet.send(data)
    return Raw(data)


def _subscribe(context: Context, args: Args, kind: int, word: bytes) -> Reply:
    session, hub = context.session, context.node.pubsub
    return _notices(
        session, [_notice(session, word, name, hub.subscribe(kind, session, name)) for name in args[1:]]
    )


def _psubscribe(context: Context, patterns: list[bytes], matchers: list[Matcher]) -> Reply:
    session, hub = context.session, context.node.pubsub
    return _notices(
        session,
        [
            _notice(session, b"psubscribe", pattern, hub.subscribe(PATTERN, session, pattern, matcher))
            for pattern, matcher in zip(patterns, matchers, strict=True)
        ],
    )


async def _psubscribe_many(context: Context, patterns: list[bytes]) -> Reply:
    """To compile thousands of patterns takes a while: they are all compiled, and then subscribed to at once."""
    matchers: list[Matcher] = []
    for at in range(0, len(patterns), _COMPILED_AT_ONCE):
        matchers += map(compile_glob, patterns[at : at + _COMPILED_AT_ONCE])
        await trio.lowlevel.checkpoint()
    return _psubscribe(context, patterns, matchers)


def _unsubscribe(context: Context, args: Args, kind: int, word: bytes) -> Reply:
    session, hub = context.session, context.node.pubsub
    names: list[bytes] = args[1:]
    if not names and session.subscriptions is not None:
        names = list(session.subscriptions[kind])
    if not names:
        return _notices(session, [_notice(session, word, None, subscription_count(session, kind))])
    return _notices(
        session, [_notice(session, word, name, hub.unsubscribe(kind, session, name)) for name in names]
    )


def _publish(context: Context, args: Args, kind: int) -> Reply:
    # Inside of a transaction, or where replies are silenced, there is no place behind the command's own reply.
    publisher = None if context.in_transaction or context.session.reply_mode else context.session
    count, own = context.node.pubsub.publish(kind, args[1], args[2], publisher)
    return Raw(encode(count, 2) + own) if own else count


@command(
    "subscribe",
    arity=-2,
    flags=_SUBSCRIBING,
    where=NODE,
    since="2.0.0",
    group="pubsub",
    complexity="O(N) where N is the number of channels to subscribe to.",
)
def subscribe(context: Context, args: Args) -> Reply:
    """Listens for messages published to channels."""
    return _subscribe(context, args, CHANNEL, b"subscribe")


@command(
    "unsubscribe",
    arity=-1,
    flags=_SUBSCRIBING,
    where=NODE,
    since="2.0.0",
    group="pubsub",
    complexity="O(N) where N is the number of channels to unsubscribe.",
)
def unsubscribe(context: Context, args: Args) -> Reply:
    """Stops listening to messages posted to channels."""
    return _unsubscribe(context, args, CHANNEL, b"unsubscribe")


@command(
    "psubscribe",
    arity=-2,
    flags=_SUBSCRIBING,
    where=NODE,
    since="2.0.0",
    group="pubsub",
    complexity="O(N) where N is the number of patterns to subscribe to.",
)
def psubscribe(context: Context, args: Args) -> Reply:
    """Listens for messages published to channels that match one or more patterns."""
    patterns = args[1:]
    for pattern in patterns:
        check_glob(pattern)  # before anything has happened
    if len(patterns) > _COMPILED_AT_ONCE:
        return _psubscribe_many(context, patterns)
    return _psubscribe(context, patterns, list(map(compile_glob, patterns)))


@command(
    "punsubscribe",
    arity=-1,
    flags=_SUBSCRIBING,
    where=NODE,
    since="2.0.0",
    group="pubsub",
    complexity="O(N) where N is the number of patterns to unsubscribe.",
)
def punsubscribe(context: Context, args: Args) -> Reply:
    """Stops listening to messages published to channels that match one or more patterns."""
    return _unsubscribe(context, args, PATTERN, b"punsubscribe")


@command(
    "ssubscribe",
    arity=-2,
    flags=_SUBSCRIBING,
    keys=_SHARD_CHANNELS,
    where=NODE,
    since="7.0.0",
    group="pubsub",
    complexity="O(N) where N is the number of shard channels to subscribe to.",
)
def ssubscribe(context: Context, args: Args) -> Reply:
    """Listens for messages published to shard channels."""
    return _subscribe(context, args, SHARD, b"ssubscribe")


@command(
    "sunsubscribe",
    arity=-1,
    flags=_SUBSCRIBING,
    keys=_SHARD_CHANNELS,
    where=NODE,
    since="7.0.0",
    group="pubsub",
    complexity="O(N) where N is the number of shard channels to unsubscribe.",
)
def sunsubscribe(context: Context, args: Args) -> Reply:
    """Stops listening to messages posted to shard channels."""
    return _unsubscribe(context, args, SHARD, b"sunsubscribe")


@command(
    "publish",
    arity=3,
    flags=_ASKING | FAST,
    where=NODE,
    since="2.0.0",
    group="pubsub",
    complexity="O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total number "
    "of subscribed patterns (by any client).",
)
def publish(context: Context, args: Args) -> Reply:
    """Posts a message to a channel."""
    return _publish(context, args, CHANNEL)


@command(
    "spublish",
    arity=3,
    flags=_ASKING | FAST,
    keys=_SHARD_CHANNEL,
    where=NODE,
    since="7.0.0",
    group="pubsub",
    complexity="O(N) where N is the number of clients subscribed to the receiving shard channel.",
)
def spublish(context: Context, args: Args) -> Reply:
    """Posts a message to a shard channel."""
    return _publish(context, args, SHARD)


container("pubsub", since="2.8.0", group="pubsub", summary="A container for Pub/Sub commands")


def _active(context: Context, args: Args, kind: int) -> Reply:
    names = context.node.pubsub.subscribers[kind]
    if len(args) > 3:
        raise CommandError(_BAD_SUBCOMMAND % args[1])
    if len(args) == 2 or args[2] == EVERY_KEY:
        return list(names)
    matches = compile_glob(args[2])
    return [name for name in names if matches(name)]


def _counts(context: Context, args: Args, kind: int) -> Reply:
    names = context.node.pubsub.subscribers[kind]
    reply: list[Reply] = []
    for name in args[2:]:
        reply += (name, len(names.get(name, ())))
    return reply


@command(
    "pubsub|channels",
    arity=-2,
    flags=_ASKING,
    where=NODE,
    since="2.8.0",
    group="pubsub",
    complexity="O(N) where N is the number of active channels, and assuming constant time pattern matching (relatively "
    "short channels and patterns)",
)
def pubsub_channels(context: Context, args: Args) -> Reply:
    """Returns the active channels."""
    return _active(context, args, CHANNEL)


@command(
    "pubsub|shardchannels",
    arity=-2,
    flags=_ASKING,
    where=NODE,
    since="7.0.0",
    group="pubsub",
    complexity="O(N) where N is the number of active shard channels, and assuming constant time pattern matching "
    "(relatively short shard channels).",
)
def pubsub_shardchannels(context: Context, args: Args) -> Reply:
    """Returns the active shard channels."""
    return _active(context, args, SHARD)


@command("pubsub|numpat", arity=2, flags=_ASKING, where=NODE, since="2.8.0", group="pubsub")
def pubsub_numpat(context: Context, args: Args) -> Reply:
    """Returns a count of unique pattern subscriptions."""
    return len(context.node.pubsub.subscribers[PATTERN])


@command(
    "pubsub|numsub",
    arity=-2,
    flags=_ASKING,
    where=NODE,
    since="2.8.0",
    group="pubsub",
    complexity="O(N) for the NUMSUB subcommand, where N is the number of requested channels",
)
def pubsub_numsub(context: Context, args: Args) -> Reply:
    """Returns a count of subscribers to channels."""
    return _counts(context, args, CHANNEL)


@command(
    "pubsub|shardnumsub",
    arity=-2,
    flags=_ASKING,
    where=NODE,
    since="7.0.0",
    group="pubsub",
    complexity="O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
)
def pubsub_shardnumsub(context: Context, args: Args) -> Reply:
    """Returns the count of subscribers of shard channels."""
    return _counts(context, args, SHARD)


@command("pubsub|help", arity=2, flags=LOADING | STALE, where=NODE, since="6.2.0", group="pubsub")
def pubsub_help(context: Context, args: Args) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_reply(
        b"PUBSUB",
        """
CHANNELS [<pattern>]
    Return the currently active channels matching a <pattern> (default: '*').
NUMPAT
    Return number of subscriptions to patterns.
NUMSUB [<channel> ...]
    Return the number of subscribers for the specified channels, excluding
    pattern subscriptions(default: no channels).
SHARDCHANNELS [<pattern>]
    Return the currently active shard level channels matching a <pattern> (default: '*').
SHARDNUMSUB [<shardchannel> ...]
    Return the number of subscribers for the specified shard level channel(s)
""",
    )
