"""DUMP's payload: one value as Redis writes it into an RDB file, with a version and a checksum behind.

    type:u8  value  version:u16le  crc64:u64le

The checksum covers all before it. What a value looks like is said in the files of types/rdb/, one to a type.
https://rdb.fnordig.de/file_format.html

Written is the oldest version that has all of the value's form, so that as many servers as possible read it: 10 (Redis
7.0) for most, 11 (7.2) for streams with consumers and for small sets of integers that are no intset, 80 (Valkey 9) for
hashes with fields that expire. Read is everything up to 11 and 80: what lies between is other servers' own, whose types
this one can not know, and Valkey refuses it as well.

To add a form: a row in _READERS; if it is written, in _WRITERS, and in _VERSIONS unless version 10 has it.
"""

from collections.abc import Callable
from struct import Struct
from typing import Protocol

from server.keyspace.layout import HASH, LIST, SET, STREAM, STRING, ZSET
from server.keyspace.view import View
from server.types.crc64 import crc64
from server.types.rdb import hashes, lists, sets, streams, strings, zsets
from server.types.rdb.wire import BadFormat, Reader

__all__ = ["BadFormat", "Value", "WrongChecksum", "dump", "load"]

VERSION = 10
VERSION_MAX = 80
FOREIGN_VERSIONS = range(12, VERSION_MAX)

_FOOTER = Struct("<HQ")
_CHECKSUM_BYTES = 8


class WrongChecksum(Exception):
    """The payload's version is not one that is read here, or it is damaged."""


class Value(Protocol):
    """What was read, whole and right."""

    def put(self, view: View, key: bytes, expire_ms: int) -> bool:
        """Write it, in place of whatever is there, to end at `expire_ms` (Unix time, 0: never). False when nothing of
        it is left by now, and there is no such key."""


def dump(view: View, key: bytes) -> bytes | None:
    """The payload for the value at `key`; None when there is none."""
    record = view.record(key)
    written = None if record is None else _WRITERS[record[0]](view, key)
    if written is None:
        return None
    form, body = written
    version = _VERSIONS.get(form, VERSION).to_bytes(2, "little")
    covered = b"".join((bytes((form,)), body, version))
    return covered + crc64(covered).to_bytes(_CHECKSUM_BYTES, "little")


def load(payload: bytes) -> Value:
    """The value in `payload`. Raises WrongChecksum or BadFormat."""
    if len(payload) < _FOOTER.size:
        raise WrongChecksum
    version, checksum = _FOOTER.unpack_from(payload, len(payload) - _FOOTER.size)
    if (
        not 0 < version <= VERSION_MAX
        or version in FOREIGN_VERSIONS
        or crc64(payload[:-_CHECKSUM_BYTES]) != checksum
    ):
        raise WrongChecksum
    body = payload[: -_FOOTER.size]
    read = _READERS.get(body[0]) if body else None
    if read is None:
        raise BadFormat
    reader = Reader(body, 1)
    value = read(reader)
    reader.end()
    return value


_READERS: dict[int, Callable[[Reader], Value]] = {
    strings.RDB_STRING: strings.read,
    lists.RDB_LIST: lists.read_list,
    lists.RDB_ZIPLIST: lists.read_ziplist,
    lists.RDB_QUICKLIST: lists.read_quicklist,
    lists.RDB_QUICKLIST_2: lists.read_quicklist_2,
    sets.RDB_SET: sets.read_set,
    sets.RDB_INTSET: sets.read_intset,
    sets.RDB_LISTPACK: sets.read_listpack,
    zsets.RDB_ZSET: zsets.read_zset,
    zsets.RDB_ZSET_2: zsets.read_zset_2,
    zsets.RDB_ZIPLIST: zsets.read_ziplist,
    zsets.RDB_LISTPACK: zsets.read_listpack,
    hashes.RDB_HASH: hashes.read_hash,
    hashes.RDB_ZIPMAP: hashes.read_zipmap,
    hashes.RDB_ZIPLIST: hashes.read_ziplist,
    hashes.RDB_LISTPACK: hashes.read_listpack,
    hashes.RDB_EXPIRING: hashes.read_expiring,
    streams.RDB_STREAM: streams.read_stream,
    streams.RDB_STREAM_2: streams.read_stream_2,
    streams.RDB_STREAM_3: streams.read_stream_3,
}
_WRITERS: dict[int, Callable[[View, bytes], tuple[int, bytes] | None]] = {
    STRING: strings.write,
    LIST: lists.write,
    SET: sets.write,
    ZSET: zsets.write,
    HASH: hashes.write,
    STREAM: streams.write,
}
"""By the type of a head: the RDB type and the body."""
_VERSIONS = {sets.RDB_LISTPACK: 11, streams.RDB_STREAM_3: 11, hashes.RDB_EXPIRING: 80}
