"""Taking the first or the last members off sorted sets, at once or as soon as there are any."""

from resp.values import NULL_ARRAY
from server.commands.arguments import INT64_MAX, bounded_integer, timeout_ms
from server.commands.table import BLOCKING, FAST, WRITE, Args, Keys, Reply, command
from server.commands.zsets import GROUP, changed, paired
from server.errors import SYNTAX, CommandError, WouldBlock
from server.keyspace.view import View
from server.types import zsets
from server.types.zset_ranges import Pair
from server.types.zsets import SortedSet

_POP = Keys(1, 1, access="RW access delete")
_BLOCKING_POP = Keys(1, -2, access="RW access delete")
_POP_COST = (
    "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements "
    "popped."
)
_BLOCKING_COST = "O(log(N)) with N being the number of elements in the sorted set."
_MANY_COST = (
    "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and "
    "M being the number of elements popped."
)
_WHICH = {b"min": False, b"max": True}


def _pop(view: View, key: bytes, zset: SortedSet, count: int, reverse: bool) -> list[Pair]:
    """Take up to `count` members (1 or more) off."""
    pairs = zset.pop(count, reverse)
    changed(view, key, b"zpopmax" if reverse else b"zpopmin", zset.count > 0)
    return pairs


def _pop_reply(view: View, args: Args, reverse: bool) -> Reply:
    if len(args) > 3:
        raise CommandError(SYNTAX)
    count = 1
    if len(args) == 3:
        count = bounded_integer(args[2], 0, INT64_MAX, b"ERR value is out of range, must be positive")
    zset = zsets.find(view, args[1])
    if zset is None or not count:
        return []
    pairs = _pop(view, args[1], zset, count, reverse)
    return paired(view, pairs) if len(args) == 3 or view.protocol == 2 else list(pairs[0])


@command("zpopmin", arity=-2, flags=WRITE | FAST, keys=_POP, since="5.0.0", group=GROUP, complexity=_POP_COST)
def zpopmin(view: View, args: Args) -> Reply:
    """Returns the lowest-scoring members from a sorted set after removing them.

    Deletes the sorted set if the last member was popped."""
    return _pop_reply(view, args, False)


@command("zpopmax", arity=-2, flags=WRITE | FAST, keys=_POP, since="5.0.0", group=GROUP, complexity=_POP_COST)
def zpopmax(view: View, args: Args) -> Reply:
    """Returns the highest-scoring members from a sorted set after removing them.

    Deletes the sorted set if the last member was popped."""
    return _pop_reply(view, args, True)


# -- blocking -------------------------------------------------------------------------------------------------------


def _pop_first(view: View, keys: list[bytes], count: int, reverse: bool) -> tuple[bytes, list[Pair]] | None:
    """From the first of `keys` that is there."""
    for key in keys:
        zset = zsets.find(view, key)
        if zset is not None:
            return key, _pop(view, key, zset, count, reverse)
    return None


def _blocking_pop(view: View, args: Args, reverse: bool) -> Reply:
    wait_ms = timeout_ms(args[-1], view.now_ms)
    keys = args[1:-1]
    popped = _pop_first(view, keys, 1, reverse)
    if popped is None:
        raise WouldBlock(keys, wait_ms, NULL_ARRAY)
    key, pairs = popped
    return [key, *pairs[0]]


@command(
    "bzpopmin",
    arity=-3,
    flags=WRITE | BLOCKING | FAST,
    keys=_BLOCKING_POP,
    since="5.0.0",
    group=GROUP,
    complexity=_BLOCKING_COST,
)
def bzpopmin(view: View, args: Args) -> Reply:
    """Removes and returns the member with the lowest score from one or more sorted sets.

    Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped."""
    return _blocking_pop(view, args, False)


@command(
    "bzpopmax",
    arity=-3,
    flags=WRITE | BLOCKING | FAST,
    keys=_BLOCKING_POP,
    since="5.0.0",
    group=GROUP,
    complexity=_BLOCKING_COST,
)
def bzpopmax(view: View, args: Args) -> Reply:
    """Removes and returns the member with the highest score from one or more sorted sets.

    Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped."""
    return _blocking_pop(view, args, True)


# -- from several keys ----------------------------------------------------------------------------------------------


def _places(args: Args, at: int) -> range:
    """The indexes of the keys, whose number stands at `at`; raises what the command answers."""
    count = bounded_integer(args[at], 1, INT64_MAX, b"ERR numkeys should be greater than 0")
    if at + 1 + count >= len(args):
        raise CommandError(SYNTAX)
    return range(at + 1, at + 1 + count)


def _many_keys(at: int) -> Keys:
    return Keys(0, 0, 1, lambda args: list(_places(args, at)), "RW access delete", at)


def _many(view: View, args: Args, at: int) -> Reply:
    """ZMPOP, its number of keys at `at`; BZMPOP when a timeout stands before that."""
    places = _places(args, at)
    reverse = _WHICH.get(args[places.stop].lower())
    if reverse is None:
        raise CommandError(SYNTAX)
    count = 1
    options = args[places.stop + 1 :]
    if options:
        if options[0].lower() != b"count" or len(options) == 1:
            raise CommandError(SYNTAX)
        count = bounded_integer(options[1], 1, INT64_MAX, b"ERR count should be greater than 0")
        if len(options) > 2:
            raise CommandError(SYNTAX)
    wait_ms = timeout_ms(args[1], view.now_ms) if at == 2 else None
    keys = [args[place] for place in places]
    popped = _pop_first(view, keys, count, reverse)
    if popped is not None:
        return [popped[0], [list(pair) for pair in popped[1]]]
    if wait_ms is None:
        return NULL_ARRAY
    raise WouldBlock(keys, wait_ms, NULL_ARRAY)


@command(
    "zmpop", arity=-4, flags=WRITE, keys=_many_keys(1), since="7.0.0", group=GROUP, complexity=_MANY_COST
)
def zmpop(view: View, args: Args) -> Reply:
    """Returns the highest- or lowest-scoring members from one or more sorted sets after removing them.

    Deletes the sorted set if the last member was popped."""
    return _many(view, args, 1)


@command(
    "bzmpop",
    arity=-5,
    flags=WRITE | BLOCKING,
    keys=_many_keys(2),
    since="7.0.0",
    group=GROUP,
    complexity=_MANY_COST,
)
def bzmpop(view: View, args: Args) -> Reply:
    """Removes and returns a member by score from one or more sorted sets.

    Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped."""
    return _many(view, args, 2)
