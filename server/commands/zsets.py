"""Sorted sets: members and their scores, one by one. Ranges, pops and set operations are in zset_*.py.

Meaning is in types/zsets.py. Replies that pair members with scores are flat in RESP2 and pairs in RESP3 (`paired`).
"""

from collections.abc import Iterable
from math import isnan
from typing import NamedTuple

from resp.replies import format_double
from resp.values import NULL_ARRAY
from server.commands.arguments import INT64_MAX, floating, integer
from server.commands.element_scan import cursor_of, element_options
from server.commands.table import DENYOOM, FAST, READONLY, WRITE, Args, Keys, Reply, command
from server.errors import OUT_OF_RANGE, SYNTAX, CommandError, wrong_arity
from server.keyspace import events
from server.keyspace.breath import paced
from server.keyspace.view import View
from server.types import zsets
from server.types.zset_ranges import Pair

READ = Keys(1, 1, access="RO access")
GROUP = "sorted-set"
_NAN = b"ERR resulting score is not a number (NaN)"
_INT64_RANGE = b"ERR value is out of range, value must between -%d and %d" % (INT64_MAX, INT64_MAX)


def paired(view: View, pairs: Iterable[Pair]) -> list[Reply]:
    """Members with their scores, as the client's protocol has them: RESP2 knows no doubles."""
    if view.protocol == 3:
        return [list(pair) for pair in paced(iter(pairs))]
    return [each for member, score in paced(iter(pairs)) for each in (member, format_double(score))]


def changed(view: View, key: bytes, event: bytes, exists: bool) -> None:
    """Tell subscribers that a sorted set lost members, or was stored, and whether it is still there."""
    view.event(events.ZSET, event, key)
    if not exists:
        view.event(events.GENERIC, b"del", key)


# -- scores ---------------------------------------------------------------------------------------------------------


class AddOptions(NamedTuple):
    """What stands before ZADD's scores."""

    words: frozenset[bytes]
    """Of nx, xx, gt, lt, ch, incr."""

    def wants(self, old: float, new: float) -> bool:
        """Whether a member that is there may go from one score to the other."""
        words = self.words
        return not (b"nx" in words or (b"gt" in words and new <= old) or (b"lt" in words and new >= old))


_ADD_WORDS = frozenset((b"nx", b"xx", b"gt", b"lt", b"ch", b"incr"))
_NO_OPTIONS = AddOptions(frozenset())
_INCREMENT = AddOptions(frozenset((b"incr",)))


@command(
    "zadd",
    arity=-4,
    flags=WRITE | DENYOOM | FAST,
    keys=Keys(1, 1, access="RW update"),
    since="1.2.0",
    group=GROUP,
    complexity="O(log(N)) for each item added, where N is the number of elements in the sorted set.",
)
def zadd(view: View, args: Args) -> Reply:
    """Adds one or more members to a sorted set, or updates their scores. Creates the key if it doesn't exist."""
    if len(args) == 4 and args[2].lower() not in _ADD_WORDS:
        return add(view, args[1], [(args[3], floating(args[2]))], _NO_OPTIONS)
    at = 2
    while at < len(args) and args[at].lower() in _ADD_WORDS:
        at += 1
    words = frozenset(word.lower() for word in args[2:at])
    count = len(args) - at
    if count % 2 or not count:
        raise CommandError(SYNTAX)
    if words >= {b"nx", b"xx"}:
        raise CommandError(b"ERR XX and NX options at the same time are not compatible")
    if len(words & {b"gt", b"lt", b"nx"}) > 1:
        raise CommandError(b"ERR GT, LT, and/or NX options at the same time are not compatible")
    if b"incr" in words and count > 2:
        raise CommandError(b"ERR INCR option supports a single increment-element pair")
    places = paced(iter(range(at, len(args), 2)))
    pairs = [(args[place + 1], floating(args[place])) for place in places]
    return add(view, args[1], pairs, AddOptions(words) if words else _NO_OPTIONS)


def add(view: View, key: bytes, pairs: list[Pair], options: AddOptions) -> Reply:
    """ZADD, its arguments understood."""
    words = options.words
    increment = b"incr" in words
    zset = zsets.find(view, key)
    if zset is None:
        if b"xx" in words:
            return None if increment else 0
        zset = zsets.create(view, key)
    converted = False
    if zset.encoding == zsets.LISTPACK:
        converted = zset.make_room(len(pairs), max(len(member) for member, _ in pairs))
    added = updated = 0
    result = None
    for member, score in pairs:
        old = zset.score(member)
        if old is None:
            if b"xx" in words:
                continue
            added += 1
        else:
            if b"nx" not in words and increment:
                score += old
                if isnan(score):
                    raise CommandError(_NAN)
            if not options.wants(old, score):
                continue
            if score == old:
                result = score
                continue
            updated += 1
        result = score
        zset.change(member, old, score)
    if added or updated or converted:
        zset.save()
    if added or updated:
        view.event(events.ZSET, b"zincr" if increment else b"zadd", key)
    if increment:
        return result
    return added + updated if b"ch" in words else added


@command(
    "zincrby",
    arity=4,
    flags=WRITE | DENYOOM | FAST,
    keys=Keys(1, 1, access="RW access update"),
    since="1.2.0",
    group=GROUP,
    complexity="O(log(N)) where N is the number of elements in the sorted set.",
)
def zincrby(view: View, args: Args) -> Reply:
    """Increments the score of a member in a sorted set."""
    return add(view, args[1], [(args[3], floating(args[2]))], _INCREMENT)


@command(
    "zrem",
    arity=-3,
    flags=WRITE | FAST,
    keys=Keys(1, 1, access="RW delete"),
    since="1.2.0",
    group=GROUP,
    complexity="O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be "
    "removed.",
)
def zrem(view: View, args: Args) -> Reply:
    """Removes one or more members from a sorted set. Deletes the sorted set if all members were removed."""
    zset = zsets.find(view, args[1])
    removed = zset.remove_all(args[2:]) if zset is not None else 0
    if zset is not None and removed:
        changed(view, args[1], b"zrem", zset.count > 0)
    return removed


@command("zcard", arity=2, flags=READONLY | FAST, keys=Keys(1, 1, access="RO"), since="1.2.0", group=GROUP)
def zcard(view: View, args: Args) -> Reply:
    """Returns the number of members in a sorted set."""
    zset = zsets.find(view, args[1])
    return 0 if zset is None else zset.count


@command("zscore", arity=3, flags=READONLY | FAST, keys=READ, since="1.2.0", group=GROUP)
def zscore(view: View, args: Args) -> Reply:
    """Returns the score of a member in a sorted set."""
    return zsets.score(view, args[1], args[2])


@command(
    "zmscore",
    arity=-3,
    flags=READONLY | FAST,
    keys=READ,
    since="6.2.0",
    group=GROUP,
    complexity="O(N) where N is the number of members being requested.",
)
def zmscore(view: View, args: Args) -> Reply:
    """Returns the score of one or more members in a sorted set."""
    zset = zsets.find(view, args[1])
    return [None if zset is None else zset.score(member) for member in paced(iter(args[2:]))]


# -- ranks ----------------------------------------------------------------------------------------------------------


def _rank(view: View, args: Args, reverse: bool) -> Reply:
    if len(args) > 4:
        raise wrong_arity(args[0].lower())
    with_score = len(args) == 4
    if with_score and args[3].lower() != b"withscore":
        raise CommandError(SYNTAX)
    zset = zsets.find(view, args[1])
    rank = None if zset is None else zset.rank(args[2])
    if zset is None or rank is None:
        return NULL_ARRAY if with_score else None
    rank = zset.count - 1 - rank if reverse else rank
    return [rank, zset.score(args[2])] if with_score else rank


@command(
    "zrank", arity=-3, flags=READONLY | FAST, keys=READ, since="2.0.0", group=GROUP, complexity="O(log(N))"
)
def zrank(view: View, args: Args) -> Reply:
    """Returns the index of a member in a sorted set ordered by ascending scores."""
    return _rank(view, args, False)


@command(
    "zrevrank", arity=-3, flags=READONLY | FAST, keys=READ, since="2.0.0", group=GROUP, complexity="O(log(N))"
)
def zrevrank(view: View, args: Args) -> Reply:
    """Returns the index of a member in a sorted set ordered by descending scores."""
    return _rank(view, args, True)


# -- some members ---------------------------------------------------------------------------------------------------


@command(
    "zrandmember",
    arity=-2,
    flags=READONLY,
    keys=READ,
    since="6.2.0",
    group=GROUP,
    complexity="O(N) where N is the number of members returned",
)
def zrandmember(view: View, args: Args) -> Reply:
    """Returns one or more random members from a sorted set."""
    if len(args) == 2:
        zset = zsets.find(view, args[1])
        if zset is None:
            return None
        return zsets.draw(zset, -1, view.random)[0][0]
    count = integer(args[2])
    if count < -INT64_MAX:
        raise CommandError(_INT64_RANGE)
    with_scores = len(args) > 3
    if len(args) > 4 or (with_scores and args[3].lower() != b"withscores"):
        raise CommandError(SYNTAX)
    if with_scores and abs(count) > INT64_MAX // 2:
        raise CommandError(OUT_OF_RANGE)
    zset = zsets.find(view, args[1])
    if zset is None:
        return []
    pairs = zsets.draw(zset, count, view.random)
    return paired(view, pairs) if with_scores else [member for member, _ in pairs]


@command(
    "zscan",
    arity=-3,
    flags=READONLY,
    keys=READ,
    since="2.8.0",
    group=GROUP,
    complexity="O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to "
    "return back to 0. N is the number of elements inside the collection.",
)
def zscan(view: View, args: Args) -> Reply:
    """Iterates over members and scores of a sorted set."""
    cursor = cursor_of(args[2])
    zset = zsets.find(view, args[1])
    if zset is None:
        return [b"0", []]
    count, matches, no_scores = element_options(args[3:], b"noscores")
    after, pairs = zset.page(cursor, count)
    found: list[bytes] = []
    for member, score in pairs:
        if matches is None or matches(member):
            found.append(member)
            if not no_scores:
                found.append(format_double(score) if zset.encoding == zsets.LISTPACK else b"%.17g" % score)
    return [b"%d" % after, found]
