"""Reading arguments as Redis reads them: strict integers, floats, and their error texts."""

from math import ceil, isinf, isnan

from server.errors import INVALID_DB, NOT_FLOAT, NOT_INTEGER, CommandError
from server.keyspace.meta import DATABASES
from server.types.numbers import INT64_MAX as INT64_MAX
from server.types.numbers import INT64_MIN as INT64_MIN
from server.types.numbers import parse_int64 as parse_int64

INT32_RANGE = b"ERR value is out of range, value must between -2147483648 and 2147483647"
_UNDERSCORE = ord("_")


def integer(text: bytes, error: bytes = NOT_INTEGER) -> int:
    """A signed 64-bit integer; raises CommandError(error)."""
    value = parse_int64(text)
    if value is None:
        raise CommandError(error)
    return value


def bounded_integer(text: bytes, low: int, high: int, error: bytes) -> int:
    """An integer in [low, high]; raises CommandError(error) otherwise."""
    value = integer(text, error)
    if not low <= value <= high:
        raise CommandError(error)
    return value


def floating(text: bytes, error: bytes = NOT_FLOAT) -> float:
    """A double, infinities included; NaN, blanks and numbers too large or too small for one not. Raises
    CommandError(error)."""
    value = _number(text, error)
    if isinf(value) and text.strip(b"+-")[:1] not in (b"i", b"I"):
        raise CommandError(error)
    if value == 0 and text.lower().partition(b"e")[0].strip(b"+-0."):
        raise CommandError(error)
    return value


def timeout_ms(text: bytes, now_ms: int) -> int:
    """How long to block, in seconds, fractions allowed, as milliseconds; 0 waits for ever. Raises CommandError."""
    wanted = _number(text, b"ERR timeout is not a float or out of range") * 1000
    if wanted > INT64_MAX - now_ms:
        raise CommandError(b"ERR timeout is out of range")
    if wanted <= -1 or wanted == float("-inf"):
        raise CommandError(b"ERR timeout is negative")
    return ceil(wanted)


def _number(text: bytes, error: bytes) -> float:
    """The nearest double."""
    try:
        if not text or text[:1].isspace() or text[-1:].isspace() or _UNDERSCORE in text:
            raise ValueError
        value = float(text)
    except ValueError:
        raise CommandError(error) from None
    if isnan(value):
        raise CommandError(error)
    return value


def int32(text: bytes, error: bytes | None = None) -> int:
    """A signed 32-bit integer, as C's int; raises CommandError, with `error` or with what Redis says by
    itself."""
    value = integer(text, error or NOT_INTEGER)
    if not -(2**31) <= value < 2**31:
        raise CommandError(error or INT32_RANGE)
    return value


def database(text: bytes, error: bytes | None = None) -> int:
    """The number of a database that there is. Raises CommandError: `error` (or Redis's own words) when `text`
    is no number, INVALID_DB when there is no such database."""
    number = int32(text, error)
    if not 0 <= number < DATABASES:
        raise CommandError(INVALID_DB)
    return number


def sleep_time_s(text: bytes) -> float:
    """The seconds of DEBUG SLEEP, a day at most; 0 for what is no number: DEBUG takes what it gets."""
    try:
        return min(max(float(text), 0.0), 86400.0)
    except ValueError:
        return 0.0
