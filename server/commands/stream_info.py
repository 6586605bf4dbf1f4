"""XINFO: what is known of a stream, its groups and their consumers."""

from itertools import islice

from server.commands.arguments import integer
from server.commands.context import Context
from server.commands.help import help_reply
from server.commands.stream_arguments import id_text
from server.commands.stream_groups import no_group, wrong_subcommand
from server.commands.streams import entry
from server.commands.table import LOADING, NODE, READONLY, STALE, Args, Keys, Reply, command, container
from server.errors import NO_SUCH_KEY, CommandError
from server.keyspace.view import View
from server.types import stream_groups, streams
from server.types.stream_groups import UNKNOWN, Consumer, Group
from server.types.streams import ID_MAX, Stream

_KEY = Keys(2, 2, access="RO access")
_FULL_COUNT = 10
_HELP = """
CONSUMERS <key> <groupname>
    Show consumers of <groupname>.
GROUPS <key>
    Show the stream consumer groups.
STREAM <key> [FULL [COUNT <count>]
    Show information about the stream.
"""

container("xinfo", since="5.0.0", group="stream", summary="A container for stream introspection commands")


def _existing(view: View, args: Args) -> Stream:
    stream = streams.find(view, args[2])
    if stream is None:
        raise CommandError(NO_SUCH_KEY)
    return stream


@command("xinfo|help", arity=2, flags=LOADING | STALE, where=NODE, since="5.0.0", group="stream")
def xinfo_help(context: Context, args: Args) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_reply(b"XINFO", _HELP)


@command("xinfo|consumers", arity=4, flags=READONLY, keys=_KEY, since="5.0.0", group="stream")
def xinfo_consumers(view: View, args: Args) -> Reply:
    """Returns a list of the consumers in a consumer group."""
    group = stream_groups.find(_existing(view, args), args[3])
    if group is None:
        raise no_group(args[3], args[2])
    return [
        {
            b"name": consumer.name,
            b"pending": consumer.pending,
            b"idle": max(view.now_ms - consumer.seen_ms, 0),
            b"inactive": -1 if consumer.active_ms == -1 else view.now_ms - consumer.active_ms,
        }
        for consumer in group.every_consumer()
    ]


@command("xinfo|groups", arity=3, flags=READONLY, keys=_KEY, since="5.0.0", group="stream")
def xinfo_groups(view: View, args: Args) -> Reply:
    """Returns a list of the consumer groups of a stream."""
    return [
        {
            b"name": group.name,
            b"consumers": group.consumers,
            b"pending": group.pending,
            **_progress(group),
        }
        for group in stream_groups.every_group(_existing(view, args))
    ]


def _progress(group: Group) -> dict[bytes, Reply]:
    return {
        b"last-delivered-id": id_text(group.last),
        b"entries-read": None if group.entries_read == UNKNOWN else group.entries_read,
        b"lag": group.lag(),
    }


@command("xinfo|stream", arity=-3, flags=READONLY, keys=_KEY, since="5.0.0", group="stream", long=True)
def xinfo_stream(view: View, args: Args) -> Reply:
    """Returns information about a stream."""
    stream = _existing(view, args)
    count = _FULL_COUNT
    words = [word.lower() for word in args[3:]]
    if words:
        if len(words) not in (1, 3) or words[0] != b"full" or words[1:2] not in ([], [b"count"]):
            raise wrong_subcommand(args)
        if len(words) == 3:
            count = integer(args[5])
            if count < 0:
                count = _FULL_COUNT
    info: dict[bytes, Reply] = {
        b"length": stream.length,
        b"radix-tree-keys": stream.nodes,
        # There is no such tree here; this is what the smallest one has.
        b"radix-tree-nodes": stream.nodes + 1,
        b"last-generated-id": id_text(stream.last),
        b"max-deleted-entry-id": id_text(stream.max_deleted),
        b"entries-added": stream.added,
        b"recorded-first-entry-id": id_text(stream.first),
    }
    if words:
        limit = count or None
        info[b"entries"] = [entry(*each) for each in islice(stream.scan(0, ID_MAX), limit)]
        info[b"groups"] = [_full_group(group, limit) for group in stream_groups.every_group(stream)]
    else:
        info[b"groups"] = len(stream_groups.every_group(stream))
        for name, reverse in ((b"first-entry", False), (b"last-entry", True)):
            edge = next(stream.scan(0, ID_MAX, reverse), None)
            info[name] = None if edge is None else entry(*edge)
    return info


def _full_group(group: Group, limit: int | None) -> Reply:
    return {
        b"name": group.name,
        **_progress(group),
        b"pel-count": group.pending,
        b"pending": [
            [id_text(each.id), each.consumer, each.delivered_ms, each.deliveries]
            for each in islice(group.scan_pending(0, ID_MAX), limit)
        ],
        b"consumers": [_full_consumer(group, consumer, limit) for consumer in group.every_consumer()],
    }


def _full_consumer(group: Group, consumer: Consumer, limit: int | None) -> Reply:
    return {
        b"name": consumer.name,
        b"seen-time": consumer.seen_ms,
        b"active-time": consumer.active_ms,
        b"pel-count": consumer.pending,
        b"pending": [
            [id_text(each.id), each.delivered_ms, each.deliveries]
            for each in islice(group.scan_pending_of(consumer.name, 0, ID_MAX), limit)
        ],
    }
