"""What was delivered and not acknowledged: XPENDING shows it, XCLAIM and XAUTOCLAIM give it to another consumer."""

from itertools import islice

from resp.values import NULL_ARRAY
from server.commands.arguments import INT64_MAX, bounded_integer, integer
from server.commands.stream_arguments import (
    id_text,
    interval_end,
    interval_start,
    quoted,
    strict_id,
    strict_id_or_none,
)
from server.commands.stream_groups import group_of, seen_consumer
from server.commands.streams import DELETE, READ, UPDATE, entry
from server.commands.table import FAST, READONLY, WRITE, Args, Reply, command
from server.errors import SYNTAX, CommandError
from server.keyspace.view import View
from server.types.stream_groups import Group, Pending
from server.types.streams import ID_MAX, Id

_CLAIM_COUNT_MAX = INT64_MAX // 16
_ATTEMPTS_PER_CLAIM = 10
"""XAUTOCLAIM looks at so many pending entries for each that it may claim."""


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
    consumer = seen_consumer(view, key, group, args[3])
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
    consumer = seen_consumer(view, args[1], group, args[3])
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
