"""Walks over all keys of a database, whichever groups they lie in: SCAN, KEYS, RANDOMKEY.

A walk goes through the slots in order and asks the group of each for a page (`_scanpage`), wherever that
group is led. Cursors mean the same on every node, see types/keys.py. Nothing is held between two pages, so a
walk is not one instant of the database: keys that come or go meanwhile may or may not be seen, all others
are, once.

A page is at most `PAGE_KEYS_MAX` keys, whatever the client asks for, so that no loop is held for long by a
COUNT of a million. A pattern that fixes the slot (`{user1}*`) is looked for in that slot alone.
"""

from random import choices, randrange
from typing import Any

import hiredis
import trio

from server.commands.arguments import integer, parse_int64
from server.commands.context import Context
from server.commands.table import NODE, READONLY, SPREAD_ALL, Args, Reply, command
from server.errors import SYNTAX, CommandError
from server.keyspace.layout import HASH_BITS, TYPE_NAMES
from server.keyspace.slots import SLOTS
from server.keyspace.view import View
from server.types import keys
from server.types.glob import EVERY_KEY, compile_glob, pattern_slot

PAGE_KEYS_MAX = 1000
"""See the head of this file."""
DEFAULT_COUNT = 10
_TRANSACTION_KEYS_MAX = 50_000
"""KEYS inside MULTI is for databases of so many keys: one command can not go page by page."""
_CURSOR_MAX = 2**64 - 1
_NUMBER_BYTES_MAX = 32
_BLANKS = b" \t\n\v\f\r"
BAD_CURSOR = b"ERR invalid cursor"


# -- on the group's leader ----------------------------------------------------------------------------------


@command("_scanpage", arity=6, flags=READONLY, group="generic")
def scanpage(view: View, args: Args) -> Reply:
    """One page of a walk: cursor, stop slot, count, pattern, type or nothing."""
    type_ = TYPE_NAMES.index(args[5]) if args[5] else None
    return list(keys.scan_page(view, int(args[1]), int(args[2]), int(args[3]), args[4], type_))


@command("_firstkey", arity=3, flags=READONLY, group="generic")
def firstkey(view: View, args: Args) -> Reply:
    """The first key from a cursor up to a stop slot, and where to go on when none was found in one turn."""
    return list(keys.first_key(view, int(args[1]), int(args[2])))


@command("_countslot", arity=2, flags=READONLY, group="cluster")
def countslot(view: View, args: Args) -> Reply:
    """The number of keys in a slot."""
    return keys.count_slot(view, int(args[1]))


@command("_slotkeys", arity=3, flags=READONLY, group="cluster")
def slotkeys(view: View, args: Args) -> Reply:
    """Keys of a slot, up to a number of them."""
    return keys.slot_keys(view, int(args[1]), int(args[2]))


# -- on the node that the client talks to ------------------------------------------------------------------


async def _ask(context: Context, group: int, *args: bytes) -> Any:
    """The reply of `group` to a command on the client's database; raises CommandError when it is an error."""
    reply = await context.node.call(group, context.session.db, list(args))
    if isinstance(reply, hiredis.ReplyError):
        raise CommandError(str(reply).encode())
    return reply


class Walk:
    """A walk over the keys that match a pattern and are of a type."""

    def __init__(
        self, context: Context, cursor: int, pattern: bytes, type_: bytes, slot: int | None = None
    ) -> None:
        """`cursor`: 0 to begin, else what `cursor` was; `type_`: empty for all; `slot`: the only one. Raises
        CommandError for a pattern that is too long."""
        self._context = context
        self._pattern = pattern
        self._type = type_
        compile_glob(pattern)
        if slot is None:
            slot = pattern_slot(pattern)
        first, self._stop = (0, SLOTS) if slot is None else (slot, slot + 1)
        self._next = max(cursor, first << HASH_BITS)

    @property
    def done(self) -> bool:
        """Whether the walk is at its end."""
        return self._next >> HASH_BITS >= self._stop

    @property
    def cursor(self) -> int:
        """Where to go on; 0: the walk is at its end."""
        return 0 if self.done else self._next

    async def page(self, count: int) -> tuple[int, list[bytes]]:
        """Look at about `count` more keys or fewer: how many that were, and those that are asked for. The
        walk must not be at its end. If cancelled, it stands where it stood."""
        topology = self._context.node.topology
        group = topology.slot_groups[self._next >> HASH_BITS]
        stop = min(self._stop, topology.groups[group].last_slot + 1)
        after, seen, found = await _ask(
            self._context,
            group,
            b"_SCANPAGE",
            b"%d" % self._next,
            b"%d" % stop,
            b"%d" % min(count, PAGE_KEYS_MAX),
            self._pattern,
            self._type,
        )
        self._next = after or stop << HASH_BITS
        return seen, found


def scan_cursor(text: bytes) -> int:
    """As C's strtoull takes it: blanks, a sign and zeros may lead; but no plain negative number."""
    value = parse_int64(text)
    if value is None:
        digits = text.lstrip(_BLANKS)
        negative = digits[:1] == b"-"
        digits = digits[1:] if digits[:1] in (b"-", b"+") else digits
        digits = digits.lstrip(b"0") or digits[-1:]
        value = int(digits) if digits.isdigit() and len(digits) <= _NUMBER_BYTES_MAX else -1
        if 0 <= value <= _CURSOR_MAX:
            return -value & _CURSOR_MAX if negative else value
    if value < 0 or value > _CURSOR_MAX:
        raise CommandError(BAD_CURSOR)
    return value


@command(
    "scan",
    arity=-2,
    flags=READONLY,
    where=NODE,
    since="2.8.0",
    group="generic",
    complexity="O(1) for every call. O(N) for a complete iteration, where N is the number of keys.",
)
async def scan(context: Context, args: Args) -> Reply:
    """Iterates over the key names in the database."""
    return await walk_on(context, args, None)


async def walk_on(context: Context, args: Args, slot: int | None) -> Reply:
    """The reply to a SCAN, of one slot or of all. Raises CommandError."""
    cursor, count, pattern, type_ = _scan_arguments(args)
    walk = Walk(context, cursor, pattern, type_, slot)
    found: list[bytes] = []
    while count > 0 and not walk.done:
        seen, page = await walk.page(count)
        count -= seen
        found += page
    return [b"%d" % walk.cursor, found]


def _scan_arguments(args: Args) -> tuple[int, int, bytes, bytes]:
    """Cursor, count, pattern and type (or nothing) of a SCAN. Raises CommandError."""
    cursor = scan_cursor(args[1])
    count, pattern, type_ = DEFAULT_COUNT, EVERY_KEY, b""
    options = iter(args[2:])
    for option in options:
        name = option.lower()
        if name == b"novalues":
            raise CommandError(b"ERR NOVALUES option can only be used in HSCAN")
        if name == b"noscores":
            raise CommandError(b"ERR NOSCORES option can only be used in ZSCAN")
        value = next(options, None)
        if value is None:
            raise CommandError(SYNTAX)
        if name == b"count":
            count = integer(value)
            if count < 1:
                raise CommandError(SYNTAX)
        elif name == b"match":
            pattern = value
        elif name == b"type":
            type_ = value.lower()
            if type_ not in TYPE_NAMES:
                raise CommandError(b"ERR unknown type name '" + value + b"'")
        else:
            raise CommandError(SYNTAX)
    return cursor, count, pattern, type_


@command(
    "keys",
    arity=2,
    flags=READONLY,
    where=NODE,
    group="generic",
    complexity="O(N) with N being the number of keys in the database.",
    categories="dangerous",
)
async def keys_(context: Context, args: Args) -> Reply:
    """Returns all key names that match a pattern."""
    walk = Walk(context, 0, args[1], b"")
    found: list[bytes] = []
    while not walk.done:
        _, page = await walk.page(PAGE_KEYS_MAX)
        found += page
    return found


@command("randomkey", arity=1, flags=READONLY, where=NODE, group="generic")
async def randomkey(context: Context, args: Args) -> Reply:
    """Returns a random key name from the database."""
    counts = await _key_counts(context)
    while counts:
        # By the number of keys, so that a key of a full group is as likely as one of a nearly empty one.
        group = choices(list(counts), list(counts.values()))[0]
        key = await _random_key_of(context, group)
        if key is not None:
            return key
        del counts[group]
    return None


# -- inside a transaction -----------------------------------------------------------------------------------
#
# There a walk has to see what the transaction wrote, at the instant of EXEC. So it runs on the leader's view in one
# piece, which is possible where all keys are in one group and not too many.


@command("_scan", arity=-2, flags=READONLY, where=SPREAD_ALL, group="generic")
def scan_at_once(view: View, args: Args) -> Reply:
    """SCAN inside a transaction."""
    cursor, count, pattern, type_name = _scan_arguments(args)
    type_ = TYPE_NAMES.index(type_name) if type_name else None
    after, _, found = keys.scan_page(view, cursor, SLOTS, min(count, PAGE_KEYS_MAX), pattern, type_)
    return [b"%d" % after, found]


@command("_keys", arity=2, flags=READONLY, where=SPREAD_ALL, group="generic")
def keys_at_once(view: View, args: Args) -> Reply:
    """KEYS inside a transaction."""
    if view.key_count() > _TRANSACTION_KEYS_MAX:
        raise CommandError(
            b"ERR KEYS inside MULTI is only for databases of up to %d keys, use SCAN" % _TRANSACTION_KEYS_MAX
        )
    return keys.scan_page(view, 0, SLOTS, _TRANSACTION_KEYS_MAX, args[1], None).keys


@command("_randomkey", arity=1, flags=READONLY, where=SPREAD_ALL, group="generic")
def randomkey_at_once(view: View, args: Args) -> Reply:
    """RANDOMKEY inside a transaction."""
    for cursor in (view.random.randrange(SLOTS << HASH_BITS), 0):
        key = keys.first_key(view, cursor, SLOTS)[1]
        if key is not None:
            return key
    return None


async def _key_counts(context: Context) -> dict[int, int]:
    """The groups that hold keys, and how many. Asks all groups at once."""
    replies: dict[int, int | CommandError] = {}

    async def ask(group: int) -> None:
        try:
            replies[group] = await _ask(context, group, b"DBSIZE")
        except CommandError as error:
            replies[group] = error

    async with trio.open_nursery() as nursery:
        for group in context.node.topology.data_groups:
            nursery.start_soon(ask, group)
    counts: dict[int, int] = {}
    for group, reply in replies.items():
        if isinstance(reply, CommandError):
            raise reply
        if reply:
            counts[group] = reply
    return counts


async def _random_key_of(context: Context, group: int) -> bytes | None:
    """The key next to a random position of the group, going around at its end; None when all it has are past
    their time."""
    whole = context.node.topology.groups[group]
    first, stop = whole.first_slot << HASH_BITS, (whole.last_slot + 1) << HASH_BITS
    for cursor in (randrange(first, stop), first):
        while cursor < stop:
            after, key = await _ask(
                context, group, b"_FIRSTKEY", b"%d" % cursor, b"%d" % (whole.last_slot + 1)
            )
            if key is not None:
                return bytes(key)
            cursor = after or stop
    return None
