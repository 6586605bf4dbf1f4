"""Streams: adding, reading, trimming. Groups: stream_groups.py, stream_claims.py; XINFO: stream_info.py."""

from resp.values import NULL_ARRAY, OK
from server.commands.arguments import integer
from server.commands.stream_arguments import (
    check_timeout,
    id_text,
    interval_end,
    interval_start,
    parse_read,
    parse_trim,
    strict_id,
)
from server.commands.table import (
    BLOCKING,
    DENYOOM,
    FAST,
    READONLY,
    WRITE,
    Args,
    Keys,
    Reply,
    command,
)
from server.errors import NO_SUCH_KEY, SYNTAX, CommandError, WouldBlock, wrong_arity
from server.keyspace import events
from server.keyspace.breath import paced
from server.keyspace.view import View
from server.types import streams
from server.types.streams import ID_MAX, SEQUENCE_BITS, SEQUENCE_MAX, Id, Stream

UPDATE = Keys(1, 1, access="RW update")
DELETE = Keys(1, 1, access="RW delete")
READ = Keys(1, 1, access="RO access")


def entry(id_: Id, pairs: list[bytes]) -> Reply:
    """An entry as replies show it."""
    return [id_text(id_), pairs]


def by_key(view: View, found: list[tuple[bytes, Reply]]) -> Reply:
    """The reply of XREAD: entries by key, in RESP2 as pairs."""
    return dict(found) if view.protocol == 3 else [list(pair) for pair in found]


# -- adding ---------------------------------------------------------------------------------------------------------


@command(
    "xadd",
    arity=-5,
    flags=WRITE | DENYOOM | FAST,
    keys=UPDATE,
    since="5.0.0",
    group="stream",
    complexity="O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
)
def xadd(view: View, args: Args) -> Reply:
    """Appends a new message to a stream. Creates the key if it doesn't exist."""
    trim = parse_trim(args, view.limits, add=True)
    key, pairs = args[1], args[trim.at + 1 :]
    if len(pairs) < 2 or len(pairs) % 2:
        raise wrong_arity(b"xadd")
    if trim.id == 0 and trim.sequence_given:
        raise CommandError(b"ERR The ID specified in XADD must be greater than 0-0")
    stream = streams.find(view, key)
    if stream is None:
        if not trim.make:
            return None
        stream = streams.create(view, key)
    if stream.last == ID_MAX:
        raise CommandError(b"ERR The stream has exhausted the last possible ID, unable to add more items")
    id_ = _next_id(stream, trim.id, trim.sequence_given, view.now_ms)
    if id_ <= stream.last:
        raise CommandError(
            b"ERR The ID specified in XADD is equal or smaller than the target stream top item"
        )
    stream.append(id_, pairs, view.limits)
    if view.notify:
        view.event(events.STREAM, b"xadd", key)
    if trim.apply(stream):
        view.event(events.STREAM, b"xtrim", key)
    stream.save()
    return id_text(id_)


def _next_id(stream: Stream, asked: Id | None, sequence_given: bool, now_ms: int) -> Id:
    """The id that an entry gets; one that is not above the last when there is none to be had."""
    if asked is None:
        return max(now_ms << SEQUENCE_BITS, stream.last + 1)
    if sequence_given or asked >> SEQUENCE_BITS != stream.last >> SEQUENCE_BITS:
        return asked
    return stream.last + 1 if stream.last & SEQUENCE_MAX != SEQUENCE_MAX else stream.last


@command("xsetid", arity=-3, flags=WRITE | DENYOOM | FAST, keys=UPDATE, since="5.0.0", group="stream")
def xsetid(view: View, args: Args) -> Reply:
    """An internal command for replicating stream values."""
    id_ = strict_id(args[2])
    added: int | None = None
    deleted = 0
    for at in range(3, len(args), 2):
        word = args[at].lower()
        if word == b"entriesadded" and at + 1 < len(args):
            added = integer(args[at + 1])
            if added < 0:
                raise CommandError(b"ERR entries_added must be positive")
        elif word == b"maxdeletedid" and at + 1 < len(args):
            deleted = strict_id(args[at + 1])
            if id_ < deleted:
                raise CommandError(
                    b"ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
                )
        else:
            raise CommandError(SYNTAX)
    stream = streams.find(view, args[1])
    if stream is None:
        raise CommandError(NO_SUCH_KEY)
    if id_ < stream.max_deleted:
        raise CommandError(b"ERR The ID specified in XSETID is smaller than current max_deleted_entry_id")
    if id_ < stream.top():
        raise CommandError(b"ERR The ID specified in XSETID is smaller than the target stream top item")
    if added is not None and stream.length > added:
        raise CommandError(
            b"ERR The entries_added specified in XSETID is smaller than the target stream length"
        )
    stream.last = id_
    if added is not None:
        stream.added = added
    if deleted:
        stream.max_deleted = deleted
    stream.save(changed=True)
    view.event(events.STREAM, b"xsetid", args[1])
    return OK


# -- removing -------------------------------------------------------------------------------------------------------


@command(
    "xdel",
    arity=-3,
    flags=WRITE | FAST,
    keys=DELETE,
    since="5.0.0",
    group="stream",
    complexity="O(1) for each single item to delete in the stream, regardless of the stream size.",
)
def xdel(view: View, args: Args) -> Reply:
    """Returns the number of messages after removing them from a stream."""
    stream = streams.find(view, args[1])
    if stream is None:
        return 0
    deleted = stream.delete([strict_id(text) for text in paced(iter(args[2:]))])
    if deleted:
        stream.save()
        view.event(events.STREAM, b"xdel", args[1])
    return deleted


@command(
    "xtrim",
    arity=-4,
    flags=WRITE,
    keys=DELETE,
    since="5.0.0",
    group="stream",
    complexity="O(N), with N being the number of evicted entries. Constant times are very small however, since "
    "entries are organized in macro nodes containing multiple entries that can be released with a single "
    "deallocation.",
)
def xtrim(view: View, args: Args) -> Reply:
    """Deletes messages from the beginning of a stream."""
    trim = parse_trim(args, view.limits, add=False)
    stream = streams.find(view, args[1])
    if stream is None:
        return 0
    deleted = trim.apply(stream)
    if deleted:
        stream.save()
        view.event(events.STREAM, b"xtrim", args[1])
    return deleted


# -- reading --------------------------------------------------------------------------------------------------------


@command("xlen", arity=2, flags=READONLY | FAST, keys=Keys(1, 1, access="RO"), since="5.0.0", group="stream")
def xlen(view: View, args: Args) -> Reply:
    """Returns the number of messages in a stream."""
    stream = streams.find(view, args[1])
    return 0 if stream is None else stream.length


@command(
    "xrange",
    arity=-4,
    flags=READONLY,
    keys=READ,
    since="5.0.0",
    group="stream",
    complexity="O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for "
    "the first 10 elements with COUNT), you can consider it O(1).",
    kept=True,
)
def xrange_(view: View, args: Args) -> Reply:
    """Returns the messages from a stream within a range of IDs."""
    return _range(view, args, args[2], args[3], reverse=False)


@command(
    "xrevrange",
    arity=-4,
    flags=READONLY,
    keys=READ,
    since="5.0.0",
    group="stream",
    complexity="O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the "
    "first 10 elements with COUNT), you can consider it O(1).",
    kept=True,
)
def xrevrange(view: View, args: Args) -> Reply:
    """Returns the messages from a stream within a range of IDs in reverse order."""
    return _range(view, args, args[3], args[2], reverse=True)


def _range(view: View, args: Args, first: bytes, last: bytes, reverse: bool) -> Reply:
    start, end = interval_start(first), interval_end(last)
    count: int | None = None
    for at in range(4, len(args), 2):
        if args[at].lower() != b"count" or at + 1 == len(args):
            raise CommandError(SYNTAX)
        count = integer(args[at + 1])
        count = max(count, 0)
    stream = streams.find(view, args[1])
    if stream is None:
        return []
    if count == 0:
        return NULL_ARRAY
    return stream.show(start, end, reverse, count)


def read_keys(first: int, access: str) -> Keys:
    """The keys of XREAD and XREADGROUP: behind STREAMS, which comes at `first` at the earliest."""
    return Keys(find=_read_keys, access=access, keyword=("STREAMS", first))


def _read_keys(args: Args) -> list[int]:
    return list(parse_read(args).keys)


@command(
    "xread",
    arity=-4,
    flags=READONLY | BLOCKING,
    keys=read_keys(1, "RO access"),
    since="5.0.0",
    group="stream",
    complexity="",
)
def xread(view: View, args: Args) -> Reply:
    """Returns messages from multiple streams with IDs greater than the ones requested. Blocks until a message
    is available otherwise."""
    options = parse_read(args)
    check_timeout(options.block_ms, view.now_ms)
    again = list(args)
    wanted: list[tuple[bytes, Stream | None, Id]] = []
    for at, id_at in zip(options.keys, options.ids, strict=True):
        stream = streams.find(view, args[at])
        id_ = _read_after(stream, args[id_at])
        if args[id_at] == b"$":
            again[id_at] = id_text(id_)
        wanted.append((args[at], stream, id_))
    found: list[tuple[bytes, Reply]] = []
    for key, stream, id_ in wanted:
        if stream is not None and id_ < stream.last:
            entries = stream.show(id_ + 1, ID_MAX, False, options.entries_max)
            if entries:
                found.append((key, entries))
    if found:
        return by_key(view, found)
    if options.block_ms is None:
        return NULL_ARRAY
    raise WouldBlock([args[at] for at in options.keys], options.block_ms, NULL_ARRAY, retry_args=again)


def _read_after(stream: Stream | None, text: bytes) -> Id:
    """What XREAD asks for is behind this id."""
    if text == b"$":
        return 0 if stream is None else stream.last
    if text == b"+":
        return 0 if stream is None else max(stream.last - 1, 0)
    if text == b">":
        raise CommandError(
            b"ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
        )
    return strict_id(text)
