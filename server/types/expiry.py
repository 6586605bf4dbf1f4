"""When keys end: setting, reading and taking away a key's expiry. Times are Unix times in milliseconds."""

from enum import IntFlag

from server.keyspace import events
from server.keyspace.view import View

NO_KEY = -2
NO_EXPIRY = -1


class Condition(IntFlag):
    """What must hold of the old expiry for a new one to be set. A key without one ends later than any
    other."""

    ALWAYS = 0
    NX = 1
    """There is none."""
    XX = 2
    """There is one."""
    GT = 4
    """The new one is later."""
    LT = 8
    """The new one is earlier."""


def holds(condition: Condition, old_ms: int, new_ms: int) -> bool:
    """Whether an expiry of `old_ms` (0: none) may become `new_ms` (any integer)."""
    return not (
        (condition & Condition.NX and old_ms)
        or (condition & Condition.XX and not old_ms)
        or (condition & Condition.GT and (not old_ms or new_ms <= old_ms))
        or (condition & Condition.LT and old_ms and new_ms >= old_ms)
    )


def set_expiry(view: View, key: bytes, expire_ms: int, condition: Condition) -> bool:
    """Let `key` end at `expire_ms`, at once if that is not in the future. Whether the key is there and
    `condition` held."""
    head = view.head(key)
    if head is None or not holds(condition, head.expire_ms, expire_ms):
        return False
    if expire_ms <= view.now_ms:
        view.delete(key)
        view.event(events.EXPIRED, b"expired", key)
    else:
        view.put_head(key, head._replace(expire_ms=expire_ms))
        view.event(events.GENERIC, b"expire", key)
    return True


def remove_expiry(view: View, key: bytes) -> bool:
    """Let `key` stay for ever. Whether it is there and had an expiry."""
    head = view.head(key)
    if head is None or not head.expire_ms:
        return False
    view.put_head(key, head._replace(expire_ms=0))
    view.event(events.GENERIC, b"persist", key)
    return True


def expiry(view: View, key: bytes) -> int:
    """When `key` ends; NO_KEY, or NO_EXPIRY."""
    head = view.head(key, quiet=True)
    if head is None:
        return NO_KEY
    return head.expire_ms or NO_EXPIRY
