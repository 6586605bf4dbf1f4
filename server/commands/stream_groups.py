"""Consumer groups of streams: XGROUP, reading as a consumer, acknowledging and claiming."""

from itertools import islice

from resp.values import NULL_ARRAY, OK
from server.commands.arguments import INT64_MAX, bounded_integer, integer
from server.commands.context import Context
from server.commands.help import help_reply
from server.commands.stream_arguments import (
    any_id,
    check_timeout,
    id_text,
    interval_end,
    interval_start,
    parse_read,
    quoted,
    strict_id,
    strict_id_or_none,
)
from server.commands.streams import DELETE, READ, UPDATE, by_key, entry, read_keys
from server.commands.table import (
    BLOCKING,
    DENYOOM,
    FAST,
    LOADING,
    NODE,
    READONLY,
    STALE,
    WRITE,
    Args,
    Keys,
    Reply,
    command,
    container,
)
from server.errors import SYNTAX, CommandError, WouldBlock
from server.keyspace import events
from server.keyspace.view import View
from server.types import stream_groups, streams
from server.types.stream_groups import UNKNOWN, Consumer, Group, Pending
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
_CLAIM_COUNT_MAX = INT64_MAX // 16
_ATTEMPTS_PER_CLAIM = 10
"""XAUTOCLAIM looks at so many pending entries for each that it may claim."""


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


def _consumer(view: View, key: bytes, group: Group, name: bytes) -> Consumer:
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
        consumer = _consumer(view, key, group, options.consumer)
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
    for id_ in [strict_id(text) for text in args[3:]]:
        pending = group.find_pending(id_)
        if pending is not None:
            group.release(pending)
            acknowledged += 1
    if acknowledged:
        group.save()
        stream.save()
    return acknowledged


# -- claiming -------------------------------------------------------------------------------------------------------


@command(
    "xclaim",
    arity=-6,
    flags=WRITE | FAST,
    keys=UPDATE,
    since="5.0.0",
    group="stream",
    complexity="O(log N) with N being the number of messages in the PEL of the consumer group.",
)
def xclaim(view: View, args: Args) -> Reply:
    """Changes, or acquires, ownership of a message in a consumer group, as if the message was delivered to a
    consumer group member."""
    key, now_ms = args[1], view.now_ms
    stream, group = group_of(view, key, args[2])
    idle_min_ms = integer(args[4], b"ERR Invalid min-idle-time argument for XCLAIM")
    ids: list[Id] = []
    for text in args[5:]:
        id_ = strict_id_or_none(text)
        if id_ is None:
            break
        ids.append(id_)
    force = just_id = False
    last = 0
    delivered_ms = retries = -1
    options = iter(args[5 + len(ids) :])
    for option in options:
        word = option.lower()
        if word in (b"force", b"justid"):
            force |= word == b"force"
            just_id |= word == b"justid"
            continue
        value = next(options, None)
        if value is None or word not in (b"idle", b"time", b"retrycount", b"lastid"):
            raise CommandError(b"ERR Unrecognized XCLAIM option '%b'" % quoted(option))
        if word == b"lastid":
            last = strict_id(value)
            continue
        number = integer(value, b"ERR Invalid %b option argument for XCLAIM" % word.upper())
        if word == b"retrycount":
            retries = number
        else:
            delivered_ms = now_ms - number if word == b"idle" else number
    if not 0 <= delivered_ms <= now_ms:
        delivered_ms = now_ms
    group.last = max(group.last, last)
    consumer = _consumer(view, key, group, args[3])
    claimed: list[Reply] = []
    for id_ in ids:
        before = group.find_pending(id_)
        pairs = stream.get(id_)
        if pairs is None:
            if before is not None:
                group.release(before)
            continue
        if before is None and not force:
            continue
        if before is not None and idle_min_ms > 0 and now_ms - before.delivered_ms < idle_min_ms:
            continue
        deliveries = 1 if before is None else before.deliveries
        if retries >= 0:
            deliveries = retries
        elif not just_id:
            deliveries += 1
        group.assign(id_, before, consumer, delivered_ms, deliveries)
        consumer.active_ms = now_ms
        claimed.append(id_text(id_) if just_id else entry(id_, pairs))
    group.save()
    stream.save()
    return claimed


@command(
    "xautoclaim",
    arity=-6,
    flags=WRITE | FAST,
    keys=DELETE,
    since="6.2.0",
    group="stream",
    complexity="O(1) if COUNT is small.",
)
def xautoclaim(view: View, args: Args) -> Reply:
    """Changes, or acquires, ownership of messages in a consumer group, as if the messages were delivered to a
    consumer group member."""
    idle_min_ms = integer(args[4], b"ERR Invalid min-idle-time argument for XAUTOCLAIM")
    start = interval_start(args[5])
    count, just_id = 100, False
    options = iter(args[6:])
    for option in options:
        word = option.lower()
        if word == b"justid":
            just_id = True
        elif word == b"count" and (text := next(options, None)) is not None:
            count = bounded_integer(text, 1, _CLAIM_COUNT_MAX, b"ERR COUNT must be > 0")
        else:
            raise CommandError(SYNTAX)
    stream, group = group_of(view, args[1], args[2])
    consumer = _consumer(view, args[1], group, args[3])
    now_ms = view.now_ms
    taken: list[tuple[Pending, list[bytes] | None]] = []
    cursor = 0
    for number, pending in enumerate(group.scan_pending(start, ID_MAX)):
        if len(taken) == count or number == count * _ATTEMPTS_PER_CLAIM:
            cursor = pending.id
            break
        pairs = stream.get(pending.id)
        if pairs is None or idle_min_ms <= 0 or now_ms - pending.delivered_ms >= idle_min_ms:
            taken.append((pending, pairs))
    claimed: list[Reply] = []
    deleted: list[Reply] = []
    for pending, pairs in taken:
        if pairs is None:
            group.release(pending)
            deleted.append(id_text(pending.id))
            continue
        group.assign(pending.id, pending, consumer, now_ms, pending.deliveries + (not just_id))
        consumer.active_ms = now_ms
        claimed.append(id_text(pending.id) if just_id else entry(pending.id, pairs))
    group.save()
    stream.save()
    return [id_text(cursor), claimed, deleted]


# -- what is pending ------------------------------------------------------------------------------------------------


@command(
    "xpending",
    arity=-3,
    flags=READONLY,
    keys=READ,
    since="5.0.0",
    group="stream",
    complexity="O(N) with N being the number of elements returned, so asking for a small fixed number of entries per "
    "call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the "
    "command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an "
    "additional O(N) time for iterating every consumer.",
)
def xpending(view: View, args: Args) -> Reply:
    """Returns the information and entries from a stream consumer group's pending entries list."""
    if len(args) == 3:
        return _pending_summary(group_of(view, args[1], args[2])[1])
    if not 6 <= len(args) <= 9:
        raise CommandError(SYNTAX)
    idle_min_ms = 0
    at = 3
    if args[3].lower() == b"idle":
        idle_min_ms = integer(args[4])
        if len(args) < 8:
            raise CommandError(SYNTAX)
        at = 5
    count = max(integer(args[at + 2]), 0)
    start, end = interval_start(args[at]), interval_end(args[at + 1])
    _, group = group_of(view, args[1], args[2])
    if at + 3 < len(args):
        name = args[at + 3]
        if group.consumer(name) is None:
            return []
        pending = group.scan_pending_of(name, start, end)
    else:
        pending = group.scan_pending(start, end)
    now_ms = view.now_ms
    chosen = (each for each in pending if not idle_min_ms or now_ms - each.delivered_ms >= idle_min_ms)
    return [
        [id_text(each.id), each.consumer, max(now_ms - each.delivered_ms, 0), each.deliveries]
        for each in islice(chosen, count)
    ]


def _pending_summary(group: Group) -> Reply:
    first = next(group.scan_pending(0, ID_MAX), None)
    last = next(group.scan_pending(0, ID_MAX, reverse=True), None)
    if first is None or last is None:
        return [0, None, None, NULL_ARRAY]
    consumers = [
        [consumer.name, b"%d" % consumer.pending] for consumer in group.every_consumer() if consumer.pending
    ]
    return [group.pending, id_text(first.id), id_text(last.id), consumers]
