"""Where things lie: the keys and records of one shard group in an ordered store.

Every key here is relative to the group; the replica puts its own prefix (group, generation) in front. The
first byte is the table:

    'h' space:u32 slot:u16 crc32:u32 key     -> head record     one per key
    'x' expire_ms:u64 space:u32 slot:u16 crc32:u32 key -> ''    expiry index, ordered by time
    'y' expire_ms:u64 space:u32 slot:u16 crc32:u32 key -> ''    keys whose elements expire, by the first that does
    'm'                                      -> Meta            databases and their counts
    't'                                      -> ms:u64          the leaders' time, as the applied entries tell it
    'q' space:u32                            -> ''              a space that was flushed and waits to be swept
    'e' id:u64 element                       -> value           elements of large collections, see collection.py
    's' sha1                                 -> script          texts of Lua scripts, see scripting/script.py
    'f' sha1                                 -> library         texts of functions, likewise
    'i' id:u64                               -> ''              elements that nobody owns any more wait to be swept

All integers are big endian, so byte order is numeric order. A *space* is what a database's keys lie in;
database to space is part of Meta, so that FLUSHDB and SWAPDB change one record and not a million. Within a
space heads are ordered by (slot, crc32, key): a SCAN cursor is `slot << 32 | crc32`, and a slot's keys are
one range.

Head record:

    type:u8 flags:u8 revision:u64 expire_ms:u64 payload

`flags` holds the type's encoding in the low bits, ELEMENTS_EXPIRE, SPREAD and EXPIRES on top. `revision` is (log
index << 16 | number of the command in that entry) of the last change: two states of a key that was there both times
are the same if and only if their revisions are. `expire_ms` is Unix time, 0 when the key does not expire. The payload
belongs to types/; that of a SPREAD head begins with the id of its elements, which hang under the id and not under
the key's name, so that RENAME moves one record and DEL deletes one. A collection some of whose elements expire (the
fields of a hash) has ELEMENTS_EXPIRE, and its meta begins with the time of the first that does, a u64; by that the
view keeps the key's row in 'y', and the leader finds what is due.

To add a table: take a letter, describe it above, and say in `View` who keeps it. Data directories remember LAYOUT:
raise it with every change that makes what was written before unreadable, here or in the log's entries
(shard/effects.py).
"""

from binascii import crc32
from collections.abc import Iterable
from struct import Struct
from typing import Final, NamedTuple

from server.keyspace.slots import key_slot

LAYOUT = 1
"""The number of this layout."""

STRING: Final = 0
LIST: Final = 1
SET: Final = 2
ZSET: Final = 3
HASH: Final = 4
STREAM: Final = 5
TYPE_NAMES = (b"string", b"list", b"set", b"zset", b"hash", b"stream")

EXPIRES: Final = 0x80
"""Bit of a record's flags byte: expire_ms is not 0."""
SPREAD: Final = 0x40
"""Bit of a record's flags byte: the value's elements are records of their own. To types it is part of the encoding."""
ELEMENTS_EXPIRE: Final = 0x20
"""Bit of a record's flags byte: some of the value's elements expire. To types it is part of the encoding."""
ENCODING_MASK: Final = 0x7F
ATTACHED: Final = EXPIRES | SPREAD | ELEMENTS_EXPIRE
"""A head with one of these has more than its record."""

HEADER: Final = Struct(">BBQQ")
HEADER_BYTES: Final = HEADER.size
EXPIRE_AT: Final = Struct(">Q")
EXPIRE_OFFSET: Final = 10
REVISION_AT: Final = Struct(">Q")
REVISION_OFFSET: Final = 2

HEAD_PREFIX: Final = Struct(">cIHI")
SPACE_PREFIX = Struct(">cI")
"""What the heads of a space begin with."""
HEAD_PREFIX_BYTES: Final = HEAD_PREFIX.size
EXPIRY_PREFIX = Struct(">cQ")
EXPIRY_PREFIX_BYTES = EXPIRY_PREFIX.size

NEVER_MS = (1 << 63) - 1
"""Nothing expires so late."""
META_KEY = b"m"
TIME_KEY = b"t"
TIME = Struct(">Q")
SWEEP_PREFIX = Struct(">cI")
HEAD: Final = ord("h")
ELEMENT: Final = ord("e")
ELEMENT_PREFIX: Final = Struct(">cQ")
ELEMENT_PREFIX_BYTES: Final = ELEMENT_PREFIX.size
ID: Final = Struct(">Q")
ID_BYTES: Final = ID.size
_ID_END: Final = HEADER_BYTES + ID_BYTES
NO_COLLECTION = -1
"""No collection's id. That of one whose elements lie in the head is 0."""
HASH_BITS = 32
COMPACT_META_BYTES: Final = 2
"""A compact collection's payload begins with the length of its meta, see collection.py."""


class Head(NamedTuple):
    """A key's head record, decoded."""

    type: int
    """STRING, LIST, …"""
    encoding: int
    """The type's own numbering, 0 to 31; plus ELEMENTS_EXPIRE and SPREAD."""
    revision: int
    expire_ms: int
    """Unix time in milliseconds; 0: does not expire."""
    payload: bytes


def head_key(space: int, key: bytes) -> bytes:
    """Where the head of `key` lies in `space`."""
    return HEAD_PREFIX.pack(b"h", space, key_slot(key), crc32(key)) + key


def head_keys(space: int, keys: Iterable[bytes]) -> list[bytes]:
    """`head_key` of many."""
    pack = HEAD_PREFIX.pack
    return [pack(b"h", space, key_slot(key), crc32(key)) + key for key in keys]


def head_range(space: int, first_slot: int, first_crc: int, stop_slot: int) -> tuple[bytes, bytes]:
    """The range [start, stop) of all heads from (first_slot, first_crc) up to but without slot `stop_slot`."""
    return HEAD_PREFIX.pack(b"h", space, first_slot, first_crc), HEAD_PREFIX.pack(b"h", space, stop_slot, 0)


def element_range(id_: int) -> tuple[bytes, bytes]:
    """The range [start, stop) of the elements under an id."""
    return ELEMENT_PREFIX.pack(b"e", id_), ELEMENT_PREFIX.pack(b"e", id_ + 1)


def orphans_key(id_: int) -> bytes:
    """The note that the elements under an id are nobody's."""
    return ELEMENT_PREFIX.pack(b"i", id_)


def spread_id(record: bytes) -> int:
    """The id in a SPREAD head record."""
    return ID.unpack_from(record, HEADER_BYTES)[0]  # type: ignore[no-any-return]


def same_elements(old: bytes, payload: bytes, expire_ms: int, encoding: int) -> bool:
    """Whether all that hangs on the head `old`, and will hang on the one that follows, is one collection's elements."""
    return (
        old[1] & ATTACHED == SPREAD == encoding & ATTACHED
        and not expire_ms
        and payload[:ID_BYTES] == old[HEADER_BYTES:_ID_END]
    )


def expiry_key(expire_ms: int, head: bytes) -> bytes:
    """The expiry index's key for the head that lies at `head`."""
    return EXPIRY_PREFIX.pack(b"x", expire_ms) + head[1:]


def expiry_time(index_key: bytes) -> int:
    """The time, in Unix milliseconds, in a key of the expiry index."""
    return EXPIRY_PREFIX.unpack_from(index_key)[1]  # type: ignore[no-any-return]


def expiry_range(until_ms: int, from_ms: int = 0) -> tuple[bytes, bytes]:
    """The range of everything that expires at `from_ms` or later, and at or before `until_ms`."""
    return EXPIRY_PREFIX.pack(b"x", from_ms), EXPIRY_PREFIX.pack(b"x", until_ms + 1)


def elements_expiry_key(record: bytes, head: bytes) -> bytes:
    """The row in 'y' of an ELEMENTS_EXPIRE head record that lies at `head`."""
    meta = HEADER_BYTES + (ID_BYTES if record[1] & SPREAD else COMPACT_META_BYTES)
    return EXPIRY_PREFIX.pack(b"y", EXPIRE_AT.unpack_from(record, meta)[0]) + head[1:]


def expiry_rows(record: bytes, head: bytes) -> list[bytes]:
    """The rows in 'x' and 'y' of the head record that lies at `head`."""
    rows = []
    if record[1] & EXPIRES:
        rows.append(b"x" + record[EXPIRE_OFFSET:HEADER_BYTES] + head[1:])
    if record[1] & ELEMENTS_EXPIRE:
        rows.append(elements_expiry_key(record, head))
    return rows


def elements_expiry_range(until_ms: int, from_ms: int = 0) -> tuple[bytes, bytes]:
    """The range of the rows in 'y' of keys whose first element to expire does so between these times, both included."""
    return EXPIRY_PREFIX.pack(b"y", from_ms), EXPIRY_PREFIX.pack(b"y", until_ms + 1)


def decode_head(record: bytes) -> Head:
    """Split a head record."""
    type_, flags, revision, expire_ms = HEADER.unpack_from(record)
    return Head(type_, flags & ENCODING_MASK, revision, expire_ms, record[HEADER_BYTES:])
