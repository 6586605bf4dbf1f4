"""Set commands. Meaning is in types/sets.py.

Replies that list members are RESP3 sets where Redis sends sets, and arrays where it sends arrays (SRANDMEMBER, SSCAN).
Commands on several keys need them in one shard group, as every command with a plain key declaration.
"""

from resp.values import Members
from server.commands.arguments import INT64_MAX, bounded_integer, integer
from server.commands.element_scan import cursor_of, element_options
from server.commands.table import DENYOOM, FAST, READONLY, WRITE, Args, Keys, Reply, command
from server.errors import SYNTAX, CommandError
from server.keyspace import events
from server.keyspace.breath import paced
from server.keyspace.view import View
from server.types import sets

READ = Keys(1, 1, access="RO access")
READ_ALL = Keys(1, -1, access="RO access")
STORE = Keys(1, -1, access="OW update,RO access")

_INTERSECTION_COST = (
    "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets."
)
_RANGE = b"ERR value is out of range, value must between -%d and %d" % (INT64_MAX, INT64_MAX)
_TOTAL_COST = "O(N) where N is the total number of elements in all given sets."


# -- one set --------------------------------------------------------------------------------------------------------


@command(
    "sadd",
    arity=-3,
    flags=WRITE | DENYOOM | FAST,
    keys=Keys(1, 1, access="RW insert"),
    group="set",
    complexity="O(1) for each element added, so O(N) to add N elements when the command is called with multiple "
    "arguments.",
)
def sadd(view: View, args: Args) -> Reply:
    """Adds one or more members to a set. Creates the key if it doesn't exist."""
    members = args[2:]
    target = sets.find_to_add(view, args[1], members)
    before = target.count
    for member in members:
        target.add(member)
    if target.count > before:
        target.save()
        view.event(events.SET, b"sadd", args[1])
    return target.count - before


@command(
    "srem",
    arity=-3,
    flags=WRITE | FAST,
    keys=Keys(1, 1, access="RW delete"),
    group="set",
    complexity="O(N) where N is the number of members to be removed.",
)
def srem(view: View, args: Args) -> Reply:
    """Removes one or more members from a set. Deletes the set if the last member was removed."""
    target = sets.find(view, args[1])
    if target is None:
        return 0
    removed = sum(target.remove(member) for member in args[2:])
    if removed:
        _save_less(view, args[1], target, b"srem")
    return removed


def _save_less(view: View, key: bytes, target: sets.Set, event: bytes) -> None:
    """Save a set that has lost members, and tell of it."""
    view.event(events.SET, event, key)
    if not target.save():
        view.event(events.GENERIC, b"del", key)


@command(
    "smembers",
    arity=2,
    flags=READONLY,
    keys=READ,
    group="set",
    complexity="O(N) where N is the set cardinality.",
    kept=True,
)
def smembers(view: View, args: Args) -> Reply:
    """Returns all members of a set."""
    return Members(list(sets.find(view, args[1]) or ()))


@command("scard", arity=2, flags=READONLY | FAST, keys=Keys(1, 1, access="RO"), group="set")
def scard(view: View, args: Args) -> Reply:
    """Returns the number of members in a set."""
    found = sets.find(view, args[1])
    return 0 if found is None else found.count


@command("sismember", arity=3, flags=READONLY | FAST, keys=Keys(1, 1, access="RO"), group="set")
def sismember(view: View, args: Args) -> Reply:
    """Determines whether a member belongs to a set."""
    return int(sets.contains(view, args[1], args[2]))


@command(
    "smismember",
    arity=-3,
    flags=READONLY | FAST,
    keys=READ,
    since="6.2.0",
    group="set",
    complexity="O(N) where N is the number of elements being checked for membership",
)
def smismember(view: View, args: Args) -> Reply:
    """Determines whether multiple members belong to a set."""
    found = sets.find(view, args[1])
    return [int(found is not None and member in found) for member in paced(iter(args[2:]))]


@command(
    "sscan",
    arity=-3,
    flags=READONLY,
    keys=READ,
    since="2.8.0",
    group="set",
    complexity="O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to "
    "return back to 0. N is the number of elements inside the collection.",
)
def sscan(view: View, args: Args) -> Reply:
    """Iterates over members of a set."""
    cursor = cursor_of(args[2])
    found = sets.find(view, args[1])
    if found is None:
        return [b"0", []]
    count, matches, _ = element_options(args[3:])
    after, members = found.page(cursor, count)
    return [b"%d" % after, members if matches is None else list(filter(matches, members))]


# -- chance ---------------------------------------------------------------------------------------------------------


@command(
    "spop",
    arity=-2,
    flags=WRITE | FAST,
    keys=Keys(1, 1, access="RW access delete"),
    group="set",
    complexity="Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
)
def spop(view: View, args: Args) -> Reply:
    """Returns one or more random members from a set after removing them, the set too when the last one was popped."""
    if len(args) > 3:
        raise CommandError(SYNTAX)
    count = 1
    if len(args) == 3:
        count = bounded_integer(args[2], 0, INT64_MAX, b"ERR value is out of range, must be positive")
    target = sets.find(view, args[1])
    popped = target.pop(count, view.random) if target is not None else []
    if target is not None and popped:
        _save_less(view, args[1], target, b"spop")
    if len(args) == 3:
        return Members(popped)
    return popped[0] if popped else None


@command(
    "srandmember",
    arity=-2,
    flags=READONLY,
    keys=READ,
    group="set",
    complexity="Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
)
def srandmember(view: View, args: Args) -> Reply:
    """Gets one or multiple random members from a set."""
    if len(args) > 3:
        raise CommandError(SYNTAX)
    count = None
    if len(args) == 3:
        count = integer(args[2])
        if count < -INT64_MAX:
            raise CommandError(_RANGE)
    found = sets.find(view, args[1])
    if count is None:
        return None if found is None else found.draw(view.random)
    if found is None or not count:
        return []
    return found.draw_many(abs(count), view.random, repeat=count < 0)


# -- several sets ---------------------------------------------------------------------------------------------------


@command(
    "smove",
    arity=4,
    flags=WRITE | FAST,
    keys=Keys(1, 2, access="RW access delete,RW insert"),
    group="set",
)
def smove(view: View, args: Args) -> Reply:
    """Moves a member from one set to another."""
    _, source_key, target_key, member = args
    source = sets.find(view, source_key)
    if source is None:
        return 0
    target = sets.find_to_add(view, target_key, [member])
    if member not in source:
        return 0
    if source_key == target_key:
        return 1
    source.remove(member)
    _save_less(view, source_key, source, b"srem")
    if target.add(member):
        target.save()
        view.event(events.SET, b"sadd", target_key)
    return 1


def _operands(view: View, keys: Args) -> list[sets.Set | None]:
    """The sets at `keys`; None for those that are missing."""
    return [sets.find(view, key) for key in keys]


def _store(view: View, key: bytes, members: list[bytes], encoding: int, event: bytes) -> int:
    """Make `key` the set of `members`, and tell of it."""
    was_there = view.exists(key)
    count = sets.store(view, key, members, encoding)
    if count:
        view.event(events.SET, event, key)
    elif was_there:
        view.event(events.GENERIC, b"del", key)
    return count


@command("sinter", arity=-2, flags=READONLY, keys=READ_ALL, group="set", complexity=_INTERSECTION_COST)
def sinter(view: View, args: Args) -> Reply:
    """Returns the intersect of multiple sets."""
    return Members(sets.intersection(_operands(view, args[1:])))


@command(
    "sinterstore", arity=-3, flags=WRITE | DENYOOM, keys=STORE, group="set", complexity=_INTERSECTION_COST
)
def sinterstore(view: View, args: Args) -> Reply:
    """Stores the intersect of multiple sets in a key."""
    members = sets.intersection(_operands(view, args[2:]))
    encoding = sets.intersection_encoding(view, members)
    return _store(view, args[1], members, encoding, b"sinterstore")


def _counted(args: Args) -> range:
    """The indexes of SINTERCARD's keys, which numkeys tells. Raises what the command answers."""
    count = bounded_integer(args[1], 1, INT64_MAX, b"ERR numkeys should be greater than 0")
    if count > len(args) - 2:
        raise CommandError(b"ERR Number of keys can't be greater than number of args")
    return range(2, 2 + count)


@command(
    "sintercard",
    arity=-3,
    flags=READONLY,
    keys=Keys(0, 0, 0, lambda args: list(_counted(args)), access="RO access", count_at=1),
    since="7.0.0",
    group="set",
    complexity=_INTERSECTION_COST,
)
def sintercard(view: View, args: Args) -> Reply:
    """Returns the number of members of the intersect of multiple sets."""
    places = _counted(args)
    limit = 0
    options = iter(args[places.stop :])
    for option in options:
        value = next(options, None)
        if option.lower() != b"limit" or value is None:
            raise CommandError(SYNTAX)
        limit = bounded_integer(value, 0, INT64_MAX, b"ERR LIMIT can't be negative")
    return len(sets.intersection(_operands(view, [args[at] for at in places]), limit))


@command("sunion", arity=-2, flags=READONLY, keys=READ_ALL, group="set", complexity=_TOTAL_COST)
def sunion(view: View, args: Args) -> Reply:
    """Returns the union of multiple sets."""
    return Members(sets.union(_operands(view, args[1:])))


@command("sunionstore", arity=-3, flags=WRITE | DENYOOM, keys=STORE, group="set", complexity=_TOTAL_COST)
def sunionstore(view: View, args: Args) -> Reply:
    """Stores the union of multiple sets in a key."""
    members = sets.union(_operands(view, args[2:]))
    return _store(view, args[1], members, sets.INTSET, b"sunionstore")


@command("sdiff", arity=-2, flags=READONLY, keys=READ_ALL, group="set", complexity=_TOTAL_COST)
def sdiff(view: View, args: Args) -> Reply:
    """Returns the difference of multiple sets."""
    return Members(sets.difference(_operands(view, args[1:])))


@command("sdiffstore", arity=-3, flags=WRITE | DENYOOM, keys=STORE, group="set", complexity=_TOTAL_COST)
def sdiffstore(view: View, args: Args) -> Reply:
    """Stores the difference of multiple sets in a key."""
    operands = _operands(view, args[2:])
    members = sets.difference(operands)
    return _store(view, args[1], members, sets.difference_encoding(view, operands), b"sdiffstore")
