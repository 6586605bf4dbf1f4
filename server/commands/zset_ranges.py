"""Ranges of a sorted set: ZRANGE with its older forms, counting, removing. Meaning is in types/zset_ranges.py."""

from collections.abc import Callable, Iterable
from math import isnan, nan
from typing import NamedTuple

from server.commands.arguments import integer
from server.commands.table import DENYOOM, FAST, READONLY, WRITE, Args, Handler, Keys, Reply, command
from server.commands.zsets import GROUP, READ, changed, paired
from server.errors import SYNTAX, CommandError
from server.keyspace import events
from server.keyspace.view import View
from server.types import zset_ranges, zsets
from server.types.zset_ranges import Pair, Places, Range, Ranks, Word, Words
from server.types.zsets import Row, members_of, pairs_of

_NOT_FLOAT = b"ERR min or max is not a float"
_NOT_WORD = b"ERR min or max not valid string range item"
_RANGE_COST = (
    "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements "
)
_LIMITED_COST = (
    _RANGE_COST
    + "being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it "
    "O(log(N))."
)


def score_range(low: bytes, high: bytes) -> Places:
    """Scores, each exclusive after a parenthesis."""
    after, before = low[:1] == b"(", high[:1] == b"("
    return zset_ranges.scores(_bound(low[after:]), after, _bound(high[before:]), before)


def _bound(text: bytes) -> float:
    """Nothing is 0, and numbers too large are infinite: Redis reads bounds less strictly than scores."""
    try:
        value = float(text or b"0")
    except ValueError:
        value = nan
    if isnan(value) or text[:1].isspace() or text[-1:].isspace() or b"_" in text:
        raise CommandError(_NOT_FLOAT)
    return value


def _word(text: bytes) -> Word:
    if text == b"-" or text == b"+":
        return Word(b"", False, -1 if text == b"-" else 1)
    if text[:1] not in (b"[", b"("):
        raise CommandError(_NOT_WORD)
    return Word(text[1:], text[:1] == b"(")


def _word_range(low: bytes, high: bytes) -> Words:
    return Words(_word(low), _word(high))


def _rank_range(low: bytes, high: bytes) -> Ranks:
    return Ranks(integer(low), integer(high))


_KINDS: dict[bytes, Callable[[bytes, bytes], Range]] = {
    b"": _rank_range,
    b"byscore": score_range,
    b"bylex": _word_range,
}


class _Query(NamedTuple):
    """A range command, understood."""

    range: Range
    reverse: bool
    offset: int
    limit: int | None
    with_scores: bool

    def rows(self, view: View, key: bytes) -> Iterable[Row]:
        """What it finds."""
        zset = zsets.find(view, key)
        if zset is None:
            return []
        offset = self.offset
        if offset < 0:  # from the end of the range, but not in a listpack
            if zset.encoding == zsets.LISTPACK:
                return []
            offset += self.range.count(zset)
            if offset < 0:
                return []
        return self.range.rows(zset, self.reverse, offset, self.limit)


def _query(args: Args, at: int, kind: bytes | None, reverse: bool | None, store: bool = False) -> _Query:
    """The range that begins at index `at`. `kind`, `reverse`: fixed by the command, None when options say them."""
    offset, limit = 0, -1
    with_scores = False
    options = iter(args[at + 2 :])
    left = len(args) - at - 2
    for option in options:
        left -= 1
        name = option.lower()
        if name == b"withscores" and not store:
            with_scores = True
        elif name == b"limit" and left >= 2:
            offset, limit = integer(next(options)), integer(next(options))
            left -= 2
        elif name == b"rev" and reverse is None:
            reverse = True
        elif name in (b"byscore", b"bylex") and kind is None:
            kind = name
        else:
            raise CommandError(SYNTAX)
    if limit != -1 and not kind:
        raise CommandError(
            b"ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
        )
    if with_scores and kind == b"bylex":
        raise CommandError(b"ERR syntax error, WITHSCORES not supported in combination with BYLEX")
    low, high = args[at : at + 2]
    if reverse and kind:
        low, high = high, low
    if not kind:
        offset = 0
    return _Query(
        _KINDS[kind or b""](low, high), bool(reverse), offset, None if limit < 0 else limit, with_scores
    )


# -- reading --------------------------------------------------------------------------------------------------------


def _declare(
    name: str, summary: str, since: str, cost: str, kind: bytes | None, reverse: bool | None
) -> Handler:
    """ZRANGE and its older forms differ in what is fixed by the name."""

    def handler(view: View, args: Args) -> Reply:
        query = _query(args, 2, kind, reverse)
        rows = query.rows(view, args[1])
        return paired(view, pairs_of(rows)) if query.with_scores else members_of(rows)

    return command(
        name,
        arity=-4,
        flags=READONLY,
        keys=READ,
        since=since,
        group=GROUP,
        complexity=_RANGE_COST + cost,
        summary=summary,
        kept=True,
    )(handler)


_RETURNED = "returned."
_BEING_RETURNED = _LIMITED_COST.removeprefix(_RANGE_COST)
_INDEXES = "Returns members in a sorted set within a range of indexes"
_SCORES = "Returns members in a sorted set within a range of scores"
_WORDS = "Returns members in a sorted set within a lexicographical range"

_declare("zrange", _INDEXES, "1.2.0", _RETURNED, None, None)
_declare("zrevrange", f"{_INDEXES} in reverse order", "1.2.0", _RETURNED, b"", True)
_declare("zrangebyscore", _SCORES, "1.0.5", _BEING_RETURNED, b"byscore", False)
_declare("zrevrangebyscore", f"{_SCORES} in reverse order", "2.2.0", _BEING_RETURNED, b"byscore", True)
_declare("zrangebylex", _WORDS, "2.8.9", _BEING_RETURNED, b"bylex", False)
_declare("zrevrangebylex", f"{_WORDS} in reverse order", "2.8.9", _BEING_RETURNED, b"bylex", True)


@command(
    "zrangestore",
    arity=-5,
    flags=WRITE | DENYOOM,
    keys=Keys(1, 2, access="OW update,RO access"),
    since="6.2.0",
    group=GROUP,
    complexity=_RANGE_COST + "stored into the destination key.",
)
def zrangestore(view: View, args: Args) -> Reply:
    """Stores a range of members from sorted set in a key."""
    pairs = pairs_of(_query(args, 3, None, None, True).rows(view, args[2]))
    return store_pairs(view, args[1], pairs, b"zrangestore")


def store_pairs(view: View, key: bytes, pairs: list[Pair], event: bytes) -> int:
    """Let `key` be a sorted set of these, none if there are none; how many there are."""
    if pairs:
        zsets.store(view, key, pairs)
        changed(view, key, event, True)
    elif view.delete(key):
        view.event(events.GENERIC, b"del", key)
    return len(pairs)


# -- counting -------------------------------------------------------------------------------------------------------


def _count(view: View, key: bytes, range_: Range) -> int:
    zset = zsets.find(view, key)
    return 0 if zset is None else range_.count(zset)


@command(
    "zcount",
    arity=4,
    flags=READONLY | FAST,
    keys=READ,
    since="2.0.0",
    group=GROUP,
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
)
def zcount(view: View, args: Args) -> Reply:
    """Returns the count of members in a sorted set that have scores within a range."""
    return _count(view, args[1], score_range(args[2], args[3]))


@command(
    "zlexcount",
    arity=4,
    flags=READONLY | FAST,
    keys=READ,
    since="2.8.9",
    group=GROUP,
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
    long=True,
)
def zlexcount(view: View, args: Args) -> Reply:
    """Returns the number of members in a sorted set within a lexicographical range."""
    return _count(view, args[1], _word_range(args[2], args[3]))


# -- removing -------------------------------------------------------------------------------------------------------


def _declare_removal(name: str, summary: str, since: str, kind: bytes) -> None:
    def handler(view: View, args: Args) -> Reply:
        range_ = _KINDS[kind](args[2], args[3])
        zset = zsets.find(view, args[1])
        if zset is None:
            return 0
        removed = zset.remove_all(members_of(range_.rows(zset, False, 0, None)))
        if removed:
            changed(view, args[1], name.encode(), zset.count > 0)
        return removed

    command(
        name,
        arity=4,
        flags=WRITE,
        keys=Keys(1, 1, access="RW delete"),
        since=since,
        group=GROUP,
        complexity=_RANGE_COST + "removed by the operation.",
        summary=f"{summary} Deletes the sorted set if all members were removed",
    )(handler)


_declare_removal(
    "zremrangebyrank", "Removes members in a sorted set within a range of indexes.", "2.0.0", b""
)
_declare_removal(
    "zremrangebyscore", "Removes members in a sorted set within a range of scores.", "1.2.0", b"byscore"
)
_declare_removal(
    "zremrangebylex", "Removes members in a sorted set within a lexicographical range.", "2.8.9", b"bylex"
)
