"""The building blocks of RDB values: lengths, strings, numbers.

    length   00nnnnnn | 01nnnnnn nnnnnnnn | 80 n:u32be | 81 n:u64be
    string   length and its bytes, or C0 i8, C1 i16le, C2 i32le (the text of that integer), or
             C3 compressed:length size:length, and so many bytes of LZF

https://rdb.fnordig.de/file_format.html
"""

from struct import Struct

from server.types.lzf import compress, decompress
from server.types.numbers import parse_int64

_INTEGERS = {0xC0: Struct("<b"), 0xC1: Struct("<h"), 0xC2: Struct("<i")}
_LZF = 0xC3
_LENGTH_32, _LENGTH_64 = 0x80, 0x81
_INTEGER_DIGITS_MAX = 11
_COMPRESS_BYTES_MIN = 21
"""Redis does not compress less."""
_COMPRESS_BYTES_MAX = 16384
"""Nor do we more: compressing so much in Python holds the loop for five milliseconds, and a payload is as
valid without."""
_COMPRESS_GAIN_BYTES = 4
_DECOMPRESSED_BYTES_MAX = 64 << 20
_DECOMPRESSED_SHARE_MAX = 16
"""What all strings of a collection may yield: so much, or so many times the payload. A few bytes can stand for many
small elements, each of which costs far more than it says."""
_DOUBLE = Struct("<d")
_INT64 = Struct("<q")
_SPECIAL_SCORES = {253: float("nan"), 254: float("inf"), 255: float("-inf")}


class BadFormat(Exception):
    """The payload is whole, but not the value of a type that is read here."""


class Reader:
    """Goes through the body of a payload. All methods raise BadFormat when it ends too early or is not what they
    read. What they return is never larger than what the body spells out."""

    __slots__ = ("_at", "_data", "decompressed_bytes_max")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self._at = at
        self.decompressed_bytes_max = max(_DECOMPRESSED_BYTES_MAX, _DECOMPRESSED_SHARE_MAX * len(data))
        """What LZF may still yield."""

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        stop = self._at + size
        if stop > len(self._data):
            raise BadFormat
        taken = self._data[self._at : stop]
        self._at = stop
        return taken

    def length(self) -> int:
        """A length."""
        first = self.take(1)[0]
        if first < 0x40:
            return first
        if first < 0x80:
            return (first & 0x3F) << 8 | self.take(1)[0]
        if first == _LENGTH_32:
            return int.from_bytes(self.take(4), "big")
        if first == _LENGTH_64:
            return int.from_bytes(self.take(8), "big")
        raise BadFormat

    def string(self) -> bytes:
        """A string in any form."""
        if self._at >= len(self._data):
            raise BadFormat
        mark = self._data[self._at]
        number = _INTEGERS.get(mark)
        if number is not None:
            self._at += 1
            return b"%d" % number.unpack(self.take(number.size))[0]
        if mark != _LZF:
            return self.take(self.length())
        self._at += 1
        small_bytes = self.length()
        size = self.length()
        self.decompressed_bytes_max -= size
        if self.decompressed_bytes_max < 0:
            raise BadFormat
        try:
            return decompress(self.take(small_bytes), size)
        except ValueError:
            raise BadFormat from None

    def double(self) -> float:
        """Eight bytes."""
        number: float = _DOUBLE.unpack(self.take(_DOUBLE.size))[0]
        return number

    def old_score(self) -> float:
        """A score as Redis wrote it before version 4: text, or a byte for what is no number."""
        size = self.take(1)[0]
        if size in _SPECIAL_SCORES:
            return _SPECIAL_SCORES[size]
        try:
            return float(self.take(size))
        except ValueError:
            raise BadFormat from None

    def int64(self) -> int:
        """Eight bytes: a time in milliseconds."""
        number: int = _INT64.unpack(self.take(_INT64.size))[0]
        return number

    def end(self) -> None:
        """Nothing is left."""
        if self._at != len(self._data):
            raise BadFormat


def length(number: int) -> bytes:
    """A length, up to 64 bits."""
    if number < 1 << 6:
        return bytes((number,))
    if number < 1 << 14:
        return (number | 0x4000).to_bytes(2, "big")
    if number < 1 << 32:
        return bytes((_LENGTH_32,)) + number.to_bytes(4, "big")
    return bytes((_LENGTH_64,)) + number.to_bytes(8, "big")


def raw_string(value: bytes) -> bytes:
    """A string as it is."""
    return length(len(value)) + value


def string(value: bytes) -> bytes:
    """A string in the form that takes the least."""
    number = parse_int64(value) if len(value) <= _INTEGER_DIGITS_MAX else None
    if number is not None:
        for mark, form in _INTEGERS.items():
            if -(1 << 8 * form.size - 1) <= number < 1 << 8 * form.size - 1:
                return bytes((mark,)) + form.pack(number)
    if _COMPRESS_BYTES_MIN <= len(value) <= _COMPRESS_BYTES_MAX:
        small = compress(value, len(value) - _COMPRESS_GAIN_BYTES)
        if small is not None:
            return b"".join((bytes((_LZF,)), length(len(small)), length(len(value)), small))
    return raw_string(value)


def double(number: float) -> bytes:
    """Eight bytes."""
    return _DOUBLE.pack(number)


def int64(number: int) -> bytes:
    """Eight bytes."""
    return _INT64.pack(number)
