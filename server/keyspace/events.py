"""Keyspace events: the classes of CONFIG notify-keyspace-events, as bits for `view.event`.

https://redis.io/docs/latest/develop/use/keyspace-notifications/
"""

from typing import Final, TypeAlias

Event: TypeAlias = tuple[int, bytes, int, bytes]
"""(class, name, database, key)."""

PUBLISHED: Final = 0
"""The class of a message that a script publishes: (PUBLISHED, message, kind, channel). It waits for the commit like
an event, and goes to everybody whatever the setting."""

KEYSPACE: Final = 1 << 0
KEYEVENT: Final = 1 << 1
GENERIC: Final = 1 << 2
STRING: Final = 1 << 3
LIST: Final = 1 << 4
SET: Final = 1 << 5
HASH: Final = 1 << 6
ZSET: Final = 1 << 7
EXPIRED: Final = 1 << 8
EVICTED: Final = 1 << 9
STREAM: Final = 1 << 10
KEY_MISS: Final = 1 << 11
MODULE: Final = 1 << 13
NEW: Final = 1 << 14
MONITORED: Final = 1 << 15
"""The class of a script's command while somebody MONITORs: (MONITORED, its words as MONITOR shows them, database, b"").
Not for subscribers."""
TRACKED: Final = 1 << 16
"""For client-side caching (server/pubsub/tracking.py): (TRACKED, who changed it or nothing, database, key)."""
FLUSHED: Final = 1 << 17
"""The same: everything may have changed. (FLUSHED, …, …, …)."""

LETTERS = {
    "K": KEYSPACE,
    "E": KEYEVENT,
    "g": GENERIC,
    "$": STRING,
    "l": LIST,
    "s": SET,
    "h": HASH,
    "z": ZSET,
    "x": EXPIRED,
    "e": EVICTED,
    "t": STREAM,
    "m": KEY_MISS,
    "d": MODULE,
    "n": NEW,
}
ALL = GENERIC | STRING | LIST | SET | HASH | ZSET | EXPIRED | EVICTED | STREAM | MODULE
"""The letter A."""
