"""The entry in the making: what the commands of a turn have written, until it is proposed as one entry of the log.

What several commands have written to one record is in it once, as the last of them has left it. The overlay shows the
effects to the next command as soon as they are in here.
"""

from collections.abc import Callable
from itertools import islice
from typing import Final

import msgspec

from server.keyspace.breath import breathe
from server.shard.effects import encode_effects, encode_piece
from server.shard.overlay import Written
from server.shard.receipts import Receipt, reply_bytes_max

_PIECE_RECORDS = 512
"""Of what is encoded at a time."""
_RECORD_BYTES: Final = 10
"""What a record takes in an entry besides key and value, about; a receipt twice as much."""


class Draft:
    """Of one group, at its leader."""

    __slots__ = ("_last", "_pieces", "effects", "index", "receipts", "size_bytes")

    effects: Written
    receipts: list[Receipt]
    """Of the forwarded writes in it."""
    size_bytes: int
    """About."""
    _pieces: list[msgspec.Raw]
    """What a command that took long has written, encoded."""
    _last: Written
    """With pieces: what came after them."""

    def __init__(self) -> None:
        self.index = 0
        """What the entry will have."""
        self.begin()

    def begin(self) -> None:
        """There is nothing in it."""
        self.effects = {}
        self.receipts = []
        self.size_bytes = 0
        self._pieces = []

    def take(self, effects: Written) -> None:
        """Add what a command has written."""
        size = self.size_bytes
        self.effects.update(effects)
        if self._pieces:
            self._last.update(effects)
        for key, value in effects.items():
            size += len(key) + (len(value) if value is not None else 0) + _RECORD_BYTES
        self.size_bytes = size

    def take_in_slices(self, effects: Written, taken: Callable[[Written], None]) -> None:
        """As `take`, of a command that takes long; `taken`: is told of each piece."""
        assert not self.effects, "what came before was not proposed"
        mine = self.effects
        size = 0
        records = iter(effects.items())
        while some := dict(islice(records, _PIECE_RECORDS)):
            self._pieces.append(encode_piece(some))
            mine.update(some)
            taken(some)
            for key, value in some.items():
                size += len(key) + (len(value) if value is not None else 0) + _RECORD_BYTES
            breathe()
        self.size_bytes = size
        self._last = {}

    def add(self, key: bytes, value: bytes) -> None:
        """Add a record that no command has written."""
        self.effects[key] = value
        if self._pieces:
            self._last[key] = value

    def add_receipt(self, asker: int, request: int, reply: bytes) -> None:
        """What a forwarded write is answered goes with its effects."""
        kept = reply if len(reply) <= reply_bytes_max else None
        self.receipts.append((asker, request, kept))
        self.size_bytes += len(kept or b"") + 2 * _RECORD_BYTES

    def encode(self, now_ms: int) -> bytes:
        """The entry."""
        if not self._pieces:
            return encode_effects(now_ms, self.effects, self.receipts)
        return encode_effects(now_ms, [*self._pieces, encode_piece(self._last)], self.receipts)
