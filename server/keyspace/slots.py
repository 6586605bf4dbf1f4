"""Key to slot, as Redis Cluster has it: CRC16 (XMODEM) of the key, or of its hash tag, modulo 16384.

A hash tag is what stands between the first `{` and the first `}` after it, if that is not empty.
https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
"""

from binascii import crc_hqx

SLOTS = 16384

_last: tuple[bytes, int] = (b"", 0)
"""The key that was asked for last, and its slot: routing and the view ask for the same object one after the other."""


def key_slot(key: bytes) -> int:
    """The slot of `key`, 0 to 16383."""
    global _last
    last = _last
    if last[0] is key:
        return last[1]
    slot = _slot(key)
    _last = (key, slot)
    return slot


def _slot(key: bytes) -> int:
    if b"{" in key:
        start = key.index(b"{") + 1
        end = key.find(b"}", start)
        if end > start:
            return crc_hqx(key[start:end], 0) & 16383
    return crc_hqx(key, 0) & 16383
