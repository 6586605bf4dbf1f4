"""Keyspace events: the classes of CONFIG notify-keyspace-events, as bits for `view.event`.

https://redis.io/docs/latest/develop/use/keyspace-notifications/
"""

from typing import TypeAlias

Event: TypeAlias = tuple[int, bytes, int, bytes]
"""(class, name, database, key)."""

PUBLISHED = 0
"""The class of a message that a script publishes: (PUBLISHED, message, kind, channel). It waits for the commit like
an event, and goes to everybody whatever the setting."""

KEYSPACE = 1 << 0
KEYEVENT = 1 << 1
GENERIC = 1 << 2
STRING = 1 << 3
LIST = 1 << 4
SET = 1 << 5
HASH = 1 << 6
ZSET = 1 << 7
EXPIRED = 1 << 8
EVICTED = 1 << 9
STREAM = 1 << 10
KEY_MISS = 1 << 11
MODULE = 1 << 13
NEW = 1 << 14
MONITORED = 1 << 15
"""The class of a script's command while somebody MONITORs: (MONITORED, its words as MONITOR shows them, database, b"").
Not for subscribers."""
TRACKED = 1 << 16
"""For client-side caching (server/pubsub/tracking.py): (TRACKED, who changed it or nothing, database, key)."""
FLUSHED = 1 << 17
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
