"""DUMP's payload: one value as Redis writes it into an RDB file, with a version and a checksum behind.

    type:u8  value  version:u16le  crc64:u64le

The checksum covers all before it. A string's value is a length and its bytes, or, marked by a length byte of
11xxxxxx, an integer of 8, 16 or 32 bits or an LZF compressed string. Lengths take 1, 2, 5 or 9 bytes.
https://rdb.fnordig.de/file_format.html

Written is Valkey 9's version. Read is everything up to Redis 7.2's (11) and Valkey 9's (80): what lies
between is other servers' own, whose types this one can not know, and Valkey refuses it as well.

To add a type: its RDB type byte, a writer and a reader in the two tables at the end.
"""

from collections.abc import Callable
from struct import Struct

from server.keyspace.layout import STRING, Head
from server.types.crc64 import crc64
from server.types.lzf import compress, decompress
from server.types.numbers import parse_int64

VERSION = 80
FOREIGN_VERSIONS = range(12, VERSION)

_FOOTER = Struct("<HQ")
_RDB_STRING = 0
_INT8, _INT16, _INT32, _LZF = 0xC0, 0xC1, 0xC2, 0xC3
_INTEGERS = {_INT8: Struct("<b"), _INT16: Struct("<h"), _INT32: Struct("<i")}
_LENGTH_32, _LENGTH_64 = 0x80, 0x81
_INTEGER_DIGITS_MAX = 11
_COMPRESS_BYTES_MIN = 21
"""Redis does not compress less."""
_COMPRESS_BYTES_MAX = 16384
"""Nor do we more: compressing so much in Python holds the loop for five milliseconds, and a payload is as
valid without."""
_COMPRESS_GAIN_BYTES = 4
_VALUE_BYTES_MAX = 512 * 1024 * 1024


class WrongChecksum(Exception):
    """The payload's version is not one that is read here, or it is damaged."""


class BadFormat(Exception):
    """The payload is whole, but not the value of a type that is read here."""


def dump(head: Head) -> bytes:
    """The payload for the value of `head`."""
    body = _WRITERS[head.type](head)
    version = VERSION.to_bytes(2, "little")
    return b"".join((body, version, crc64(body + version).to_bytes(8, "little")))


def load(payload: bytes) -> Head:
    """The value in `payload`, as a head without revision and expiry. Raises WrongChecksum or BadFormat."""
    if len(payload) < _FOOTER.size:
        raise WrongChecksum
    version, checksum = _FOOTER.unpack_from(payload, len(payload) - _FOOTER.size)
    if not 0 < version <= VERSION or version in FOREIGN_VERSIONS or crc64(payload[:-8]) != checksum:
        raise WrongChecksum
    body = payload[: -_FOOTER.size]
    reader = _READERS.get(body[0]) if body else None
    if reader is None:
        raise BadFormat
    return reader(body)


def _write_length(length: int) -> bytes:
    if length < 1 << 6:
        return bytes((length,))
    if length < 1 << 14:
        return (length | 0x4000).to_bytes(2, "big")
    return bytes((_LENGTH_32,)) + length.to_bytes(4, "big")


def _read_length(body: bytes, at: int) -> tuple[int, int]:
    """The length at `at`, and where what it counts begins. Raises BadFormat."""
    first = body[at] if at < len(body) else 0xFF
    if first < 0x40:
        return first, at + 1
    if first < 0x80:
        size, mask = 1, (first & 0x3F) << 8
    elif first == _LENGTH_32:
        size, mask = 4, 0
    elif first == _LENGTH_64:
        size, mask = 8, 0
    else:
        raise BadFormat
    start, stop = at + 1, at + 1 + size
    if stop > len(body):
        raise BadFormat
    return mask | int.from_bytes(body[start:stop], "big"), stop


def _write_string(head: Head) -> bytes:
    value = head.payload
    number = parse_int64(value) if len(value) <= _INTEGER_DIGITS_MAX else None
    if number is not None:
        for mark, width in ((_INT8, 7), (_INT16, 15), (_INT32, 31)):
            if -(1 << width) <= number < 1 << width:
                return bytes((_RDB_STRING, mark)) + _INTEGERS[mark].pack(number)
    if _COMPRESS_BYTES_MIN <= len(value) <= _COMPRESS_BYTES_MAX:
        small = compress(value, len(value) - _COMPRESS_GAIN_BYTES)
        if small is not None:
            lengths = _write_length(len(small)) + _write_length(len(value))
            return bytes((_RDB_STRING, _LZF)) + lengths + small
    return b"".join((bytes((_RDB_STRING,)), _write_length(len(value)), value))


def _read_string(body: bytes) -> Head:
    mark = body[1] if len(body) > 1 else 0xFF
    integer = _INTEGERS.get(mark)
    if integer is not None:
        if len(body) != 2 + integer.size:
            raise BadFormat
        value = b"%d" % integer.unpack_from(body, 2)[0]
    elif mark == _LZF:
        small_bytes, at = _read_length(body, 2)
        value_bytes, at = _read_length(body, at)
        if at + small_bytes != len(body) or value_bytes > _VALUE_BYTES_MAX:
            raise BadFormat
        try:
            value = decompress(body[at:], value_bytes)
        except ValueError:
            raise BadFormat from None
    else:
        value_bytes, at = _read_length(body, 1)
        if at + value_bytes != len(body):
            raise BadFormat
        value = body[at:]
    return Head(STRING, 0, 0, 0, value)


_WRITERS: dict[int, Callable[[Head], bytes]] = {STRING: _write_string}
_READERS: dict[int, Callable[[bytes], Head]] = {_RDB_STRING: _read_string}
