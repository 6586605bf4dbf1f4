"""What the stream commands read from their arguments: ids, intervals of ids, trimming, and how XREAD is asked.

The texts are Redis's, and so is the order in which arguments are looked at, as it decides which error is told first.
"""

from typing import NamedTuple

from server.commands.arguments import INT64_MAX, integer
from server.commands.table import Args
from server.errors import SYNTAX, CommandError
from server.keyspace.limits import HasLimits, stream_trim_entries
from server.types.numbers import parse_int64
from server.types.streams import ID_MAX, SEQUENCE_BITS, SEQUENCE_MAX, Id, Stream

INVALID_ID = b"ERR Invalid stream ID specified as stream command argument"
_ID_TEXT_BYTES_MAX = 127


def id_text(id_: Id) -> bytes:
    """An id as clients write it."""
    return b"%d-%d" % (id_ >> SEQUENCE_BITS, id_ & SEQUENCE_MAX)


def quoted(text: bytes) -> bytes:
    """What an error text has of an argument: it ends at a zero byte."""
    return text.split(b"\0", 1)[0]


def _unsigned(text: bytes) -> int | None:
    """64 bits without sign, as Redis's string2ull takes them: what is no plain number is given to C's strtoull."""
    plain = parse_int64(text)
    if plain is not None:
        return plain if plain >= 0 else None
    text = text.lstrip(b" \t\n\v\f\r")
    digits = text[1:] if text[:1] in (b"+", b"-") else text
    if not digits.isdigit():
        return None
    value = int(digits)
    if value > SEQUENCE_MAX:
        return None
    return -value & SEQUENCE_MAX if text[:1] == b"-" else value


def _parse(text: bytes, missing: int, strict: bool, open_sequence: bool) -> tuple[Id, bool] | None:
    """An id, and whether its sequence number was given; None when it is none."""
    if len(text) > _ID_TEXT_BYTES_MAX:
        return None
    text = quoted(text)
    if text in (b"-", b"+"):
        return None if strict else (0 if text == b"-" else ID_MAX, True)
    first, dash, second = text.partition(b"-")
    milliseconds = _unsigned(first)
    if milliseconds is None:
        return None
    if dash and open_sequence and second == b"*":
        return milliseconds << SEQUENCE_BITS, False
    sequence = _unsigned(second) if dash else missing
    return None if sequence is None else (milliseconds << SEQUENCE_BITS | sequence, True)


def strict_id(text: bytes) -> Id:
    """An id that is not `-` or `+`; without a sequence number it is 0. Raises CommandError."""
    parsed = _parse(text, 0, strict=True, open_sequence=False)
    if parsed is None:
        raise CommandError(INVALID_ID)
    return parsed[0]


def strict_id_or_none(text: bytes) -> Id | None:
    """As `strict_id`, None for what is no id."""
    parsed = _parse(text, 0, strict=True, open_sequence=False)
    return None if parsed is None else parsed[0]


def any_id(text: bytes) -> Id:
    """An id, or `-` or `+`. Raises CommandError."""
    return _bound(text, 0)[0]


def _bound(text: bytes, missing: int) -> tuple[Id, bool]:
    """A bound of an interval, and whether it is excluded."""
    excluded = len(text) > 1 and text[:1] == b"("
    parsed = _parse(text[1:] if excluded else text, missing, strict=excluded, open_sequence=False)
    if parsed is None:
        raise CommandError(INVALID_ID)
    return parsed[0], excluded


def interval_start(text: bytes) -> Id:
    """The first id of an interval, `(` for excluded. Raises CommandError."""
    id_, excluded = _bound(text, 0)
    if excluded and id_ == ID_MAX:
        raise CommandError(b"ERR invalid start ID for the interval")
    return id_ + excluded


def interval_end(text: bytes) -> Id:
    """The last id of an interval, `(` for excluded. Raises CommandError."""
    id_, excluded = _bound(text, SEQUENCE_MAX)
    if excluded and id_ == 0:
        raise CommandError(b"ERR invalid end ID for the interval")
    return id_ - excluded


# -- XADD and XTRIM --------------------------------------------------------------------------------------------------


class Trim(NamedTuple):
    """How to trim, and for XADD where what is added begins."""

    length_max: int | None
    id_min: Id | None
    approximate: bool
    limit: int
    make: bool
    """XADD makes the stream when it is missing."""
    id: Id | None
    """XADD: what was asked for; None for `*`."""
    sequence_given: bool
    at: int
    """XADD: where the id stands."""

    def apply(self, stream: Stream) -> int:
        """Trim; how many entries that removed."""
        if self.length_max is not None:
            return stream.trim_length(self.length_max, self.approximate, self.limit)
        if self.id_min is not None:
            return stream.trim_before(self.id_min, self.approximate, self.limit)
        return 0


_NO_TRIM = Trim(None, None, False, 0, True, None, False, 2)


def parse_trim(args: Args, limits: HasLimits, *, add: bool) -> Trim:
    """The options of XTRIM, or with `add` those of XADD up to the id. Raises CommandError."""
    length_max: int | None = None
    id_min: Id | None = None
    limit: int | None = None
    approximate, make = False, True
    id_: Id | None = None
    sequence_given = False
    at = 2
    if add and args[at] == b"*":
        return _NO_TRIM
    while at < len(args):
        more = len(args) - at - 1
        word = args[at].lower()
        if add and word == b"*":
            break
        if word in (b"maxlen", b"minid") and more:
            if length_max is not None or id_min is not None:
                raise CommandError(
                    b"ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
                )
            approximate = more >= 2 and args[at + 1] == b"~"
            at += 2 if more >= 2 and args[at + 1] in (b"~", b"=") else 1
            if word == b"maxlen":
                length_max = integer(args[at])
                if length_max < 0:
                    raise CommandError(b"ERR The MAXLEN argument must be >= 0.")
            else:
                id_min = strict_id(args[at])
        elif word == b"limit" and more:
            at += 1
            limit = integer(args[at])
            if limit < 0:
                raise CommandError(b"ERR The LIMIT argument must be >= 0.")
        elif add and word == b"nomkstream":
            make = False
        elif add:
            parsed = _parse(args[at], 0, strict=True, open_sequence=True)
            if parsed is None:
                raise CommandError(INVALID_ID)
            id_, sequence_given = parsed
            break
        else:
            raise CommandError(SYNTAX)
        at += 1
    trims = length_max is not None or id_min is not None
    if limit and not trims:
        raise CommandError(b"ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
    if not add and not trims:
        raise CommandError(b"ERR syntax error, XTRIM must be called with a trimming strategy")
    if limit is not None and not approximate:
        raise CommandError(b"ERR syntax error, LIMIT cannot be used without the special ~ option")
    if limit is None:
        limit = stream_trim_entries(limits) if approximate else 0
    return Trim(length_max, id_min, approximate, limit, make, id_, sequence_given, at)


# -- XREAD and XREADGROUP --------------------------------------------------------------------------------------------


class Read(NamedTuple):
    """How XREAD or XREADGROUP is asked."""

    group: bytes
    consumer: bytes
    entries_max: int | None
    """None for all."""
    block_ms: int | None
    """None: not at all; 0: for ever."""
    keep: bool
    """What is delivered is pending: not NOACK."""
    keys: range
    """Where the keys stand."""
    ids: range
    """Where their ids stand."""


def parse_read(args: Args) -> Read:
    """The options of XREAD, or of XREADGROUP when the first argument names it. Raises CommandError."""
    grouped = args[0].lower() == b"xreadgroup"
    group: bytes | None = None
    consumer = b""
    count = 0
    block_ms: int | None = None
    keep = True
    first = 0
    at = 1
    while at < len(args):
        more = len(args) - at - 1
        word = args[at].lower()
        if word == b"block" and more:
            at += 1
            block_ms = _timeout(args[at])
        elif word == b"count" and more:
            at += 1
            count = integer(args[at])
        elif word == b"streams" and more:
            first = at + 1
            break
        elif word == b"group" and more >= 2:
            _only_in_groups(grouped, b"GROUP")
            group, consumer = args[at + 1 : at + 3]
            at += 2
        elif word == b"noack":
            _only_in_groups(grouped, b"NOACK")
            keep = False
        else:
            raise CommandError(SYNTAX)
        at += 1
    if first and (len(args) - first) % 2:
        raise CommandError(
            b"ERR Unbalanced '%b' list of streams: for each stream key an ID or '%b' must be specified."
            % ((b"xreadgroup", b">") if grouped else (b"xread", b"$"))
        )
    if not first:
        raise CommandError(SYNTAX)
    if grouped and group is None:
        raise CommandError(b"ERR Missing GROUP option for XREADGROUP")
    middle = first + (len(args) - first) // 2
    return Read(
        group or b"",
        consumer,
        count if count > 0 else None,
        block_ms,
        keep,
        range(first, middle),
        range(middle, len(args)),
    )


def _only_in_groups(grouped: bool, option: bytes) -> None:
    if not grouped:
        raise CommandError(
            b"ERR The %b option is only supported by XREADGROUP. You called XREAD instead." % option
        )


def _timeout(text: bytes) -> int:
    timeout_ms = integer(text, b"ERR timeout is not an integer or out of range")
    if timeout_ms < 0:
        raise CommandError(b"ERR timeout is negative")
    return timeout_ms


def check_timeout(block_ms: int | None, now_ms: int) -> None:
    """Raises CommandError when the end of the wait is not a time."""
    if block_ms is not None and block_ms > INT64_MAX - now_ms:
        raise CommandError(b"ERR timeout is out of range")
