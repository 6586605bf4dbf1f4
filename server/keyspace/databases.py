"""The databases of one group, of which one is selected: how many keys they have, what SCAN finds, FLUSHDB and SWAPDB.

A database is a space that its keys lie in, and its counts, which Meta has. FLUSHDB gives it a new space, SWAPDB
exchanges two, so both cost the same however many keys there are.

What is kept of the keys goes with them: a RecordCache for each space, the node's HotReplies for each number.
"""

from collections.abc import Iterable, Iterator

from server.keyspace.cache import RecordCache
from server.keyspace.deletions import Deletions
from server.keyspace.events import FLUSHED
from server.keyspace.hot import HotReplies
from server.keyspace.layer import Layer
from server.keyspace.layout import (
    EXPIRE_AT,
    EXPIRE_OFFSET,
    EXPIRES,
    HEAD,
    HEAD_PREFIX,
    HEAD_PREFIX_BYTES,
    META_KEY,
    SPACE_PREFIX,
    SWEEP_PREFIX,
    head_range,
)
from server.keyspace.ledger import Ledger
from server.keyspace.meta import DATABASES, Database, Meta
from server.keyspace.store import Store

_decode_prefix = HEAD_PREFIX.unpack_from


class Databases(Layer):
    """Those of a group."""

    __slots__ = (
        "_cache",
        "_cache_limit",
        "_caches",
        "_deleted",
        "_hot",
        "_parts",
        "_replies",
        "_space",
        "db",
        "ledger",
        "notify",
        "now_ms",
        "revision",
    )

    def __init__(self, base: Store, meta: Meta, cache_limit: int, first_index: int, hot: HotReplies) -> None:
        """See View."""
        super().__init__(base)
        self.ledger = Ledger(meta)
        """What the databases count, and where they lie."""
        self.now_ms = 0
        """Unix time of the command, in milliseconds. It stands still while the command runs."""
        self.revision = 0
        """Of what the present command writes: (index << 16 | its number in the entry). The executor ends the entry
        before it has seen 65,536 commands."""
        self.notify = 0
        """Classes of keyspace events (events.py) that somebody wants to hear of."""
        self.db = 0
        """The number of the one that is selected."""
        self._deleted = Deletions(first_index << 16 | 0xFFFF)
        self._hot = hot
        self._replies = hot.databases[0]
        self._parts = hot.parts[0]
        self._cache_limit = cache_limit
        self._caches: dict[int, RecordCache] = {}
        """By space."""
        self._space = -1
        self._cache: RecordCache
        self._enter(meta.databases[0].space)

    def select(self, db: int) -> None:
        """Go on with database `db`: the next command of a transaction."""
        self.db = db
        self._replies = self._hot.databases[db]
        self._parts = self._hot.parts[db]
        self._enter(self.ledger.meta.databases[db].space)

    def _enter(self, space: int) -> None:
        """Go on in `space`."""
        if space != self._space:
            self._space = space
            if space not in self._caches:
                if len(self._caches) >= DATABASES:
                    self._caches.clear()  # spaces that were flushed
                self._caches[space] = RecordCache(self._cache_limit)
            self._cache = self._caches[space]

    def key_count(self) -> int:
        """How many keys the database holds, expired ones that are not yet deleted included (DBSIZE)."""
        return self._counts().keys

    def expires_count(self) -> int:
        """How many of them have an expiry."""
        return self._counts().expires

    def _counts(self) -> Database:
        if self.ledger.counts_index > self._base.observed:
            self._base.observed = self.ledger.counts_index
        return self.ledger.meta.databases[self.db]

    def scan_keys(
        self, first_slot: int, first_crc: int, stop_slot: int
    ) -> Iterator[tuple[int, int, bytes, bytes | None]]:
        """Slot, crc32, key and raw head record of every key from (first_slot, first_crc) up to slot
        `stop_slot`, in that order. None for the record of a key past its time, so that the caller, who bounds
        how many it takes, can count it."""
        start, stop = head_range(self._space, first_slot, first_crc, stop_slot)
        now_ms = self.now_ms
        for where, record in self.elements(start, stop, False):
            _, _, slot, crc = _decode_prefix(where)
            dead = record[1] & EXPIRES and EXPIRE_AT.unpack_from(record, EXPIRE_OFFSET)[0] <= now_ms
            yield slot, crc, where[HEAD_PREFIX_BYTES:], None if dead else record

    def flush(self) -> None:
        """Empty the database: its keys are left behind in their space, to be swept in the background."""
        if self.notify & FLUSHED:
            self.events.append((FLUSHED, b"", self.db, b""))
        database = self._counts()
        if not database.keys:
            return
        self.ledger.save()
        old, new = [SPACE_PREFIX.pack(b"h", space) for space in (database.space, self.ledger.meta.next_space)]
        self._deleted.flush(self.revision, old, new, self._lies)
        self.effects[SWEEP_PREFIX.pack(b"q", database.space)] = b""
        self._hot.clear()
        database.space = self.ledger.meta.next_space
        database.keys = database.expires = 0
        self.ledger.meta.next_space += 1
        self._enter(database.space)

    def _lies(self, where: bytes) -> bool:
        """Whether there is a record, of a key past its time or not."""
        return (self.effects[where] if where in self.effects else self._base.get(where)) is not None

    def swap(self, first: int, second: int) -> None:
        """Let two databases change their contents (SWAPDB)."""
        if self.notify & FLUSHED:
            self.events.append((FLUSHED, b"", self.db, b""))
        self.ledger.save()
        databases = self.ledger.meta.databases
        databases[first], databases[second] = databases[second], databases[first]
        self._hot.clear()
        self._enter(databases[self.db].space)
        # The change is in Meta alone, but it is an effect: without one the command would count as a read.
        self.effects[META_KEY] = self.ledger.meta.encode()

    # -- the way back ----------------------------------------------------------------------------------------

    def keep(self) -> None:
        """See Layer."""
        if self.effects or self.events:
            super().keep()
            self.ledger.keep()

    def rollback(self) -> None:
        """See Layer."""
        self._drop_cached(self.written_since_keep())
        super().rollback()
        self.ledger.restore()
        self._enter(self.ledger.meta.databases[self.db].space)

    def abandon(self) -> None:
        """See Layer."""
        self._drop_cached(self.effects)
        super().abandon()
        self.ledger.restore_all()
        self._enter(self.ledger.meta.databases[self.db].space)

    def _drop_cached(self, places: Iterable[bytes]) -> None:
        """What was written there did not happen."""
        for where in places:
            if where[0] == HEAD:
                cache = self._caches.get(_decode_prefix(where)[1])
                if cache is not None:
                    cache.drop(where[HEAD_PREFIX_BYTES:])
