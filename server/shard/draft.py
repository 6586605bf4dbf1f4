"""The entry in the making: what the commands of a turn have written, until it is proposed as one entry of the log.

What several commands have written to one record is in it once, as the last of them has left it. The same effects go
into the pending records of the overlay, under the index that the entry will have: the next command is to see them, and
the replies wait for that index.
"""

from server.keyspace.breath import breathe
from server.shard.effects import encode_effects
from server.shard.receipts import Receipt, reply_bytes_max

Written = dict[bytes, bytes | None]
"""Record to its new value, None for a delete."""

_RECORD_BYTES = 10
"""What a record takes in an entry besides key and value, about; a receipt twice as much."""


class Draft:
    """Of one group, at its leader."""

    __slots__ = ("effects", "index", "receipts", "size_bytes")

    effects: Written
    receipts: list[Receipt]
    """Of the forwarded writes in it."""
    size_bytes: int
    """About."""

    def __init__(self) -> None:
        self.index = 0
        """What the entry will have."""
        self.begin()

    def begin(self) -> None:
        """There is nothing in it."""
        self.effects = {}
        self.receipts = []
        self.size_bytes = 0

    def take(self, effects: Written, pending: dict[bytes, tuple[int, bytes | None]]) -> None:
        """Add what a command has written, and to the pending records too."""
        index = self.index
        size = self.size_bytes
        self.effects.update(effects)
        for key, value in effects.items():
            pending[key] = (index, value)
            size += len(key) + (len(value) if value is not None else 0) + _RECORD_BYTES
        self.size_bytes = size

    def take_in_slices(self, effects: Written, pending: dict[bytes, tuple[int, bytes | None]]) -> None:
        """As `take`, of a command that takes long."""
        index, mine = self.index, self.effects
        size = 0
        for key, value in effects.items():
            breathe()
            mine[key] = value
            pending[key] = (index, value)
            size += len(key) + (len(value) if value is not None else 0) + _RECORD_BYTES
        self.size_bytes += size

    def add_receipt(self, asker: int, request: int, reply: bytes) -> None:
        """What a forwarded write is answered goes with its effects."""
        kept = reply if len(reply) <= reply_bytes_max else None
        self.receipts.append((asker, request, kept))
        self.size_bytes += len(kept or b"") + 2 * _RECORD_BYTES

    def encode(self, now_ms: int) -> bytes:
        """The entry."""
        return encode_effects(now_ms, self.effects, self.receipts)
