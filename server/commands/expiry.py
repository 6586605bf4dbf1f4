"""Commands on when keys end: the EXPIRE and TTL families, PERSIST."""

from server.commands.arguments import INT64_MAX, integer
from server.commands.table import FAST, READONLY, WRITE, Args, Keys, Reply, command
from server.errors import INVALID_EXPIRE, CommandError
from server.keyspace.view import View
from server.types.expiry import Condition, expiry, remove_expiry, set_expiry

_SECONDS_MAX = INT64_MAX // 1000
_CONDITIONS = {b"nx": Condition.NX, b"xx": Condition.XX, b"gt": Condition.GT, b"lt": Condition.LT}
_UPDATE = Keys(1, 1, access="RW update")
_ACCESS = Keys(1, 1, access="RO access")


def parse_condition(options: Args) -> Condition:
    """What NX, XX, GT and LT among `options` say together. Raises CommandError for other words, and for those that
    contradict each other."""
    condition = Condition.ALWAYS
    for option in options:
        one = _CONDITIONS.get(option.lower())
        if one is None:
            raise CommandError(b"ERR Unsupported option " + option.split(b"\0")[0])
        condition |= one
    if condition & Condition.NX and condition != Condition.NX:
        raise CommandError(b"ERR NX and XX, GT or LT options at the same time are not compatible")
    if condition & Condition.GT and condition & Condition.LT:
        raise CommandError(b"ERR GT and LT options at the same time are not compatible")
    return condition


def _expire(view: View, args: Args, base_ms: int, unit_ms: int, name: bytes) -> int:
    """`base_ms`: what the argument counts from; `unit_ms`: what it counts; `name`: for the error text."""
    condition = parse_condition(args[3:])
    amount = integer(args[2])
    if unit_ms > 1 and not -_SECONDS_MAX <= amount <= _SECONDS_MAX:
        raise CommandError(INVALID_EXPIRE % name)
    expire_ms = amount * unit_ms + base_ms
    if expire_ms > INT64_MAX:
        raise CommandError(INVALID_EXPIRE % name)
    return int(set_expiry(view, args[1], expire_ms, condition))


@command("expire", arity=-3, flags=WRITE | FAST, keys=_UPDATE, group="generic")
def expire(view: View, args: Args) -> Reply:
    """Sets the expiration time of a key in seconds."""
    return _expire(view, args, view.now_ms, 1000, b"expire")


@command("pexpire", arity=-3, flags=WRITE | FAST, keys=_UPDATE, since="2.6.0", group="generic")
def pexpire(view: View, args: Args) -> Reply:
    """Sets the expiration time of a key in milliseconds."""
    return _expire(view, args, view.now_ms, 1, b"pexpire")


@command("expireat", arity=-3, flags=WRITE | FAST, keys=_UPDATE, since="1.2.0", group="generic")
def expireat(view: View, args: Args) -> Reply:
    """Sets the expiration time of a key to a Unix timestamp."""
    return _expire(view, args, 0, 1000, b"expireat")


@command("pexpireat", arity=-3, flags=WRITE | FAST, keys=_UPDATE, since="2.6.0", group="generic")
def pexpireat(view: View, args: Args) -> Reply:
    """Sets the expiration time of a key to a Unix milliseconds timestamp."""
    return _expire(view, args, 0, 1, b"pexpireat")


def seconds(time_ms: int) -> int:
    """A time, or how long, rounded to the nearest second; what is negative stays: it says why there is none."""
    return time_ms if time_ms < 0 else (time_ms + 500) // 1000


def _time_left_ms(view: View, key: bytes) -> int:
    at_ms = expiry(view, key)
    return at_ms if at_ms < 0 else at_ms - view.now_ms


@command("ttl", arity=2, flags=READONLY | FAST, keys=_ACCESS, group="generic")
def ttl(view: View, args: Args) -> Reply:
    """Returns the expiration time in seconds of a key."""
    return seconds(_time_left_ms(view, args[1]))


@command("pttl", arity=2, flags=READONLY | FAST, keys=_ACCESS, since="2.6.0", group="generic")
def pttl(view: View, args: Args) -> Reply:
    """Returns the expiration time in milliseconds of a key."""
    return _time_left_ms(view, args[1])


@command("expiretime", arity=2, flags=READONLY | FAST, keys=_ACCESS, since="7.0.0", group="generic")
def expiretime(view: View, args: Args) -> Reply:
    """Returns the expiration time of a key as a Unix timestamp."""
    return seconds(expiry(view, args[1]))


@command("pexpiretime", arity=2, flags=READONLY | FAST, keys=_ACCESS, since="7.0.0", group="generic")
def pexpiretime(view: View, args: Args) -> Reply:
    """Returns the expiration time of a key as a Unix milliseconds timestamp."""
    return expiry(view, args[1])


@command("persist", arity=2, flags=WRITE | FAST, keys=_UPDATE, since="2.2.0", group="generic")
def persist(view: View, args: Args) -> Reply:
    """Removes the expiration time of a key."""
    return int(remove_expiry(view, args[1]))
