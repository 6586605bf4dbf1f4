"""Key to slot, as Redis Cluster has it: CRC16 (XMODEM) of the key, or of its hash tag, modulo 16384.

A hash tag is what stands between the first `{` and the first `}` after it, if that is not empty.
https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
"""

from binascii import crc_hqx
from typing import Final

SLOTS = 16384
_OPENING: Final = ord("{")
"""As a number: to look for one takes a tenth of the time."""


class _Last:
    """What was asked for last, on the loop: routing and the view ask for the same object one after the other."""

    __slots__ = ("key", "slot")

    def __init__(self) -> None:
        self.key = b""
        self.slot = 0


_last: Final = _Last()


def key_slot(key: bytes) -> int:
    """The slot of `key`, 0 to 16383."""
    last = _last
    if key is last.key:
        return last.slot
    hashed = key
    if _OPENING in key:
        start = key.index(b"{") + 1
        end = key.find(b"}", start)
        if end > start:
            hashed = key[start:end]
    slot = crc_hqx(hashed, 0) & 16383
    last.slot = slot
    last.key = key
    return slot
