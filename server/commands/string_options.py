"""The options that SET, GETEX and MSETEX share: conditions, GET, and how long the value lives.

An option belongs to a group of which one may be given: the conditions (NX, XX, IFEQ) and the lifetimes (EX, PX, EXAT,
PXAT, KEEPTTL, PERSIST). Saying the same one twice is allowed and the last argument counts, except for IFEQ.

To add an option: a line in `_GROUPS`, a field in `Options`, and its name in the sets of the commands that have it.
"""

from server.commands.arguments import INT64_MAX, integer
from server.commands.table import Args
from server.errors import INVALID_EXPIRE, SYNTAX, CommandError

_CONDITIONS = frozenset((b"NX", b"XX", b"IFEQ"))
_TIMES = frozenset((b"EX", b"PX", b"EXAT", b"PXAT"))
_LIFETIMES = _TIMES | {b"KEEPTTL", b"PERSIST"}
_WITH_ARGUMENT = _TIMES | {b"IFEQ"}

SET_OPTIONS = _CONDITIONS | _TIMES | {b"KEEPTTL", b"GET"}
GETEX_OPTIONS = _TIMES | {b"PERSIST"}
MSETEX_OPTIONS = _TIMES | {b"KEEPTTL", b"NX", b"XX"}


class Options:
    """What the options of one request say."""

    __slots__ = ("comparison", "condition", "get", "lifetime", "time")

    def __init__(self) -> None:
        self.condition = b""
        """NX, XX, IFEQ, or empty."""
        self.comparison = b""
        """The argument of IFEQ."""
        self.get = False
        self.lifetime = b""
        """EX, PX, EXAT, PXAT, KEEPTTL, PERSIST, or empty."""
        self.time = b""
        """The argument of EX, PX, EXAT, PXAT."""

    def expire_ms(self, now_ms: int, command: bytes) -> int:
        """The Unix time in milliseconds at which the value expires, 0 when no time is given.

        `command`: its name for the error text. Raises CommandError for a time that is no positive integer or too far.
        """
        return expire_ms(self.lifetime, self.time, now_ms, command) if self.lifetime in _TIMES else 0


def parse_options(args: Args, first: int, allowed: frozenset[bytes]) -> Options:
    """Read the options of `args` from index `first` on; raises CommandError(SYNTAX) for what is not `allowed`, for two
    of one group, and for a missing argument."""
    options = Options()
    count = len(args)
    at = first
    while at < count:
        word = args[at].upper()
        if word not in allowed:
            raise CommandError(SYNTAX)
        argument = b""
        if word in _WITH_ARGUMENT:
            at += 1
            if at == count:
                raise CommandError(SYNTAX)
            argument = args[at]
        if word in _LIFETIMES:
            if options.lifetime not in (b"", word):
                raise CommandError(SYNTAX)
            options.lifetime = word
            options.time = argument
        elif word in _CONDITIONS:
            if options.condition and (options.condition != word or word == b"IFEQ"):
                raise CommandError(SYNTAX)
            options.condition = word
            options.comparison = argument
        else:
            options.get = True
        at += 1
    return options


def expire_ms(unit: bytes, text: bytes, now_ms: int, command: bytes) -> int:
    """The Unix time in milliseconds that `text` means as the argument of `unit` (EX, PX, EXAT, PXAT).

    Raises CommandError, naming `command`, when it is not a positive integer or is beyond 64 bits.
    """
    time = integer(text)
    if time > 0:
        if unit in (b"EX", b"EXAT"):
            time *= 1000
        if unit in (b"EX", b"PX"):
            time += now_ms
        if time <= INT64_MAX:
            return time
    raise CommandError(INVALID_EXPIRE % command)
