"""What a script is told when a call into the server makes no sense: in Valkey's words or in Redis's.

The library has two names in a script, `server` and `redis`, and answers in the words of the one that was used, so
that a script that was written for Redis finds the texts of Redis 7.2. All other code speaks Valkey's. What the library
says by itself, without a call into the server, is in sandbox.lua.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

Wording: TypeAlias = Mapping[bytes, bytes]
"""Valkey's texts to those that are said in their place."""

UNKNOWN: Final = b"ERR Unknown command called from script"
WRONG_COUNT: Final = b"ERR Wrong number of args calling command from script"
NOT_ALLOWED: Final = b"ERR This Valkey command is not allowed from script"
NO_WORDS: Final = b"ERR Please specify at least one argument for this call"
WRONG_WORDS: Final = b"ERR Command arguments must be strings or integers"
WRONG_NAME: Final = (
    b"ERR Function names can only contain letters, numbers, or underscores(_) and must be at least"
    b" one character long"
)

VALKEY: Final[Wording] = {}
REDIS: Final[Wording] = {
    UNKNOWN: b"ERR Unknown Redis command called from script",
    WRONG_COUNT: b"ERR Wrong number of args calling Redis command from script",
    NOT_ALLOWED: b"ERR This Redis command is not allowed from script",
    NO_WORDS: b"ERR Please specify at least one argument for this redis lib call",
    WRONG_WORDS: b"ERR Lua redis lib command arguments must be strings or integers",
    WRONG_NAME: b"ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one"
    b" character long",
}
WORDINGS: Final[Mapping[bytes, Wording]] = {b"redis": REDIS, b"server": VALKEY}
"""By the name of the library."""


def said_in(wording: Wording, text: bytes) -> bytes:
    """Valkey's `text` in other words, where those differ."""
    return wording.get(text, text)
