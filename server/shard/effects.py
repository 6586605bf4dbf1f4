"""What a log entry carries: the effects of the commands of one turn, and the leader's time.

msgpack of [now_ms, [key, value, key, value, …]] with None for a delete. Keys are relative to the group.
Applying effects twice, or from any earlier point on, gives the same data: they are absolute.
"""

import msgspec

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[int, list[bytes | None]])


def encode_effects(now_ms: int, operations: list[bytes | None]) -> bytes:
    """`operations`: keys and values in turn, in the order they were made."""
    return _encoder.encode((now_ms, operations))


def decode_effects(data: bytes) -> tuple[int, list[bytes | None]]:
    """The reverse. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(data)
