"""May this user run this command with these arguments?

Of each selector, in this order: the databases that the command is about, the command, the keys by what happens to
them, the channels. The first selector that has nothing against it decides; if all have, the gravest reason is told, of
two equal ones that about the later argument, as in Redis.

What a command does to its keys stands in the table (`Keys.access`, read by commands/key_access.py). A command about
channels or about other databases than the present one has a line below.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from server.access.rules import READ, WRITE, Selector, User
from server.commands.arguments import parse_int64
from server.commands.key_access import key_access
from server.commands.table import Args, Command, Flag
from server.keyspace.meta import DATABASES


class Reason(IntEnum):
    """What is not allowed, the gravest last."""

    DATABASE = 1
    COMMAND = 2
    KEY = 3
    CHANNEL = 4


class Denial(NamedTuple):
    """Why not."""

    reason: Reason
    at: int
    """Index of the argument; 0: the command itself."""
    object: bytes
    """The command's name, the key, the channel or the database."""

    def message(self, user: User) -> bytes:
        """For the client, without the code word."""
        if self.reason is Reason.COMMAND:
            return b"User %b has no permissions to run the '%b' command" % (user.name, self.object)
        return b"No permissions to access " + _ACCESS[self.reason]

    def detail(self, user: User, args: Args) -> bytes:
        """For whoever asks about another user and the request `args` (ACL DRYRUN)."""
        if self.reason is Reason.COMMAND:
            return self.message(user)
        text = b"User %b has no permissions to access " % user.name
        if self.reason is Reason.DATABASE:
            return text + b"database " + args[self.at]
        return text + b"the '%b' %b" % (self.object, b"key" if self.reason is Reason.KEY else b"channel")


_ACCESS = {Reason.KEY: b"a key", Reason.CHANNEL: b"a channel", Reason.DATABASE: b"database"}
_CHANNELS: dict[str, tuple[int | None, bool]] = {
    "publish": (2, False),
    "spublish": (2, False),
    "subscribe": (None, False),
    "ssubscribe": (None, False),
    "psubscribe": (None, True),
}
"""Where the channels end that stand from the first argument on, and whether they are patterns."""


def _copy_database(args: Args) -> list[int]:
    return [at + 1 for at in range(3, len(args) - 1) if args[at].lower() == b"db"][:1]


_DATABASES: dict[str, Callable[[Args], list[int]]] = {
    "select": lambda args: [1],
    "move": lambda args: [2],
    "swapdb": lambda args: [1, 2],
    "copy": _copy_database,
}
"""The indexes of databases among the arguments."""
_NOT_THIS_DATABASE = frozenset(("select", "swapdb"))
"""Commands that do nothing to the present database."""
_ALL_DATABASES = frozenset(
    ("flushall", "clusterscan", "cluster|migrateslots", "cluster|cancelslotmigrations")
)


def check(user: User, row: Command, args: Args, db: int) -> Denial | None:
    """Why `user` may not run the command on database `db`, None when it may."""
    worst: Denial | None = None
    keys: list[tuple[int, int]] | None = None
    for selector in user.selectors:
        if keys is None and not selector.all_keys:
            keys = _needs(row, args)
        denial = _check_selector(selector, row, args, db, keys or [])
        if denial is None:
            return None
        if worst is None or denial[:2] > worst[:2]:
            worst = denial
    return worst


def _check_selector(
    selector: Selector, row: Command, args: Args, db: int, keys: list[tuple[int, int]]
) -> Denial | None:
    if selector.databases is not None:
        at = _denied_database(selector, row, args, db)
        if at is not None:
            return Denial(Reason.DATABASE, at, args[at] if at else row.name.partition("|")[0].encode())
    if not row.flags & Flag.NO_AUTH and not selector.allows_command(row, args):
        return Denial(Reason.COMMAND, 0, row.name.encode())
    if not selector.all_keys:
        for at, needs in keys:
            if not selector.allows_key(args[at], needs):
                return Denial(Reason.KEY, at, args[at])
    if not selector.all_channels and row.name in _CHANNELS:
        stop, patterns = _CHANNELS[row.name]
        for at in range(1, len(args) if stop is None else stop):
            if not selector.allows_channel(args[at], patterns):
                return Denial(Reason.CHANNEL, at, args[at])
    return None


def _needs(row: Command, args: Args) -> list[tuple[int, int]]:
    """(index, READ | WRITE) of each key."""
    return [
        (at, (READ if "access" in flags else 0) | (WRITE if flags & _WRITES else 0))
        for at, flags in key_access(row, args)
        if "not_key" not in flags
    ]


_WRITES = frozenset(("insert", "delete", "update"))


def _denied_database(selector: Selector, row: Command, args: Args, db: int) -> int | None:
    """The index of the database that may not be used, 0: the present one, or all; None: none."""
    if row.name in _ALL_DATABASES:
        return 0
    find = _DATABASES.get(row.name)
    others = {at: parse_int64(args[at]) for at in find(args)} if find is not None else {}
    # If one is none, the handler says so.
    if all(other is not None and 0 <= other < DATABASES for other in others.values()):
        for at, other in others.items():
            if not selector.allows_database(other or 0):
                return at
    if selector.allows_database(db) or row.name in _NOT_THIS_DATABASE or row.keys.access == "not_key":
        return None
    keys = row.keys.first or row.keys.find is not None
    return 0 if keys or row.flags & (Flag.WRITE | Flag.READONLY) or "keyspace" in row.categories else None


def check_sort(user: User, row: Command, args: Args, db: int) -> bytes | None:
    """Why `user` may not SORT by or get what other keys hold, as an error's text; None when it may. Such keys can be
    any, so that all must be readable for somebody who may run the command."""
    if row.name not in ("sort", "sort_ro") or any(
        selector.reads_all_keys and _check_selector(selector, row, args, db, _needs(row, args)) is None
        for selector in user.selectors
    ):
        return None
    at = 2
    while at < len(args):
        word = args[at].lower()
        left = len(args) - at - 1
        if word == b"limit" and left >= 2:
            if parse_int64(args[at + 1]) is None or parse_int64(args[at + 2]) is None:
                return None  # the handler says so
            at += 2
        elif word == b"store" and left >= 1:
            at += 1
        elif word in (b"by", b"get") and left >= 1:
            at += 1
            if word == b"get" or b"*" in args[at]:
                return b"ERR %b option of SORT denied due to insufficient ACL permissions." % word.upper()
        at += 1
    return None


EXEC_TEXT = (
    b"NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. "
    b"This command is no longer allowed for the following reason: "
)
EXEC_REASONS = {
    Reason.COMMAND: b"no permission to execute the command or subcommand",
    Reason.KEY: b"no permission to touch the specified keys",
    Reason.CHANNEL: b"no permission to access one of the channels used as arguments",
    Reason.DATABASE: b"no permission",
}
