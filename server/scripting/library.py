"""What a library of functions is: its text, and what the text registers; as group 0 keeps it and as FUNCTION DUMP
has it.

    #!lua name=mylib
    redis.register_function('myfunc', function(keys, args) ... end)

A text is run once to learn which functions it registers (interpreter.load); whoever keeps or shows a library has
that list beside the text and needs no Lua.

The payload of DUMP is that of a key: a mark and a text for each library, a version and a checksum behind all.
"""

from hashlib import sha1
from typing import NamedTuple

import msgspec

from resp import split_inline
from server.errors import CommandError
from server.types.crc64 import crc64
from server.types.rdb.wire import BadFormat, Reader, string

ENGINE = b"LUA"
FLAGS = (b"no-writes", b"allow-oom", b"allow-stale", b"no-cluster", b"allow-cross-slot-keys")
"""What a function or a script may say of itself, in the order in which Redis lists it."""
_NAME_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_LIBRARY = 0xF5
_LIBRARY_BEFORE_7 = 0xF6
_FOOTER_BYTES = 10
_VERSION = 10
"""What every Redis since 7.0 and every Valkey reads."""
_VERSION_MAX = 80
_FOREIGN_VERSIONS = range(12, _VERSION_MAX)
"""Of other servers that come from Redis."""


class Function(NamedTuple):
    """What a text registers."""

    name: bytes
    description: bytes | None
    flags: tuple[bytes, ...]
    """In the order of FLAGS."""


class Library(msgspec.Struct, frozen=True, array_like=True):
    """A text and its functions."""

    name: bytes
    text: bytes
    functions: tuple[Function, ...]
    digest: bytes = b""
    """Twenty bytes that name what was loaded; see `stamped`."""
    nodes: tuple[int, ...] = ()
    """Those that were told to load it, see commands/functions.py."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Library).decode


def encode_library(library: Library) -> bytes:
    """As group 0 keeps it."""
    return _encode(library)


def decode_library(record: bytes) -> Library:
    """What `encode_library` made."""
    return _decode(record)


def stamped(library: Library, revision: int, nodes: tuple[int, ...]) -> Library:
    """The library as it is loaded at this revision of group 0: what functions keep between calls begins anew with every
    load."""
    digest = sha1(b"%d " % revision + library.text).digest()
    return Library(library.name, library.text, library.functions, digest, nodes)


def is_name(text: bytes) -> bool:
    """A library or a function may be called so."""
    return bool(text) and _NAME_BYTES.issuperset(text)


def parse_library(text: bytes) -> tuple[bytes, bytes]:
    """The name that the first line gives, and the Lua behind it, whose first line is empty. Raises CommandError."""
    if not text.startswith(b"#!"):
        raise CommandError(b"ERR Missing library metadata")
    first, newline, rest = text.partition(b"\n")
    try:
        words = split_inline(first) if newline else []
    except ValueError:
        words = []
    if not words:
        raise CommandError(b"ERR Invalid library metadata")
    name = None
    for word in words[1:]:
        if word[:5].lower() != b"name=":
            raise CommandError(b"ERR Invalid metadata value given: " + word)
        if name is not None:
            raise CommandError(b"ERR Invalid metadata value, name argument was given multiple times")
        name = word[5:]
    if name is None:
        raise CommandError(b"ERR Library name was not given")
    if not is_name(name):
        raise CommandError(
            b"ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one"
            b" character long"
        )
    if words[0][2:].upper() != ENGINE:
        raise CommandError(b"ERR Engine '" + words[0][2:] + b"' not found")
    return name, b"\n" + rest


def dump_libraries(texts: list[bytes]) -> bytes:
    """The payload of FUNCTION DUMP."""
    parts = [bytes((_LIBRARY,)) + string(text) for text in texts]
    body = b"".join(parts) + _VERSION.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


def load_libraries(payload: bytes) -> list[bytes]:
    """The texts in a payload. Raises CommandError."""
    version = int.from_bytes(payload[-_FOOTER_BYTES : 2 - _FOOTER_BYTES], "little")
    whole = (
        len(payload) >= _FOOTER_BYTES
        and 0 < version <= _VERSION_MAX
        and version not in _FOREIGN_VERSIONS
        and crc64(payload[:-8]) == int.from_bytes(payload[-8:], "little")
    )
    if not whole:
        raise CommandError(b"ERR DUMP payload version or checksum are wrong")
    end = len(payload) - _FOOTER_BYTES
    reader = Reader(payload[:end])
    texts = []
    while True:
        try:
            kind = reader.take(1)[0]
        except BadFormat:
            break
        if kind == _LIBRARY_BEFORE_7:
            raise CommandError(b"ERR Pre-GA function format not supported")
        if kind != _LIBRARY:
            raise CommandError(b"ERR given type is not a function")
        try:
            texts.append(reader.string())
        except BadFormat:
            raise CommandError(b"ERR Failed loading library payload") from None
    return texts
