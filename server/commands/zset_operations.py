"""Union, intersection and difference: ZUNION, ZINTER, ZDIFF, their STORE forms, ZINTERCARD.

Meaning is in types/zset_operations.py. What the arguments say is checked in Redis's order: the number of keys, which is
also how the keys are found, the keys' types, and then the options.
"""

from typing import NamedTuple

from server.commands.arguments import bounded_integer, floating, integer
from server.commands.table import DENYOOM, READONLY, WRITE, Args, Keys, Reply, command
from server.commands.zset_ranges import store_pairs
from server.commands.zsets import GROUP, paired
from server.errors import SYNTAX, CommandError
from server.keyspace.view import View
from server.types import zset_operations
from server.types.zset_operations import AGGREGATES, Aggregate, Source
from server.types.zset_ranges import Pair

_STORE_COST = (
    "with {} being the sum of the sizes of the input sorted sets, and M being the number of elements in the "
    "resulting sorted set."
)
_INTER_COST = (
    "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets "
    "and M being the number of elements in the resulting sorted set."
)
_DIFF_COST = (
    "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first "
    "set, and K is the size of the result set."
)


def _places(args: Args, at: int) -> range:
    """The indexes of the sources, whose number stands at `at`; raises what the command answers."""
    count = integer(args[at])
    if count < 1:
        raise CommandError(b"ERR at least 1 input key is needed for '" + args[0].lower() + b"' command")
    if count > len(args) - at - 1:
        raise CommandError(SYNTAX)
    return range(at + 1, at + 1 + count)


_SOURCES = Keys(0, 0, 1, lambda args: list(_places(args, 1)), "RO access", 1)
_TARGET_AND_SOURCES = Keys(1, 1, 1, lambda args: [1, *_places(args, 2)], "OW update,RO access", 2)


class _Operation(NamedTuple):
    """A set operation, understood."""

    sources: list[Source | None]
    weights: list[float]
    aggregate: Aggregate
    with_scores: bool

    def reply(self, view: View, scores: dict[bytes, float]) -> Reply:
        """The result, for a client."""
        pairs = zset_operations.in_order(scores)
        return paired(view, pairs) if self.with_scores else [member for member, _ in pairs]


def _operation(view: View, args: Args, at: int, weighted: bool = True) -> _Operation:
    """The sources whose number stands at `at`, and what comes after them. In what is stored (`at` 2) there is no
    WITHSCORES."""
    places = _places(args, at)
    sources = [zset_operations.source(view, args[place]) for place in places]
    weights = [1.0] * len(sources)
    aggregate = AGGREGATES[b"sum"]
    with_scores = False
    rest = list(args[places.stop :])
    while rest:
        name = rest.pop(0).lower()
        if name == b"weights" and weighted and len(rest) >= len(sources):
            weights = [floating(text, b"ERR weight value is not a float") for text in rest[: len(sources)]]
            del rest[: len(sources)]
        elif name == b"aggregate" and weighted and rest and rest[0].lower() in AGGREGATES:
            aggregate = AGGREGATES[rest.pop(0).lower()]
        elif name == b"withscores" and at == 1:
            with_scores = True
        else:
            raise CommandError(SYNTAX)
    return _Operation(sources, weights, aggregate, with_scores)


def _store(view: View, args: Args, scores: dict[bytes, float]) -> Reply:
    pairs: list[Pair] = zset_operations.in_order(scores)
    return store_pairs(view, args[1], pairs, args[0].lower())


@command(
    "zunion",
    arity=-3,
    flags=READONLY,
    keys=_SOURCES,
    since="6.2.0",
    group=GROUP,
    complexity="O(N)+O(M*log(M)) " + _STORE_COST.format("N"),
)
def zunion(view: View, args: Args) -> Reply:
    """Returns the union of multiple sorted sets."""
    each = _operation(view, args, 1)
    return each.reply(view, zset_operations.union(*each[:3]))


@command(
    "zunionstore",
    arity=-4,
    flags=WRITE | DENYOOM,
    keys=_TARGET_AND_SOURCES,
    since="2.0.0",
    group=GROUP,
    complexity="O(N)+O(M log(M)) " + _STORE_COST.format("N"),
)
def zunionstore(view: View, args: Args) -> Reply:
    """Stores the union of multiple sorted sets in a key."""
    return _store(view, args, zset_operations.union(*_operation(view, args, 2)[:3]))


@command(
    "zinter",
    arity=-3,
    flags=READONLY,
    keys=_SOURCES,
    since="6.2.0",
    group=GROUP,
    complexity=_INTER_COST,
)
def zinter(view: View, args: Args) -> Reply:
    """Returns the intersect of multiple sorted sets."""
    each = _operation(view, args, 1)
    return each.reply(view, zset_operations.intersection(*each[:3]))


@command(
    "zinterstore",
    arity=-4,
    flags=WRITE | DENYOOM,
    keys=_TARGET_AND_SOURCES,
    since="2.0.0",
    group=GROUP,
    complexity=_INTER_COST,
)
def zinterstore(view: View, args: Args) -> Reply:
    """Stores the intersect of multiple sorted sets in a key."""
    return _store(view, args, zset_operations.intersection(*_operation(view, args, 2)[:3]))


@command(
    "zdiff",
    arity=-3,
    flags=READONLY,
    keys=_SOURCES,
    since="6.2.0",
    group=GROUP,
    complexity=_DIFF_COST,
)
def zdiff(view: View, args: Args) -> Reply:
    """Returns the difference between multiple sorted sets."""
    each = _operation(view, args, 1, weighted=False)
    return each.reply(view, zset_operations.difference(each.sources))


@command(
    "zdiffstore",
    arity=-4,
    flags=WRITE | DENYOOM,
    keys=_TARGET_AND_SOURCES,
    since="6.2.0",
    group=GROUP,
    complexity=_DIFF_COST,
)
def zdiffstore(view: View, args: Args) -> Reply:
    """Stores the difference of multiple sorted sets in a key."""
    return _store(view, args, zset_operations.difference(_operation(view, args, 2, weighted=False).sources))


@command(
    "zintercard",
    arity=-3,
    flags=READONLY,
    keys=_SOURCES,
    since="7.0.0",
    group=GROUP,
    complexity="O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
)
def zintercard(view: View, args: Args) -> Reply:
    """Returns the number of members of the intersect of multiple sorted sets."""
    places = _places(args, 1)
    sources = [zset_operations.source(view, args[place]) for place in places]
    limit = 0
    options = iter(args[places.stop :])
    for option in options:
        text = next(options, None)
        if option.lower() != b"limit" or text is None:
            raise CommandError(SYNTAX)
        limit = bounded_integer(text, 0, 2**63 - 1, b"ERR LIMIT can't be negative")
    return zset_operations.intersection_size(sources, limit)
