"""Key to slot, as Redis Cluster has it: CRC16 (XMODEM) of the key, or of its hash tag, modulo 16384.

A hash tag is what stands between the first `{` and the first `}` after it, if that is not empty.
https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
"""

from binascii import crc_hqx

SLOTS = 16384
_OPENING = ord("{")
"""As a number: to look for one takes a tenth of the time."""

_last_key = b""
_last_slot = 0
"""What was asked for last, on the loop: routing and the view ask for the same object one after the other."""


def key_slot(key: bytes) -> int:
    """The slot of `key`, 0 to 16383."""
    global _last_key, _last_slot
    if key is _last_key:
        return _last_slot
    hashed = key
    if _OPENING in key:
        start = key.index(b"{") + 1
        end = key.find(b"}", start)
        if end > start:
            hashed = key[start:end]
    _last_slot = crc_hqx(hashed, 0) & 16383
    _last_key = key
    return _last_slot
