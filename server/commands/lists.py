"""List commands. Meaning is in types/lists.py; those that wait for an element are in lists_blocking.py."""

from resp.values import NULL_ARRAY, OK
from server.commands.arguments import INT64_MAX, bounded_integer, integer
from server.commands.table import DENYOOM, FAST, READONLY, WRITE, Args, Keys, Reply, command
from server.errors import NO_SUCH_KEY, SYNTAX, CommandError, wrong_arity
from server.keyspace import events
from server.keyspace.view import View
from server.types import lists
from server.types.lists import End

READ = Keys(1, 1, access="RO access")
INSERT = Keys(1, 1, access="RW insert")
DELETE = Keys(1, 1, access="RW delete")
TAKE = Keys(1, 1, access="RW access delete")
MOVE = Keys(1, 2, access="RW access delete,RW insert")

NOT_POSITIVE = b"ERR value is out of range, must be positive"
NOT_SYMMETRIC = b"ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"

_PUSH_COST = (
    "O(1) for each element added, so O(N) to add N elements when the command is called with multiple "
    "arguments."
)


def end(word: bytes) -> End:
    """LEFT or RIGHT; raises CommandError."""
    try:
        return End(word.upper())
    except ValueError:
        raise CommandError(SYNTAX) from None


def _symmetric(text: bytes) -> int:
    """An integer whose opposite is one too."""
    value = integer(text)
    if value < -INT64_MAX:
        raise CommandError(NOT_SYMMETRIC)
    return value


# -- the ends ---------------------------------------------------------------------------------------------------


@command("lpush", arity=-3, flags=WRITE | DENYOOM | FAST, keys=INSERT, group="list", complexity=_PUSH_COST)
def lpush(view: View, args: Args) -> Reply:
    """Prepends one or more elements to a list. Creates the key if it doesn't exist."""
    return lists.push(view, args[1], args[2:], End.LEFT)


@command("rpush", arity=-3, flags=WRITE | DENYOOM | FAST, keys=INSERT, group="list", complexity=_PUSH_COST)
def rpush(view: View, args: Args) -> Reply:
    """Appends one or more elements to a list. Creates the key if it doesn't exist."""
    return lists.push(view, args[1], args[2:], End.RIGHT)


@command(
    "lpushx",
    arity=-3,
    flags=WRITE | DENYOOM | FAST,
    keys=INSERT,
    since="2.2.0",
    group="list",
    complexity=_PUSH_COST,
)
def lpushx(view: View, args: Args) -> Reply:
    """Prepends one or more elements to a list only when the list exists."""
    return lists.push(view, args[1], args[2:], End.LEFT, only_if_there=True)


@command(
    "rpushx",
    arity=-3,
    flags=WRITE | DENYOOM | FAST,
    keys=INSERT,
    since="2.2.0",
    group="list",
    complexity=_PUSH_COST,
)
def rpushx(view: View, args: Args) -> Reply:
    """Appends one or more elements to a list only when the list exists."""
    return lists.push(view, args[1], args[2:], End.RIGHT, only_if_there=True)


def _pop(view: View, args: Args, side: End) -> Reply:
    if len(args) > 3:
        raise wrong_arity(lists.POPPED[side])
    if len(args) == 2:
        taken = lists.pop(view, args[1], 1, side)
        return None if taken is None else taken[0]
    count = bounded_integer(args[2], 0, INT64_MAX, NOT_POSITIVE)
    taken = lists.pop(view, args[1], count, side)
    return NULL_ARRAY if taken is None else taken


@command(
    "lpop",
    arity=-2,
    flags=WRITE | FAST,
    keys=TAKE,
    group="list",
    complexity="O(N) where N is the number of elements returned",
)
def lpop(view: View, args: Args) -> Reply:
    """Returns and removes one or more elements from the beginning of a list.

    Deletes the list if the last element was popped.
    """
    return _pop(view, args, End.LEFT)


@command(
    "rpop",
    arity=-2,
    flags=WRITE | FAST,
    keys=TAKE,
    group="list",
    complexity="O(N) where N is the number of elements returned",
)
def rpop(view: View, args: Args) -> Reply:
    """Returns and removes one or more elements from the end of a list.

    Deletes the list if the last element was popped.
    """
    return _pop(view, args, End.RIGHT)


@command("lmove", arity=5, flags=WRITE | DENYOOM, keys=MOVE, since="6.2.0", group="list")
def lmove(view: View, args: Args) -> Reply:
    """Returns an element after popping it from one list and pushing it to another.

    Deletes the list if the last element was moved.
    """
    take, give = end(args[3]), end(args[4])
    return lists.move(view, args[1], args[2], take, give)


@command("rpoplpush", arity=3, flags=WRITE | DENYOOM, keys=MOVE, since="1.2.0", group="list")
def rpoplpush(view: View, args: Args) -> Reply:
    """Returns the last element of a list after removing and pushing it to another list.

    Deletes the list if the last element was popped.
    """
    return lists.move(view, args[1], args[2], End.RIGHT, End.LEFT)


def parse_lmpop(args: Args, at: int) -> tuple[range, End, int]:
    """What follows from `at` on (numkeys key … LEFT|RIGHT [COUNT count]): indexes of the keys, end, count. Raises
    CommandError."""
    number = bounded_integer(args[at], 1, INT64_MAX, b"ERR numkeys should be greater than 0")
    where = at + 1 + number
    if where >= len(args):
        raise CommandError(SYNTAX)
    side = end(args[where])
    count = 1
    rest = args[where + 1 :]
    if rest:
        if len(rest) < 2 or rest[0].upper() != b"COUNT":
            raise CommandError(SYNTAX)
        count = bounded_integer(rest[1], 1, INT64_MAX, b"ERR count should be greater than 0")
        if len(rest) > 2:
            raise CommandError(SYNTAX)
    return range(at + 1, where), side, count


def pop_first(view: View, keys: list[bytes], side: End, count: int) -> list[Reply] | None:
    """Pop from the first of `keys` that is there: its name and the elements; None when there is none."""
    for key in keys:
        taken = lists.pop(view, key, count, side)
        if taken is not None:
            return [key, taken]
    return None


@command(
    "lmpop",
    arity=-4,
    flags=WRITE,
    keys=Keys(0, 0, 0, lambda args: list(parse_lmpop(args, 1)[0]), access="RW access delete"),
    since="7.0.0",
    group="list",
    complexity="O(N+M) where N is the number of provided keys and M is the number of elements returned.",
)
def lmpop(view: View, args: Args) -> Reply:
    """Returns multiple elements from a list after removing them. Deletes the list if the last element was popped."""
    places, side, count = parse_lmpop(args, 1)
    found = pop_first(view, [args[place] for place in places], side, count)
    return NULL_ARRAY if found is None else found


# -- looking ----------------------------------------------------------------------------------------------------


@command("llen", arity=2, flags=READONLY | FAST, keys=Keys(1, 1, access="RO"), group="list")
def llen(view: View, args: Args) -> Reply:
    """Returns the length of a list."""
    return lists.length(view, args[1])


@command(
    "lindex",
    arity=3,
    flags=READONLY,
    keys=READ,
    group="list",
    complexity="O(N) where N is the number of elements to traverse to get to the element at index. This makes asking "
    "for the first or the last element of the list O(1).",
)
def lindex(view: View, args: Args) -> Reply:
    """Returns an element from a list by its index."""
    return lists.at(view, args[1], integer(args[2])) if lists.length(view, args[1]) else None


@command(
    "lrange",
    arity=4,
    flags=READONLY,
    keys=READ,
    group="list",
    complexity="O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or "
    "TAIL) for large lists; and N is the number of elements in the specified range.",
    kept=True,
)
def lrange(view: View, args: Args) -> Reply:
    """Returns a range of elements from a list."""
    start, stop = integer(args[2]), integer(args[3])
    found = lists.find(view, args[1])
    return [] if found is None else list(found.walk(*lists.span(found.length, start, stop)))


@command(
    "lpos",
    arity=-3,
    flags=READONLY,
    keys=READ,
    since="6.0.6",
    group="list",
    complexity="O(N) where N is the number of elements in the list, for the average case. When searching for elements "
    "near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant "
    "time.",
)
def lpos(view: View, args: Args) -> Reply:
    """Returns the index of matching elements in a list."""
    rank, count, limit = 1, None, 0
    for at in range(3, len(args), 2):
        word = args[at].upper()
        if at + 1 == len(args):
            raise CommandError(SYNTAX)
        if word == b"RANK":
            rank = _symmetric(args[at + 1])
            if not rank:
                raise CommandError(
                    b"ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
                    b"or use negative to start from the end of the list"
                )
        elif word == b"COUNT":
            count = bounded_integer(args[at + 1], 0, INT64_MAX, b"ERR COUNT can't be negative")
        elif word == b"MAXLEN":
            limit = bounded_integer(args[at + 1], 0, INT64_MAX, b"ERR MAXLEN can't be negative")
        else:
            raise CommandError(SYNTAX)
    found = lists.find(view, args[1])
    if found is None:
        return None if count is None else []
    indexes = lists.positions(
        found,
        args[2],
        skip=abs(rank) - 1,
        count=1 if count is None else count,
        limit=limit,
        reverse=rank < 0,
    )
    if count is not None:
        return indexes
    return indexes[0] if indexes else None


# -- in between -------------------------------------------------------------------------------------------------


@command(
    "lset",
    arity=4,
    flags=WRITE | DENYOOM,
    keys=Keys(1, 1, access="RW update"),
    group="list",
    complexity="O(N) where N is the length of the list. Setting either the first or the last element of the list is "
    "O(1).",
)
def lset(view: View, args: Args) -> Reply:
    """Sets the value of an element in a list by its index."""
    found = lists.find(view, args[1])
    if found is None:
        raise CommandError(NO_SUCH_KEY)
    if not found.put(integer(args[2]), args[3]):
        raise CommandError(b"ERR index out of range")
    found.save()
    view.event(events.LIST, b"lset", args[1])
    return OK


@command(
    "linsert",
    arity=5,
    flags=WRITE | DENYOOM,
    keys=INSERT,
    since="2.2.0",
    group="list",
    complexity="O(N) where N is the number of elements to traverse before seeing the value pivot. This means that "
    "inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the "
    "right end (tail) is O(N).",
)
def linsert(view: View, args: Args) -> Reply:
    """Inserts an element before or after another element in a list."""
    where = args[2].upper()
    if where not in (b"BEFORE", b"AFTER"):
        raise CommandError(SYNTAX)
    return lists.insert(view, args[1], args[3], args[4], where == b"AFTER")


@command(
    "lrem",
    arity=4,
    flags=WRITE,
    keys=DELETE,
    group="list",
    complexity="O(N+M) where N is the length of the list and M is the number of elements removed.",
)
def lrem(view: View, args: Args) -> Reply:
    """Removes elements from a list. Deletes the list if the last element was removed."""
    return lists.remove(view, args[1], _symmetric(args[2]), args[3])


@command(
    "ltrim",
    arity=4,
    flags=WRITE,
    keys=DELETE,
    group="list",
    complexity="O(N) where N is the number of elements to be removed by the operation.",
)
def ltrim(view: View, args: Args) -> Reply:
    """Removes elements from both ends of a list. Deletes the list if all elements were trimmed."""
    start, stop = integer(args[2]), integer(args[3])
    lists.trim(view, args[1], start, stop)
    return OK
