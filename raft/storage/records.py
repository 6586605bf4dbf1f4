"""How a group's log lies in LevelDB: keys, records and their checksums.

Every key begins with the group (u16) and a tag (u8), big endian, so that a group is one contiguous range and its
entries lie in index order:

    group u16 | 0x01                hard state   crc32 u32 | term u64 | vote u64 | commit u64
    group u16 | 0x02                base         crc32 u32 | msgpack of Base
    group u16 | 0x03                install      crc32 u32 | msgpack of Base (a snapshot that is being installed)
    group u16 | 0x10 | index u64    entry        index u64 | term u64 | kind u8 | crc32 u32 | data
    0xffff    | 0x00 | name         a fact about the node; not a group

An entry repeats its own index and its checksum covers the group: a record that lost its place, lost a bit, or belongs
to another group is noticed when it is read. LevelDB's own block checksums do not notice a record that is absent.

To add a record: take a new tag below 0x10 and seal its payload with `seal`.
"""

import struct
from zlib import crc32

import msgspec

from raft.core.messages import ConfState, Entry, HardState

GROUP_MAX = 0xFFFE
TAG_HARD_STATE, TAG_BASE, TAG_INSTALL, TAG_ENTRY = 0x01, 0x02, 0x03, 0x10
NODE_PREFIX = b"\xff\xff\x00"

_PREFIX = struct.Struct(">HB")
_ENTRY_KEY = struct.Struct(">HBQ")
_ENTRY_HEAD = struct.Struct(">QQB")
_HARD_STATE = struct.Struct(">QQQ")
_CRC = struct.Struct(">I")
_HEAD_BYTES = _ENTRY_HEAD.size + _CRC.size


class BadRecord(ValueError):
    """A record is not what was written. The text says what is wrong with it."""


class Base(msgspec.Struct, frozen=True, array_like=True):
    """Where a group's retained log begins, and what is known about the state below it."""

    index: int
    """The last compacted index: the first retained entry is index + 1."""
    term: int
    """Term of the entry at `index`."""
    durable_applied: int
    """Everything up to here is synced in the data store. Invariant: index <= durable_applied <= last index."""
    consistent_index: int
    """The data is a state that existed only once this index is applied (see raft.runtime.snapshots)."""
    conf: ConfState
    """The configuration in force at `durable_applied`."""


_encoder = msgspec.msgpack.Encoder()
_base_decoder = msgspec.msgpack.Decoder(Base)


def record_key(group_id: int, tag: int) -> bytes:
    """Key of a group's hard state, base or install record."""
    return _PREFIX.pack(group_id, tag)


def entry_key(group_id: int, index: int) -> bytes:
    """Key of one entry."""
    return _ENTRY_KEY.pack(group_id, TAG_ENTRY, index)


def entry_key_index(key: bytes) -> int:
    """Index that an entry's key names. Raises BadRecord when the key has another shape."""
    if len(key) != _ENTRY_KEY.size:
        raise BadRecord(f"key {key!r} is not an entry's")
    index: int = _ENTRY_KEY.unpack(key)[2]
    return index


def seal(key: bytes, payload: bytes) -> bytes:
    """The payload behind a checksum that covers its key too."""
    return _CRC.pack(crc32(payload, crc32(key))) + payload


def unseal(key: bytes, record: bytes) -> bytes:
    """The payload of a sealed record. Raises BadRecord."""
    payload = record[_CRC.size :]
    if record[: _CRC.size] != _CRC.pack(crc32(payload, crc32(key))):
        raise BadRecord("the checksum does not match")
    return payload


def encode_entry(group_id: int, entry: Entry) -> bytes:
    """The value stored under entry_key(group_id, entry.index)."""
    head = _ENTRY_HEAD.pack(entry.index, entry.term, entry.kind)
    return head + _CRC.pack(crc32(entry.data, crc32(head, group_id))) + entry.data


def decode_entry(group_id: int, index: int, record: bytes) -> Entry:
    """The entry stored for `index` of the group. Raises BadRecord."""
    if len(record) < _HEAD_BYTES:
        raise BadRecord(f"entry {index} is cut short")
    head = record[: _ENTRY_HEAD.size]
    data = record[_HEAD_BYTES:]
    if record[_ENTRY_HEAD.size : _HEAD_BYTES] != _CRC.pack(crc32(data, crc32(head, group_id))):
        raise BadRecord(f"entry {index} does not match its checksum")
    own_index, term, kind = _ENTRY_HEAD.unpack(head)
    if own_index != index:
        raise BadRecord(f"entry {index} says that it is entry {own_index}")
    return Entry(index, term, kind, data)


def encode_hard_state(key: bytes, state: HardState) -> bytes:
    """The sealed record of a hard state."""
    return seal(key, _HARD_STATE.pack(*state))


def decode_hard_state(key: bytes, record: bytes) -> HardState:
    """Raises BadRecord."""
    payload = unseal(key, record)
    if len(payload) != _HARD_STATE.size:
        raise BadRecord("the hard state has the wrong length")
    return HardState(*_HARD_STATE.unpack(payload))


def encode_base(key: bytes, base: Base) -> bytes:
    """The sealed record of a base."""
    return seal(key, _encoder.encode(base))


def decode_base(key: bytes, record: bytes) -> Base:
    """Raises BadRecord."""
    try:
        return _base_decoder.decode(unseal(key, record))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRecord(f"it can not be decoded: {error}") from error
