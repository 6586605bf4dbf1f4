"""SORT and SORT_RO. Meaning is in types/sort.py.

The keys that BY and GET make of elements are read where the sorted key lives. Where several shard groups share the
keyspace a pattern must therefore say by its hash tag that all its keys live there too, as in a Redis cluster.
"""

from functools import partial

from server.commands.arguments import integer
from server.commands.table import DENYOOM, READONLY, WRITE, Args, Keys, Reply, command
from server.errors import SYNTAX, WRONG_TYPE, CommandError
from server.keyspace import events
from server.keyspace.breath import paced
from server.keyspace.layout import SET
from server.keyspace.view import View
from server.types import lists, sort

_COST = (
    "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned "
    "elements. When the elements are not sorted, complexity is O(N)."
)
_ELSEWHERE = (
    b"ERR %b option of SORT denied in Cluster mode when keys formed by the pattern may be in different slots."
)
_NOT_NUMBERS = b"ERR One or more scores can't be converted into double"


class _Options:
    """What follows the key."""

    def __init__(self, view: View, args: Args, may_store: bool) -> None:
        self.descending = self.alpha = self.unsorted = False
        self.start, self.count = 0, -1
        self.by: bytes | None = None
        self.gets: list[bytes] = []
        self.target: bytes | None = None
        at = 2
        while at < len(args):
            word, left = args[at].lower(), len(args) - at - 1
            if word in (b"asc", b"desc"):
                self.descending = word == b"desc"
            elif word == b"alpha":
                self.alpha = True
            elif word == b"limit" and left >= 2:
                self.start, self.count = integer(args[at + 1]), integer(args[at + 2])
                at += 2
            elif word == b"store" and left and may_store:
                self.target = args[at + 1]
                at += 1
            elif word == b"by" and left:
                self.by = args[at + 1]
                if b"*" in self.by:
                    _check_place(view, b"BY", self.by)
                else:
                    self.unsorted = True
                at += 1
            elif word == b"get" and left:
                if args[at + 1] != sort.ELEMENT:
                    _check_place(view, b"GET", args[at + 1])
                self.gets.append(args[at + 1])
                at += 1
            else:
                raise CommandError(SYNTAX)
            at += 1

    def span(self, size: int) -> tuple[int, int]:
        """Of `size` elements those that LIMIT leaves: [start, stop)."""
        start = min(max(self.start, 0), size)
        return start, size if self.count < 0 else min(start + self.count, size)


def _check_place(view: View, option: bytes, pattern: bytes) -> None:
    if not view.home.is_all:
        place = sort.place_of(pattern)
        if place is None or not view.home.owns(place):
            raise CommandError(_ELSEWHERE % option)


def _chosen(view: View, key: bytes, options: _Options, in_script: bool) -> list[bytes]:
    """The elements of the result, in order. Those of a set that nobody wants sorted are sorted all the same, as words,
    when they are stored, and for scripts."""
    record = view.record(key)
    if record is None:
        return []
    type_ = record[0]
    if type_ not in sort.SORTABLE:
        raise CommandError(WRONG_TYPE)
    start, stop = options.span(sort.count_of(view, key, type_))
    if options.unsorted and type_ != SET:
        return sort.unsorted_range(view, key, type_, start, stop, options.descending)
    elements = sort.elements_of(view, key, type_)
    if options.unsorted and options.target is None and not in_script:
        return elements[start:stop]
    by, alpha = (None, True) if options.unsorted else (options.by, options.alpha)
    try:
        sort.order(
            view,
            elements,
            by,
            alpha=alpha,
            descending=options.descending,
            stored=options.target is not None,
        )
    except sort.NotANumber:
        raise CommandError(_NOT_NUMBERS) from None
    return elements[start:stop]


def _sort(view: View, args: Args, *, may_store: bool, in_script: bool = False) -> Reply:
    options = _Options(view, args, may_store)
    elements = _chosen(view, args[1], options, in_script)
    found: list[bytes | None] = list(elements)
    if options.gets:
        found = [
            sort.look_up(view, pattern, element)
            for element in paced(iter(elements))
            for pattern in options.gets
        ]
    target = options.target
    if target is None:
        return found
    if found:
        lists.store(view, target, [value or b"" for value in paced(iter(found))])
        view.event(events.LIST, b"sortstore", target)
    elif view.delete(target):
        view.event(events.GENERIC, b"del", target)
    return len(found)


def _keys(args: Args) -> list[int]:
    """The sorted key and what the last STORE names."""
    stored = []
    at = 2
    while at < len(args):
        word = args[at].lower()
        if word == b"store" and at + 1 < len(args):
            stored.append(at + 1)
        at += {b"limit": 3, b"get": 2, b"by": 2, b"store": 2}.get(word, 1)
    return [1, *stored[-1:]]


@command(
    "sort",
    arity=-2,
    flags=WRITE | DENYOOM,
    keys=Keys(1, 1, 1, _keys, "RO access", anywhere=("RO access", "OW update")),
    group="generic",
    categories="-keyspace set sortedset list dangerous",
    complexity=_COST,
)
def sort_(view: View, args: Args) -> Reply:
    """Sorts the elements in a list, a set, or a sorted set, optionally storing the result."""
    return _sort(view, args, may_store=True)


@command(
    "sort_ro",
    arity=-2,
    flags=READONLY,
    keys=Keys(1, 1, 1, lambda args: [1], "RO access", anywhere=("RO access",)),
    since="7.0.0",
    group="generic",
    categories="-keyspace set sortedset list dangerous",
    complexity=_COST,
)
def sort_ro(view: View, args: Args) -> Reply:
    """Returns the sorted elements of a list, a set, or a sorted set."""
    return _sort(view, args, may_store=False)


IN_SCRIPTS = {
    "sort": partial(_sort, may_store=True, in_script=True),
    "sort_ro": partial(_sort, may_store=False, in_script=True),
}
"""What scripts call by these names."""
