"""What can be done with a key whatever its type: renaming, copying, paging through all of them.

Paging goes in the order in which heads lie, (slot, crc32 of the key, key). A cursor is `slot << 32 | crc32`
of the first key that was not seen yet: it means the same on every node and needs no state. For that a page
never ends between keys of one slot and crc32. A key that is there from the first page to the last is returned
exactly once.
"""

from typing import NamedTuple

from server.keyspace import events
from server.keyspace.layout import (
    ELEMENTS_EXPIRE,
    HASH,
    HASH_BITS,
    LIST,
    SET,
    SPREAD,
    STREAM,
    STRING,
    ZSET,
    Head,
)
from server.keyspace.view import View
from server.types import hashes, lists, sets, zsets
from server.types.glob import EVERY_KEY, compile_glob
from server.types.numbers import parse_int64
from server.types.strings import PLAIN, RAW

HASH_MASK = (1 << HASH_BITS) - 1

ENCODING_NAMES = {
    HASH: hashes.ENCODING_NAMES,
    LIST: lists.ENCODING_NAMES,
    SET: sets.ENCODING_NAMES,
    ZSET: zsets.ENCODING_NAMES,
    STREAM: (b"stream",),
}
"""What a head's encoding is called, by type, where that is all that OBJECT ENCODING needs."""

PAGE_BYTES_MAX = 4 << 20
"""A page ends when it has read so much, however few keys that were: a bound on one turn of the loop."""

_DEAD_KEYS_MAX = 1000
"""How many keys past their time RANDOMKEY steps over in one turn."""

_EMBEDDED_BYTES_MAX = 128
"""Valkey 9 keeps header, key and value in one allocation up to this size."""
_OBJECT_BYTES = 14
"""Its object's header, and what stands around two strings."""
_SHORT_KEY_BYTES_MAX = 31


def rename(view: View, source: bytes, target: bytes) -> None:
    """Move `source`, which is there, over `target`, another name; its expiry goes with it."""
    head = view.head(source)
    assert head is not None
    if view.exists(target):
        view.event(events.NEW, b"new", target)  # the one before it is deleted without a word
    view.put_head(target, head)
    view.delete(source, keep_elements=True)
    view.event(events.GENERIC, b"rename_from", source)
    view.event(events.GENERIC, b"rename_to", target)


def copy(view: View, source: bytes, target: bytes, db: int, replace: bool) -> bool:
    """Copy `source`, expiry included, to `target` in database `db`. False when it is not there, or when
    `target` is and `replace` is not set."""
    head = view.head(source)
    if head is None or not _put_in(view, db, target, head, replace, clone=True):
        return False
    _tell(view, db, b"copy_to", target)
    return True


def _put_in(view: View, db: int, key: bytes, head: Head, replace: bool, clone: bool) -> bool:
    """Write `head` to `key` of database `db`; `clone`: with elements of its own. False: it is taken."""
    home = view.db
    view.select(db)
    try:
        existed = view.exists(key)
        if existed and not replace:
            return False
        view.put_head(key, view.clone(head) if clone else head)
        if existed:
            view.event(events.NEW, b"new", key)  # the one before it is deleted without a word
        return True
    finally:
        view.select(home)


def move(view: View, key: bytes, db: int) -> bool:
    """Move `key` to database `db`, another one. False when it is not here or already there."""
    head = view.head(key)
    if head is None or not _put_in(view, db, key, head, replace=False, clone=False):
        return False
    view.delete(key, keep_elements=True)
    view.event(events.GENERIC, b"move_from", key)
    _tell(view, db, b"move_to", key)
    return True


def _tell(view: View, db: int, event: bytes, key: bytes) -> None:
    """`event` happened to `key` of database `db`."""
    home = view.db
    view.select(db)
    view.event(events.GENERIC, event, key)
    view.select(home)


class Page(NamedTuple):
    """Part of a walk over all keys."""

    cursor: int
    """Where to go on; 0: the walk's end was reached."""
    seen: int
    """How many keys were looked at."""
    keys: list[bytes]
    """Those of them that were asked for."""


def scan_page(view: View, cursor: int, stop_slot: int, count: int, pattern: bytes, type_: int | None) -> Page:
    """Look at about `count` (1 or more) keys from `cursor` up to slot `stop_slot`, and take those that match
    `pattern` and are of `type_` (None: any). Raises CommandError for a pattern that is too
    long."""
    matches = None if pattern == EVERY_KEY else compile_glob(pattern)
    found: list[bytes] = []
    seen = size_bytes = 0
    last_slot = last_crc = -1
    for slot, crc, key, record in view.scan_keys(cursor >> HASH_BITS, cursor & HASH_MASK, stop_slot):
        if (seen >= count or size_bytes >= PAGE_BYTES_MAX) and (slot != last_slot or crc != last_crc):
            return Page(slot << HASH_BITS | crc, seen, found)
        seen += 1
        last_slot, last_crc = slot, crc
        if record is not None:
            size_bytes += len(record)
            if (type_ is None or record[0] == type_) and (matches is None or matches(key)):
                found.append(key)
    return Page(0, seen, found)


def first_key(view: View, cursor: int, stop_slot: int) -> tuple[int, bytes | None]:
    """The first key from `cursor` on, and None when there is none up to `stop_slot` (cursor 0) or none among
    as many dead ones as one turn may look at (then the cursor to go on from)."""
    for seen, (slot, crc, key, record) in enumerate(
        view.scan_keys(cursor >> HASH_BITS, cursor & HASH_MASK, stop_slot)
    ):
        position = slot << HASH_BITS | crc
        if record is not None:
            return position, key
        if seen >= _DEAD_KEYS_MAX and position > cursor:
            return position, None
    return 0, None


def slot_keys(view: View, slot: int, count: int) -> list[bytes]:
    """Up to `count` keys of `slot`."""
    keys: list[bytes] = []
    if count > 0:
        for _, _, key, record in view.scan_keys(slot, 0, slot + 1):
            if record is not None:
                keys.append(key)
                if len(keys) >= count:
                    break
    return keys


def count_slot(view: View, slot: int) -> int:
    """How many keys `slot` holds."""
    return sum(record is not None for _, _, _, record in view.scan_keys(slot, 0, slot + 1))


def encoding_name(key: bytes, head: Head) -> bytes:
    """What OBJECT ENCODING says: how Valkey would hold the value in memory, were it newly set."""
    if head.type != STRING:
        return ENCODING_NAMES[head.type][head.encoding & ~(SPREAD | ELEMENTS_EXPIRE)]
    if head.encoding == RAW:
        return b"raw"
    if head.encoding == PLAIN and parse_int64(head.payload) is not None:
        return b"int"
    key_header_bytes = 1 if len(key) <= _SHORT_KEY_BYTES_MAX else 3
    embedded_bytes = _OBJECT_BYTES + key_header_bytes + len(key) + len(head.payload)
    return b"embstr" if embedded_bytes <= _EMBEDDED_BYTES_MAX else b"raw"
