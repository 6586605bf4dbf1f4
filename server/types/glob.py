"""Glob patterns exactly as Redis's stringmatchlen reads them, compiled to regular expressions.

`*` any run of bytes, `?` one byte, `[abc]`, `[a-z]`, `[^a-z]` one byte (not) of a class, `\\x` the byte x.
The corners are Redis's own, and a live server was asked about each: `[]` is a class that nothing is in, a
class may lack its `]`, a range may stand on its head, the end of a range may be `]`, bytes of a range compare
as signed chars, a trailing backslash is itself, and no pattern but the empty one matches an empty string
(KEYS and SCAN know `*` by itself).

Every element but `*` takes exactly one byte, so the parts between the stars can be found greedily, each at
its leftmost place after the one before: atomic groups say so to the regular expression engine, which
therefore never goes back, and a hostile pattern costs at most its length times the key's.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

from server.errors import CommandError
from server.keyspace.slots import key_slot

Matcher: TypeAlias = Callable[[bytes], bool]

EVERY_KEY = b"*"
"""The pattern that KEYS and SCAN do not look at: the empty key matches it too."""
PATTERN_BYTES_MAX = 8192
"""A longer pattern is refused: compiling so much takes twenty milliseconds, for which the loop stands
still."""
STARS_MAX = 1000
"""With more stars than this, one at the very end apart, Redis gives up and nothing matches."""

_STAR, _QUESTION, _OPEN, _CLOSE, _CARET, _DASH, _BACKSLASH, _BRACE, _END_BRACE = b"*?[]^-\\{}"
_SPECIAL = frozenset((_STAR, _QUESTION, _OPEN, _BACKSLASH))


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def _class(members: set[int], negated: bool) -> bytes:
    """The regular expression for one byte of a class."""
    if not members:
        return b"." if negated else b"(?!)"
    if len(members) == 256:
        return b"(?!)" if negated else b"."
    ranges = bytearray(b"[^" if negated else b"[")
    first = last = -2
    for member in [*sorted(members), 1000]:
        if member == last + 1:
            last = member
            continue
        if first >= 0:
            ranges += b"\\x%02x-\\x%02x" % (first, last)
        first = last = member
    return bytes(ranges + b"]")


def _parse_class(pattern: bytes, at: int) -> tuple[bytes, int]:
    """Read a class from behind its `[`: its regular expression, and where the pattern goes on."""
    end = len(pattern)
    negated = at < end and pattern[at] == _CARET
    if negated:
        at += 1
    members: set[int] = set()
    while at < end:
        byte = pattern[at]
        if byte == _BACKSLASH and at + 1 < end:
            members.add(pattern[at + 1])
            at += 2
        elif byte == _CLOSE:
            return _class(members, negated), at + 1
        elif at + 2 < end and pattern[at + 1] == _DASH:
            low, high = sorted((_signed(byte), _signed(pattern[at + 2])))
            members.update(value & 255 for value in range(low, high + 1))
            at += 3
        else:
            members.add(byte)
            at += 1
    return _class(members, negated), at


def _segments(pattern: bytes) -> list[bytes]:
    """The regular expressions between the pattern's stars; a run of stars counts as one."""
    segments: list[list[bytes]] = [[]]
    at, end = 0, len(pattern)
    while at < end:
        byte = pattern[at]
        at += 1
        if byte == _STAR:
            if segments[-1] or len(segments) == 1:
                segments.append([])
        elif byte == _QUESTION:
            segments[-1].append(b".")
        elif byte == _OPEN:
            element, at = _parse_class(pattern, at)
            segments[-1].append(element)
        else:
            if byte == _BACKSLASH and at < end:
                byte = pattern[at]
                at += 1
            segments[-1].append(re.escape(bytes((byte,))))
    return [b"".join(segment) for segment in segments]


def _never(_: bytes) -> bool:
    return False


def _plain(pattern: bytes) -> Matcher | None:
    """The matcher of a pattern that is nothing but a text, with a star before it, behind it or both: no regular
    expression has to be made for these, which nearly all are. None for any other."""
    text = pattern[pattern.startswith(b"*") : -1 if pattern.endswith(b"*") else None]
    if not text or not _SPECIAL.isdisjoint(text):
        return None
    if len(text) == len(pattern):
        return pattern.__eq__
    if len(text) == len(pattern) - 2:
        return lambda key: text in key
    if pattern.startswith(b"*"):
        return lambda key: key.endswith(text)
    return lambda key: key.startswith(text)


def check_glob(pattern: bytes) -> None:
    """Raises CommandError for a pattern over PATTERN_BYTES_MAX."""
    if len(pattern) > PATTERN_BYTES_MAX:
        raise CommandError(b"ERR pattern is longer than %d bytes" % PATTERN_BYTES_MAX)


@lru_cache(maxsize=256)
def compile_glob(pattern: bytes) -> Matcher:
    """A function that says whether a key matches `pattern`. Raises CommandError for one over
    PATTERN_BYTES_MAX."""
    check_glob(pattern)
    if (plain := _plain(pattern)) is not None:
        return plain
    segments = _segments(pattern)
    stars = len(segments) - 1
    if stars - (1 if stars and not segments[-1] else 0) > STARS_MAX:
        return _never
    expression = segments[0]
    if stars:
        expression += b"".join(b"(?>.*?%b)" % segment for segment in segments[1:-1])
        expression += b".*" + segments[-1]
    fullmatch = re.compile(expression, re.DOTALL).fullmatch
    if not pattern:
        return lambda key: not key
    return lambda key: bool(key) and fullmatch(key) is not None


def pattern_slot(pattern: bytes) -> int | None:
    """The slot of all keys that can match `pattern`, when a hash tag without special characters or the lack
    of any special character in the whole pattern fixes it; else None."""
    tag_start = -1
    for at, byte in enumerate(pattern):
        if byte in (_STAR, _QUESTION, _OPEN, _BACKSLASH):
            return None
        if byte == _BRACE and tag_start == -1:
            tag_start = at
        elif byte == _END_BRACE and tag_start >= 0:
            if at > tag_start + 1:
                return key_slot(pattern[: at + 1])
            tag_start = -2
    return key_slot(pattern)
