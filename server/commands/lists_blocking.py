"""List commands that wait for an element: the waiting itself is the leader's, see shard/waiters.py."""

from resp.values import NULL_ARRAY
from server.commands.arguments import timeout_ms
from server.commands.lists import MOVE, end, parse_lmpop, pop_first
from server.commands.table import BLOCKING, DENYOOM, WRITE, Args, Keys, Reply, command
from server.errors import WouldBlock
from server.keyspace.view import View
from server.types import lists
from server.types.lists import End

_TAKE_ANY = Keys(1, -2, access="RW access delete")


def _pop_any(view: View, args: Args, side: End) -> Reply:
    wait_ms = timeout_ms(args[-1], view.now_ms)
    found = pop_first(view, args[1:-1], side, 1)
    if found is None:
        raise WouldBlock(args[1:-1], wait_ms, NULL_ARRAY)
    key, (value,) = found
    return [key, value]


@command(
    "blpop",
    arity=-3,
    flags=WRITE | BLOCKING,
    keys=_TAKE_ANY,
    since="2.0.0",
    group="list",
    complexity="O(N) where N is the number of provided keys.",
)
def blpop(view: View, args: Args) -> Reply:
    """Removes and returns the first element in a list.

    Blocks until an element is available otherwise. Deletes the list if the last element was popped.
    """
    return _pop_any(view, args, End.LEFT)


@command(
    "brpop",
    arity=-3,
    flags=WRITE | BLOCKING,
    keys=_TAKE_ANY,
    since="2.0.0",
    group="list",
    complexity="O(N) where N is the number of provided keys.",
)
def brpop(view: View, args: Args) -> Reply:
    """Removes and returns the last element in a list.

    Blocks until an element is available otherwise. Deletes the list if the last element was popped.
    """
    return _pop_any(view, args, End.RIGHT)


def _move(view: View, args: Args, take: End, give: End) -> Reply:
    wait_ms = timeout_ms(args[-1], view.now_ms)
    value = lists.move(view, args[1], args[2], take, give)
    if value is None:
        raise WouldBlock([args[1]], wait_ms, None)
    return value


@command("blmove", arity=6, flags=WRITE | DENYOOM | BLOCKING, keys=MOVE, since="6.2.0", group="list")
def blmove(view: View, args: Args) -> Reply:
    """Pops an element from a list, pushes it to another list and returns it.

    Blocks until an element is available otherwise. Deletes the list if the last element was moved.
    """
    return _move(view, args, end(args[3]), end(args[4]))


@command("brpoplpush", arity=4, flags=WRITE | DENYOOM | BLOCKING, keys=MOVE, since="2.2.0", group="list")
def brpoplpush(view: View, args: Args) -> Reply:
    """Pops an element from a list, pushes it to another list and returns it.

    Blocks until an element is available otherwise. Deletes the list if the last element was popped.
    """
    return _move(view, args, End.RIGHT, End.LEFT)


@command(
    "blmpop",
    arity=-5,
    flags=WRITE | BLOCKING,
    keys=Keys(0, 0, 0, lambda args: list(parse_lmpop(args, 2)[0]), access="RW access delete"),
    since="7.0.0",
    group="list",
    complexity="O(N+M) where N is the number of provided keys and M is the number of elements returned.",
)
def blmpop(view: View, args: Args) -> Reply:
    """Pops the first element from one of multiple lists.

    Blocks until an element is available otherwise. Deletes the list if the last element was popped.
    """
    places, side, count = parse_lmpop(args, 2)
    wait_ms = timeout_ms(args[1], view.now_ms)
    keys = [args[place] for place in places]
    found = pop_first(view, keys, side, count)
    if found is None:
        raise WouldBlock(keys, wait_ms, NULL_ARRAY)
    return found
