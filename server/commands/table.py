"""The command table: what every command is called, takes, touches and does, said once.

COMMAND, CLUSTER routing, ACL categories, MULTI, WATCH and the README's table all read it. To add a command
write one handler, declare it here-style, import its file in `commands/all.py`, and add a conformance case:

    @command("getex", arity=-2, flags=WRITE | FAST, keys=FIRST, since="6.2.0", group="string")
    def getex(view: View, args: Args) -> Reply:
        '''Get the value of a key and optionally set its expiration.'''

The docstring's first line is the summary of COMMAND DOCS. `args` is the whole request, the name included. A
handler raises CommandError for an error reply. The table checks itself at import: a declaration that
contradicts itself never starts a server.

Where a command runs (`where`):

* SHARD: `handler(view, args)` on the leader of the shard group of its keys. All keys must live in one group. A pure
  function of the view.
* SPREAD_KEYS: as SHARD for each group's share of the keys, the replies joined by `join` (SUM, ORDER): DEL, MGET.
* SPREAD_ALL: as SHARD once on every group, replies joined (SUM, FIRST, ORDER as concatenation): DBSIZE, FLUSHALL.
* CLUSTER: `handler(view, args)` as SHARD, on the leader of group 0, which keeps what all nodes share (users,
  functions; see cluster/state.py). The reply leaves when the client's node knows of the change. It has no keys.
* NODE: `handler(context, args)` on the node the client talks to; may be `async def` when it has to wait.
  See commands/context.py.

A name that begins with `_` is internal: one node asks another's group for it (`context.node.call`), clients
can not.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, IntFlag
from typing import Any, Final, TypeAlias

from server.errors import SYNTAX, CommandError, wrong_arity
from server.keyspace.breath import begin_attempt, end_attempt

Args: TypeAlias = list[bytes]
Reply: TypeAlias = Any
"""A plain value or a marker of resp.values."""
Handler: TypeAlias = Callable[[Any, Args], Any]


class Flag(IntFlag):
    """What COMMAND INFO reports and dispatch heeds. Names in lower case are Redis's own."""

    WRITE = 1
    READONLY = 2
    DENYOOM = 4
    ADMIN = 8
    PUBSUB = 16
    NOSCRIPT = 32
    BLOCKING = 64
    LOADING = 128
    STALE = 256
    SKIP_MONITOR = 512
    SKIP_COMMANDLOG = 1024
    FAST = 2048
    NO_AUTH = 4096
    MAY_REPLICATE = 8192
    NO_MULTI = 16384
    MOVABLEKEYS = 32768
    ALLOW_BUSY = 65536
    NO_ASYNC_LOADING = 131072
    ASKING = 262144
    NO_MANDATORY_KEYS = 524288


WRITE, READONLY, DENYOOM, ADMIN, PUBSUB, NOSCRIPT, BLOCKING = (
    Flag.WRITE,
    Flag.READONLY,
    Flag.DENYOOM,
    Flag.ADMIN,
    Flag.PUBSUB,
    Flag.NOSCRIPT,
    Flag.BLOCKING,
)
LOADING, STALE, SKIP_MONITOR, SKIP_COMMANDLOG, FAST, NO_AUTH = (
    Flag.LOADING,
    Flag.STALE,
    Flag.SKIP_MONITOR,
    Flag.SKIP_COMMANDLOG,
    Flag.FAST,
    Flag.NO_AUTH,
)
NO_MULTI, ALLOW_BUSY = Flag.NO_MULTI, Flag.ALLOW_BUSY
NO_FLAGS = Flag(0)


class Where(Enum):
    """Who runs the handler; see the head of this file."""

    SHARD = "shard"
    SPREAD_KEYS = "spread keys"
    SPREAD_ALL = "spread all"
    CLUSTER = "cluster"
    NODE = "node"


REPLICATED = frozenset(("pfcount", "publish", "spublish"))
"""Commands that are no writes, and yet Redis sends them to replicas: read-only scripts may not use them."""
SHARD, SPREAD_KEYS, SPREAD_ALL = Where.SHARD, Where.SPREAD_KEYS, Where.SPREAD_ALL
CLUSTER, NODE = Where.CLUSTER, Where.NODE


class Join(Enum):
    """How the replies of several groups become one."""

    SUM = "sum"
    """Integers, added."""
    ORDER = "order"
    """Arrays: SPREAD_KEYS puts each element where its key stood; SPREAD_ALL concatenates."""
    FIRST = "first"
    """All are alike: the first."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Where the keys stand among the arguments, as in COMMAND INFO, and what happens to them."""

    first: int = 0
    """Index of the first key in the request; 0: no keys."""
    last: int = 0
    """Index of the last; negative counts from the end."""
    step: int = 1
    find: Callable[[Args], list[int]] | None = None
    """For keys that move: the indexes of the keys. Raises CommandError when the request makes no sense."""
    access: str = ""
    """Redis's key-spec flags, blank separated: one of RO RW OW RM, then access update insert delete. Derived
    from WRITE / READONLY when empty. Where the keys of one command differ (RENAME), a specification each,
    with a comma between: then each describes one key, from `first` on. With `count_at` the last describes the
    counted keys."""
    count_at: int = 0
    """With `find`: the index of the number of keys, behind which they stand; 0: not so simple."""
    keyword: tuple[str, int] | None = None
    """For keys that `find` finds behind a word: the word, and the index that it does not stand before. The second half
    of what follows it are no keys."""
    anywhere: tuple[str, ...] = ()
    """Access to keys whose place no specification can tell, one each: SORT's patterns and its STORE."""

    def indexes(self, args: Args) -> Iterable[int]:
        """The indexes of the keys of a request whose arity was checked."""
        if self.find is not None:
            return self.find(args)
        if not self.first:
            return ()
        last = self.last if self.last >= 0 else len(args) + self.last
        return range(self.first, last + 1, self.step)


MANY_ARGUMENTS = 100
"""Fewer, each of them quickly done, are done at once."""
NEVER_LONG = 1 << 62

NO_KEYS = Keys()
FIRST = Keys(1, 1)
ALL = Keys(1, -1)
PAIRS = Keys(1, -1, 2)


def counted_keys(at: int, before: tuple[int, ...] = ()) -> Keys:
    """Keys whose number stands at index `at` (EVAL, LMPOP, ZUNION…); `before`: indexes of fixed keys."""

    def find(args: Args) -> list[int]:
        try:
            count = int(args[at])
        except (ValueError, IndexError):
            raise CommandError(SYNTAX) from None
        if count < 0 or at + count >= len(args):
            raise CommandError(b"ERR Number of keys can't be greater than number of args")
        return [*before, *range(at + 1, at + 1 + count)]

    return Keys(
        before[0] if before else 0, before[-1] if before else 0, 1, find, count_at=0 if before else at
    )


def _only_subcommands(_: Any, args: Args) -> Any:
    """The handler of a container."""
    raise AssertionError(f"{args[0]!r} has only subcommands")


@dataclass(slots=True)
class Command:
    """One row of the table."""

    name: str
    """Lower case; `container|sub` for a subcommand."""
    handler: Handler
    arity: int
    """Number of arguments with the name (for a subcommand with both names); negative: at least that many."""
    flags: Flag
    keys: Keys
    where: Where
    join: Join
    since: str
    group: str
    """Redis's group: string, generic, connection, server, transactions, cluster, bitmap, …"""
    summary: str
    """Empty: the handler's docstring says it (summaries.py)."""
    complexity: str
    categories: frozenset[str]
    """ACL categories without @."""
    subcommands: dict[bytes, "Command"] = field(default_factory=dict)
    error_name: bytes = b""
    """The name as error texts have it."""
    is_write: bool = False
    needs_space: bool = False
    """Refused while the disk is nearly full."""
    is_node: bool = False
    """It is no matter of the data groups: NODE, CLUSTER."""
    in_turn: bool = False
    """It is NODE or CLUSTER, and what it tells or does hangs on what the client has asked before: it is not run before
    all of that is answered. What is about the connection alone need not wait."""
    is_container: bool = False
    """It has only subcommands, and is not run itself."""
    open: bool = True
    """Clients may call it; names that begin with _ are for nodes among themselves."""
    blocks: bool = False
    """It may wait for a key."""
    single_key: bool = False
    """A SHARD command whose only key is its first argument: the hot path."""
    kept: bool = False
    """Its replies are kept while nobody writes the key (keyspace/hot.py): they take a while to make, and hang on
    nothing but the request, the protocol and its only key, of which they tell no more than the head's revision does."""
    no_script: bool = False
    """The flag, at hand."""
    needs_text: bool = False
    """It names a script or function that its group may not know: dispatch/texts.py sees to it first."""
    long_from: int = NEVER_LONG
    """With so many arguments, the name included, it may take long (keyspace/breath.py). It follows from the flags and
    the complexity."""
    attempt: Handler = _only_subcommands
    """The handler, for a slice if it may take long; see keyspace/breath.py."""
    calls: int = 0
    """Statistics of this node, for INFO commandstats."""
    failed_calls: int = 0
    rejected_calls: int = 0
    elapsed_ns: int = 0
    """Nanoseconds that its calls kept the loop."""
    buckets: list[int] = field(default_factory=lambda: [0] * 64)
    """Bucket n: calls that took from 2**(n-1) up to 2**n microseconds; 0: less than one."""

    def count(self, elapsed_ns: int) -> None:
        """It was called and kept the loop for so long. (The hot path has the same lines in itself.)"""
        self.calls += 1
        self.elapsed_ns += elapsed_ns
        self.buckets[(elapsed_ns // 1000).bit_length()] += 1

    def forget_statistics(self) -> None:
        """CONFIG RESETSTAT."""
        self.calls = self.failed_calls = self.rejected_calls = self.elapsed_ns = 0
        self.buckets = [0] * len(self.buckets)

    @property
    def usec(self) -> float:
        """Microseconds that its calls kept the loop."""
        return self.elapsed_ns / 1000

    def check_arity(self, args: Args) -> None:
        """Raises the arity error."""
        count = len(args)
        if (self.arity > 0 and count != self.arity) or count < -self.arity:
            raise wrong_arity(self.error_name)


_ABOUT_ITSELF = frozenset(("connection", "transactions"))
"""Groups of commands that change or tell of their own connection."""

COMMANDS: Final[dict[bytes, Command]] = {}
"""Lower-case name to command."""
PLAIN: Final[dict[bytes, Command]] = {}
"""Commands that clients may call and that have no subcommands, under the two spellings that they use."""

_GROUP_CATEGORIES = {
    "generic": "keyspace",
    "string": "string",
    "bitmap": "bitmap",
    "list": "list",
    "set": "set",
    "sorted-set": "sortedset",
    "hash": "hash",
    "hyperloglog": "hyperloglog",
    "geo": "geo",
    "stream": "stream",
    "transactions": "transaction",
    "connection": "connection",
    "scripting": "scripting",
}


def _categories(flags: Flag, group: str, extra: str) -> frozenset[str]:
    """The ACL categories that follow from the flags, as in Redis (setImplicitACLCategories), and `extra`, where
    `-keyspace` takes out what follows from the group."""
    found = set(extra.split())
    if group in _GROUP_CATEGORIES:
        found.add(_GROUP_CATEGORIES[group])
    if flags & WRITE:
        found.add("write")
    if flags & READONLY and group not in ("scripting",):
        found.add("read")
    if flags & ADMIN:
        found |= {"admin", "dangerous"}
    if flags & PUBSUB:
        found.add("pubsub")
    if flags & BLOCKING:
        found.add("blocking")
    found.add("fast" if flags & FAST else "slow")
    return frozenset(found - {"keyspace"} if "-keyspace" in found else found) - {"-keyspace"}


def command(
    name: str,
    *,
    arity: int,
    flags: Flag = NO_FLAGS,
    keys: Keys = NO_KEYS,
    where: Where = SHARD,
    join: Join = Join.FIRST,
    since: str = "1.0.0",
    group: str,
    complexity: str = "O(1)",
    categories: str = "",
    summary: str = "",
    writes: bool = False,
    needs_text: bool = False,
    kept: bool = False,
    long: bool = False,
) -> Callable[[Handler], Handler]:
    """Declare a command; see the head of this file. A name `container|sub` declares a subcommand. `summary`: of a
    handler that has no docstring. `writes`: it may, though Redis does not flag it so (EVAL). `needs_text`, `kept`: see
    Command. `long`: it may take long here, whatever its flags and its complexity say.

    Raises AssertionError at import when the declaration contradicts itself.
    """

    def declare(handler: Handler) -> Handler:
        row = _add(
            name,
            handler,
            arity,
            flags,
            keys,
            where,
            join,
            since,
            group,
            complexity,
            categories,
            summary,
            writes,
            long,
        )
        row.needs_text = needs_text
        row.kept = kept
        assert not kept or (row.single_key and flags & READONLY), name
        return handler

    return declare


def container(
    name: str,
    *,
    since: str = "1.0.0",
    group: str,
    arity: int = -2,
    flags: Flag = NO_FLAGS,
    categories: str = "",
    summary: str,
) -> None:
    """Declare a command that only has subcommands, before them."""
    _add(
        name,
        _only_subcommands,
        arity,
        flags,
        NO_KEYS,
        NODE,
        Join.FIRST,
        since,
        group,
        "Depends on subcommand.",
        categories,
        summary,
    )


def _add(
    name: str,
    handler: Handler,
    arity: int,
    flags: Flag,
    keys: Keys,
    where: Where,
    join: Join,
    since: str,
    group: str,
    complexity: str,
    categories: str,
    summary: str,
    writes: bool = False,
    long: bool = False,
) -> Command:
    assert name == name.lower(), name
    assert arity != 0, name
    assert not (flags & WRITE and flags & READONLY), name
    assert where is not SPREAD_KEYS or keys is not NO_KEYS, name
    assert where is not SPREAD_ALL or keys is NO_KEYS, name
    assert where is not SHARD or keys is not NO_KEYS or name.startswith("_"), name
    assert where is not CLUSTER or keys is NO_KEYS, name
    assert where in (NODE, CLUSTER) or writes or flags & (WRITE | READONLY), name
    if keys.find is not None:
        flags |= Flag.MOVABLEKEYS
    is_container = handler is _only_subcommands
    row = Command(
        name=name,
        handler=handler,
        arity=arity,
        flags=flags,
        keys=keys,
        where=where,
        join=join,
        since=since,
        group=group,
        summary=summary,
        complexity=complexity,
        categories=_categories(flags, group if not is_container else "", categories),
        error_name=name.encode(),
        is_write=writes or bool(flags & WRITE) or where is CLUSTER,
        needs_space=bool(flags & DENYOOM),
        is_node=where in (NODE, CLUSTER),
        in_turn=where in (NODE, CLUSTER) and (group not in _ABOUT_ITSELF or bool(flags & BLOCKING)),
        is_container=is_container,
        open=not name.startswith("_"),
        blocks=bool(flags & BLOCKING) and where is SHARD,
        no_script=bool(flags & NOSCRIPT),
        single_key=where is SHARD and keys.find is None and keys.first == keys.last == 1,
    )
    row.long_from = 0 if long else _long_from(row)
    row.attempt = handler if row.long_from == NEVER_LONG else _attempted(handler, row.long_from)
    parent, _, sub = name.partition("|")
    table = COMMANDS[parent.encode()].subcommands if sub else COMMANDS
    key = (sub or parent).encode()
    assert key not in table, f"{name} is declared twice"
    table[key] = row
    if sub:
        for spelling in (parent.encode(), parent.upper().encode()):
            PLAIN.pop(spelling, None)
    elif not is_container and row.open:
        PLAIN[key] = PLAIN[key.upper()] = row
    return row


def every_command() -> Iterator[Command]:
    """All rows, those of subcommands too."""
    for row in COMMANDS.values():
        yield row
        yield from row.subcommands.values()


def _attempted(handler: Handler, long_from: int) -> Handler:
    def attempt(view: Any, args: Args) -> Any:
        if len(args) < long_from:
            return handler(view, args)
        begin_attempt()
        try:
            return handler(view, args)
        finally:
            end_attempt()

    return attempt


def _long_from(row: Command) -> int:
    """What the declaration says of the time that a command may take."""
    if row.is_node:
        return NEVER_LONG
    words = row.complexity
    counts = any(word in words for word in ("returned", "popped", "evicted", "passed count", "COUNT"))
    if row.flags & FAST and not counts:
        return MANY_ARGUMENTS if row.arity < 0 else NEVER_LONG
    if row.flags & FAST and row.arity == -2:
        return 3  # it takes one when no count is given
    if words == "O(1)" and row.open:
        return NEVER_LONG
    return MANY_ARGUMENTS if "number of keys" in words or "number of provided keys" in words else 0


def lookup(args: Args) -> Command | None:
    """The command (or subcommand) that a request names, or None. Names are case-insensitive.

    For a container with an unknown subcommand the container itself is returned.
    """
    row = COMMANDS.get(args[0].lower())
    if row is None:
        return None
    if row.subcommands and len(args) > 1:
        return row.subcommands.get(args[1].lower(), row)
    return row
