"""What a log entry carries: the effects of the commands of one turn, and the leader's time.

msgpack of [now_ms, {key: value, …}] with None for a delete, and a list of receipts behind them if there are any
(receipts.py). What several commands of the turn have written, such as the head of one list, is in there once. Keys are
relative to the group.
Applying effects twice, or from any earlier point on, gives the same data: they are absolute.
"""

import msgspec

from server.shard.receipts import Receipt


class Effects(msgspec.Struct, array_like=True):
    """An entry, decoded."""

    now_ms: int
    operations: dict[bytes, bytes | None]
    """Key to its new value, None for a delete. All are applied at once: nobody sees a state in between."""
    receipts: list[Receipt] = []


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Effects)


def encode_effects(
    now_ms: int, operations: dict[bytes, bytes | None], receipts: list[Receipt] | None = None
) -> bytes:
    """See Effects."""
    return _encoder.encode((now_ms, operations, receipts) if receipts else (now_ms, operations))


def decode_effects(data: bytes) -> Effects:
    """The reverse. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(data)
