"""What a log entry carries: the effects of the commands of one turn, and the leader's time.

msgpack of [now_ms, {key: value, …}] with None for a delete, and a list of receipts behind them if there are any
(receipts.py). What several commands of the turn have written, such as the head of one list, is in there once. Keys are
relative to the group. A command that took long leaves its effects in pieces, a list of maps instead of one: to encode
or decode a million records at once would hold up the whole process. What a later piece says of a key holds.
Applying effects twice, or from any earlier point on, gives the same data: they are absolute.
"""

from collections.abc import Iterator

import msgspec

from server.shard.receipts import Receipt

Operations = dict[bytes, bytes | None]


class Effects(msgspec.Struct, array_like=True):
    """An entry, decoded."""

    now_ms: int
    operations: Operations | list[msgspec.Raw]
    """Key to its new value, None for a delete. All are applied at once: nobody sees a state in between."""
    receipts: list[Receipt] = []

    def pieces(self) -> Iterator[Operations]:
        """The operations, in one piece or several."""
        if isinstance(self.operations, list):
            yield from map(_piece_decoder.decode, self.operations)
        else:
            yield self.operations


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Effects)
_piece_decoder = msgspec.msgpack.Decoder(Operations)


def encode_piece(operations: Operations) -> msgspec.Raw:
    """Some of the operations of an entry."""
    return msgspec.Raw(_encoder.encode(operations))


def encode_effects(
    now_ms: int, operations: Operations | list[msgspec.Raw], receipts: list[Receipt] | None = None
) -> bytes:
    """See Effects."""
    return _encoder.encode((now_ms, operations, receipts) if receipts else (now_ms, operations))


def decode_effects(data: bytes) -> Effects:
    """The reverse. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(data)
