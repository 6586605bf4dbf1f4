"""The filters of CLIENT LIST and CLIENT KILL: which clients are meant.

Every filter of Valkey 9 is known, most also as NOT-…; a client must pass all that are given. To add one: a line in
`_PARSERS` (its argument, and the name that it was given by, to a test of a session).
"""

from collections.abc import Callable
from time import time
from typing import TypeAlias

from server.commands.arguments import integer, parse_int64
from server.commands.context import Context
from server.errors import SYNTAX, CommandError
from server.keyspace.meta import DATABASES
from server.session import Session

Test: TypeAlias = Callable[[Session], bool]

FLAG_LETTERS = frozenset("AbBcdeEiIMNOPrRStTuUx")
"""All that CLIENT LIST may show in `flags`."""
_TYPES = {
    b"normal": "normal",
    b"slave": "replica",
    b"replica": "replica",
    b"master": "primary",
    b"primary": "primary",
    b"pubsub": "pubsub",
}


def client_flags(session: Session) -> str:
    """The letters of `flags` in CLIENT LIST."""
    letters = [
        letter
        for letter, holds in (
            ("O", session.monitoring),
            ("P", session.subscriptions is not None),
            ("x", session.queue is not None),
            ("b", session.blocked is not None or session.paused),
            ("t", session.tracking is not None),
            ("R", session.tracking is not None and session.tracking.broken),
            ("B", session.tracking is not None and session.tracking.bcast),
            ("d", session.queue_broken),
            ("r", session.readonly),
            ("e", session.no_evict),
            ("T", session.no_touch),
        )
        if holds
    ]
    return "".join(letters) or "N"


def _text(read: Callable[[Session], bytes]) -> Callable[[bytes, bytes], Test]:
    return lambda wanted, _: lambda session: read(session) == wanted


def _type(word: bytes, _: bytes) -> Test:
    kind = _TYPES.get(word.lower())
    if kind is None:
        raise CommandError(b"ERR Unknown client type '%b'" % word)
    return lambda session: kind == ("normal" if session.subscriptions is None else "pubsub")


def _user(word: bytes, _: bytes) -> Test:
    return lambda session: session.user == word


def _at_least(name: bytes, word: bytes) -> int:
    seconds = integer(word, b"ERR %b is not an integer or out of range" % name)
    if seconds <= 0:
        raise CommandError(b"ERR %b should be greater than 0" % name)
    return seconds


def _max_age(word: bytes, _: bytes) -> Test:
    seconds = _at_least(b"maxage", word)
    return lambda session: int(time() - session.connected_at_s) >= seconds


def _idle(word: bytes, _: bytes) -> Test:
    seconds = _at_least(b"idle", word)
    return lambda session: int(time() - session.last_active_s) >= seconds


def _letters(word: bytes, known: frozenset[str], what: bytes, name: bytes) -> set[str]:
    """The letters of `word`, the argument of the filter `name`. Raises CommandError for one that is not `known`."""
    wanted = set(word.decode("latin-1"))
    if not wanted <= known:
        where = name if name.startswith(b"NOT-") else b"provided"
        raise CommandError(b"ERR Unknown %b found in the %b filter: %b" % (what, where, word))
    return wanted


def _flags(word: bytes, name: bytes) -> Test:
    wanted = _letters(word, FLAG_LETTERS, b"flags", name)
    return lambda session: wanted <= set(client_flags(session))


def _database(word: bytes, name: bytes) -> Test:
    database = integer(word, b"ERR %b is not an integer or out of range" % name)
    if not 0 <= database < DATABASES:
        raise CommandError(b"ERR %b number should be between 0 and %d" % (name, DATABASES - 1))
    return lambda session: session.db == database


def _capabilities(word: bytes, name: bytes) -> Test:
    wanted = _letters(word, frozenset("r"), b"capa", name)
    return lambda session: wanted <= set(session.capabilities)


_PARSERS: dict[bytes, Callable[[bytes, bytes], Test]] = {
    b"addr": _text(lambda session: session.address.encode()),
    b"laddr": _text(lambda session: session.local_address.encode()),
    b"type": _type,
    b"user": _user,
    b"maxage": _max_age,
    b"idle": _idle,
    b"flags": _flags,
    b"name": _text(lambda session: session.name),
    b"lib-name": _text(lambda session: session.library_name),
    b"lib-ver": _text(lambda session: session.library_version),
    b"db": _database,
    b"capa": _capabilities,
    b"ip": _text(lambda session: session.address.rpartition(":")[0].encode()),
}


_ONLY_SO = (b"maxage", b"idle")
"""There is no NOT-… of these."""


def _one_of(identities: set[int]) -> Test:
    return lambda session: session.id in identities


def _negated(test: Test) -> Test:
    return lambda session: not test(session)


def _identities(args: list[bytes], at: int) -> tuple[set[int], int]:
    """The client ids from `at` on, and the index behind them."""
    found: set[int] = set()
    while at < len(args):
        number = parse_int64(args[at])
        if number is None:
            break
        if number <= 0:
            raise CommandError(b"ERR client-id should be greater than 0")
        found.add(number)
        at += 1
    if not found:
        raise CommandError(SYNTAX)
    return found, at


def select_clients(context: Context, args: list[bytes], skip_me: bool) -> list[Session]:
    """The clients, by growing id, that pass the filters in `args` (which start at index 2). `skip_me`: whether the
    client that asks is left out unless SKIPME says otherwise. Raises CommandError with Valkey's texts."""
    tests: list[Test] = []
    at = 2
    while at < len(args):
        name = args[at].lower()
        negate = name.startswith(b"not-")
        base = name.removeprefix(b"not-")
        if base == b"id":
            identities, at = _identities(args, at + 1)
            test = _one_of(identities)
        elif at + 1 == len(args):
            raise CommandError(SYNTAX)
        elif name == b"skipme":
            word = args[at + 1].lower()
            if word not in (b"yes", b"no"):
                raise CommandError(SYNTAX)
            skip_me = word == b"yes"
            at += 2
            continue
        elif base in _PARSERS and not (negate and base in _ONLY_SO):
            if base == b"user" and context.node.users.get(args[at + 1]) is None:
                raise CommandError(b"ERR No such user '%b'" % args[at + 1])
            test = _PARSERS[base](args[at + 1], name.upper())
            at += 2
        else:
            raise CommandError(SYNTAX)
        tests.append(_negated(test) if negate else test)
    return [
        session
        for _, session in sorted(context.node.sessions.items())
        if not (skip_me and session is context.session) and all(test(session) for test in tests)
    ]
