"""Consumer groups of streams: XGROUP, reading as a consumer, acknowledging. Claiming: stream_claims.py."""

from itertools import islice

from resp.values import NULL_ARRAY, OK
from server.commands.arguments import integer
from server.commands.context import Context
from server.commands.help import help_reply
from server.commands.stream_arguments import (
    any_id,
    check_timeout,
    id_text,
    parse_read,
    quoted,
    strict_id,
)
from server.commands.streams import UPDATE, by_key, entry, read_keys
from server.commands.table import (
    BLOCKING,
    DENYOOM,
    FAST,
    LOADING,
    NODE,
    STALE,
    WRITE,
    Args,
    Keys,
    Reply,
    command,
    container,
)
from server.errors import CommandError, WouldBlock
from server.keyspace import events
from server.keyspace.breath import paced
from server.keyspace.view import View
from server.types import stream_groups, streams
from server.types.stream_groups import UNKNOWN, Consumer, Group
from server.types.streams import ID_MAX, Id, Stream

_HELP = """
CREATE <key> <groupname> <id|$> [option]
    Create a new consumer group. Options are:
    * MKSTREAM
      Create the empty stream if it does not exist.
    * ENTRIESREAD entries_read
      Set the group's entries_read counter (internal use).
CREATECONSUMER <key> <groupname> <consumer>
    Create a new consumer in the specified group.
DELCONSUMER <key> <groupname> <consumer>
    Remove the specified consumer.
DESTROY <key> <groupname>
    Remove the specified group.
SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]
    Set the current group ID and entries_read counter.
"""


def wrong_subcommand(args: Args) -> CommandError:
    """What containers say to arguments that fit none of their subcommands."""
    return CommandError(
        b"ERR unknown subcommand or wrong number of arguments for '%b'. Try %b HELP."
        % (quoted(args[1])[:128], args[0].upper())
    )


def no_group(group: bytes, key: bytes) -> CommandError:
    """There is a stream but no such group."""
    return CommandError(
        b"NOGROUP No such consumer group '%b' for key name '%b'" % (quoted(group), quoted(key))
    )


def group_of(view: View, key: bytes, name: bytes, where: bytes = b"") -> tuple[Stream, Group]:
    """A group and its stream; raises CommandError when one is missing, its text ending with `where`."""
    stream = streams.find(view, key)
    group = None if stream is None else stream_groups.find(stream, name)
    if stream is None or group is None:
        text = b"NOGROUP No such key '%b' or consumer group '%b'" % (quoted(key), quoted(name))
        raise CommandError(text + where)
    return stream, group


def seen_consumer(view: View, key: bytes, group: Group, name: bytes) -> Consumer:
    """The consumer of that name, made when missing, seen now."""
    consumer = group.consumer(name)
    if consumer is None:
        consumer = group.create_consumer(name, view.now_ms)
        view.event(events.STREAM, b"xgroup-createconsumer", key)
    consumer.seen_ms = view.now_ms
    return consumer


# -- XGROUP ---------------------------------------------------------------------------------------------------------

container("xgroup", since="5.0.0", group="stream", summary="A container for consumer groups commands")


def _options(args: Args, make: bool) -> tuple[bool, int]:
    """(MKSTREAM, ENTRIESREAD) of XGROUP CREATE, or with `make` unset of SETID."""
    made, entries_read = False, UNKNOWN
    at = 5
    while at < len(args):
        word = args[at].lower()
        if make and word == b"mkstream":
            made = True
        elif word == b"entriesread" and at + 1 < len(args):
            at += 1
            entries_read = integer(args[at])
            if entries_read < 0 and entries_read != UNKNOWN:
                raise CommandError(b"ERR value for ENTRIESREAD must be positive or -1")
        else:
            raise wrong_subcommand(args)
        at += 1
    return made, entries_read


def _existing(view: View, key: bytes) -> Stream:
    stream = streams.find(view, key)
    if stream is None:
        raise CommandError(
            b"ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
            b"MKSTREAM option to create an empty stream automatically."
        )
    return stream


def _existing_group(view: View, args: Args) -> Group:
    group = stream_groups.find(_existing(view, args[2]), args[3])
    if group is None:
        raise no_group(args[3], args[2])
    return group


@command(
    "xgroup|create",
    arity=-5,
    flags=WRITE | DENYOOM,
    keys=Keys(2, 2, access="RW insert"),
    since="5.0.0",
    group="stream",
)
def xgroup_create(view: View, args: Args) -> Reply:
    """Creates a consumer group."""
    make, entries_read = _options(args, make=True)
    stream = streams.find(view, args[2]) if make else _existing(view, args[2])
    if len(args) > 8:
        raise wrong_subcommand(args)
    end = 0 if stream is None else stream.last
    last = end if args[4] == b"$" else strict_id(args[4])
    if stream is None:
        stream = streams.create(view, args[2])
    if stream_groups.find(stream, args[3]) is not None:
        raise CommandError(b"BUSYGROUP Consumer Group name already exists")
    Group(stream, args[3], last, entries_read).save()
    stream.save(changed=True)
    view.event(events.STREAM, b"xgroup-create", args[2])
    return OK


@command(
    "xgroup|setid", arity=-5, flags=WRITE, keys=Keys(2, 2, access="RW update"), since="5.0.0", group="stream"
)
def xgroup_setid(view: View, args: Args) -> Reply:
    """Sets the last-delivered ID of a consumer group."""
    _, entries_read = _options(args, make=False)
    group = _existing_group(view, args)
    if len(args) not in (5, 7):
        raise wrong_subcommand(args)
    group.last = group.stream.last if args[4] == b"$" else any_id(args[4])
    group.entries_read = entries_read
    group.save()
    group.stream.save(changed=True)
    view.event(events.STREAM, b"xgroup-setid", args[2])
    return OK


@command(
    "xgroup|destroy",
    arity=4,
    flags=WRITE,
    keys=Keys(2, 2, access="RW delete"),
    since="5.0.0",
    group="stream",
    complexity="O(N) where N is the number of entries in the group's pending entries list (PEL).",
)
def xgroup_destroy(view: View, args: Args) -> Reply:
    """Destroys a consumer group."""
    stream = _existing(view, args[2])
    group = stream_groups.find(stream, args[3])
    if group is None:
        return 0
    stream_groups.destroy(group)
    stream.save(changed=True)  # who waits in this group is to be told
    view.event(events.STREAM, b"xgroup-destroy", args[2])
    return 1


@command(
    "xgroup|createconsumer",
    arity=5,
    flags=WRITE | DENYOOM,
    keys=Keys(2, 2, access="RW insert"),
    since="6.2.0",
    group="stream",
)
def xgroup_createconsumer(view: View, args: Args) -> Reply:
    """Creates a consumer in a consumer group."""
    group = _existing_group(view, args)
    if group.consumer(args[4]) is not None:
        return 0
    group.create_consumer(args[4], view.now_ms)
    group.save()
    group.stream.save()
    view.event(events.STREAM, b"xgroup-createconsumer", args[2])
    return 1


@command(
    "xgroup|delconsumer",
    arity=5,
    flags=WRITE,
    keys=Keys(2, 2, access="RW delete"),
    since="5.0.0",
    group="stream",
)
def xgroup_delconsumer(view: View, args: Args) -> Reply:
    """Deletes a consumer from a consumer group."""
    group = _existing_group(view, args)
    consumer = group.consumer(args[4])
    if consumer is None:
        return 0
    pending = consumer.pending
    group.delete_consumer(consumer)
    group.save()
    group.stream.save()
    view.event(events.STREAM, b"xgroup-delconsumer", args[2])
    return pending


@command("xgroup|help", arity=2, flags=LOADING | STALE, where=NODE, since="5.0.0", group="stream")
def xgroup_help(context: Context, args: Args) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_reply(b"XGROUP", _HELP)


# -- reading --------------------------------------------------------------------------------------------------------


@command(
    "xreadgroup",
    arity=-7,
    flags=WRITE | BLOCKING,
    keys=read_keys(4, "RO access"),
    since="5.0.0",
    group="stream",
    complexity="For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. "
    "always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP "
    "blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data.",
)
def xreadgroup(view: View, args: Args) -> Reply:
    """Returns new or historical messages from a stream for a consumer in a group. Blocks until a message is
    available otherwise."""
    options = parse_read(args)
    check_timeout(options.block_ms, view.now_ms)
    wanted: list[tuple[bytes, Group, Id | None]] = []
    for at, id_at in zip(options.keys, options.ids, strict=True):
        _, group = group_of(view, args[at], options.group, b" in XREADGROUP with GROUP option")
        wanted.append((args[at], group, _history_after(args[id_at])))
    found: list[tuple[bytes, Reply]] = []
    is_new = False
    for key, group, history in wanted:
        is_new |= group.consumer(options.consumer) is None
        consumer = seen_consumer(view, key, group, options.consumer)
        if history is not None:
            found.append((key, _history(view, group, consumer, history, options.entries_max)))
        elif entries := _news(view, group, consumer, options.entries_max, options.keep):
            found.append((key, entries))
    if found or options.block_ms is None or is_new:
        for _, group, _ in wanted:
            group.save()
            group.stream.save()
    if found:
        return by_key(view, found)
    if options.block_ms is None:
        return NULL_ARRAY
    # A consumer is there from when it begins to wait. One that was there is left alone: a change would wake those who
    # wait for the stream, and they would do the same.
    raise WouldBlock([args[at] for at in options.keys], options.block_ms, NULL_ARRAY, keep_effects=is_new)


def _history_after(text: bytes) -> Id | None:
    """What XREADGROUP asks for of a consumer's history is behind this id; None: what is new."""
    if text == b">":
        return None
    if text in (b"$", b"+"):
        raise CommandError(
            b"ERR The %b ID is meaningless in the context of XREADGROUP: you want to read the history of this "
            b"consumer by specifying a proper ID, or use the > ID to get new messages. The %b ID would just return an "
            b"empty result set." % (text, text)
        )
    id_ = strict_id(text)
    return None if id_ == ID_MAX else id_


def _history(view: View, group: Group, consumer: Consumer, after: Id, count: int | None) -> list[Reply]:
    entries: list[Reply] = []
    for pending in list(islice(group.scan_pending_of(consumer.name, after + 1, ID_MAX), count)):
        pairs = group.stream.get(pending.id)
        entries.append([id_text(pending.id), NULL_ARRAY if pairs is None else pairs])
        if pairs is not None:
            group.assign(pending.id, pending, consumer, view.now_ms, pending.deliveries + 1)
    return entries


def _news(view: View, group: Group, consumer: Consumer, count: int | None, keep: bool) -> list[Reply]:
    stream = group.stream
    if group.last >= stream.last:
        return []
    entries = list(islice(stream.scan(group.last + 1, ID_MAX), count))
    for id_, _ in entries:
        group.deliver(consumer, id_, view.now_ms, keep)
    return [entry(*each) for each in entries]


@command(
    "xack",
    arity=-4,
    flags=WRITE | FAST,
    keys=UPDATE,
    since="5.0.0",
    group="stream",
    complexity="O(1) for each message ID processed.",
)
def xack(view: View, args: Args) -> Reply:
    """Returns the number of messages that were successfully acknowledged by the consumer group member of a stream."""
    stream = streams.find(view, args[1])
    group = None if stream is None else stream_groups.find(stream, args[2])
    if stream is None or group is None:
        return 0
    acknowledged = 0
    for id_ in [strict_id(text) for text in paced(iter(args[3:]))]:
        pending = group.find_pending(id_)
        if pending is not None:
            group.release(pending)
            acknowledged += 1
    if acknowledged:
        group.save()
        stream.save()
    return acknowledged
