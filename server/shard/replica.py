"""A group's data on this node: applying entries, sending and receiving snapshots. No word of leadership here.

Entries are applied in two halves: the loop gathers what they say (gathering.py), a worker thread writes it.

Worker threads also call the `snapshot_` methods, one at a time for each group; the loop reads the plain attributes. The
applied index is in the same batch as the effects.

Snapshots are fuzzy: chunks are read in key order by short iterators while entries go on being applied. The
receiver stages them under a generation of its own, switches to it in one batch, and applies the log from the
index at which the sender began. As effects are absolute, it has the sender's data once it has applied what
the sender had applied when the last chunk was read: `consistent_index`.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec

from raft.core.messages import Entry, SnapshotMeta
from server.keyspace.deletions import Deletions
from server.keyspace.layout import META_KEY, TIME, TIME_KEY
from server.keyspace.leveldb import APPLIED, APPLIED_KEY, DATA_PREFIX, DataStore, data_prefix
from server.keyspace.meta import Meta
from server.keyspace.store import prefix_end
from server.shard.effects import Operations
from server.shard.gathering import Gathering
from server.shard.receipts import Receipt
from server.shard.staging import Staging


class Replica:
    """The data of one group in the node's data store."""

    def __init__(self, store: DataStore, group: int) -> None:
        self._store = store
        self.group = group
        self.applied_index, self.consistent_index, self.generation = store.applied(group)
        """Index up to which the data store has applied the log; index from which on the data is one
        consistent state (the applied index at start counts, as the log may be replayed from before it);
        prefix of the data."""
        self.consistent_index = max(self.consistent_index, self.applied_index)
        self.prefix = data_prefix(group, self.generation)
        self.clock_ms = 0
        """The leaders' time as the applied entries tell it: no later leader's time for this group is before it. It is
        stored, so that it outlives restarts and goes along with snapshots."""
        self._recall_time()
        self.writes = 0
        """Grows before and after each change of what is stored, so that it is odd during one."""
        self.observed = 0
        self.pending = ()
        """See Store: what is applied is committed."""
        self.sweep_due = True
        """There may be something to sweep, see sweeper.py."""
        self.sweeping = False
        """It is looked for, or deleted, right now."""
        self.swept_to = b""
        """Before this key of the store nothing is left of what is being swept. Of one worker thread, as the next."""
        self.swept_values = 0
        """Values that were swept: those whose elements lay apart, and all keys of flushed databases."""
        self.asker = 0
        """What this node calls itself in receipts."""
        self.receipts: deque[Receipt] = deque()
        """Those of this node that were applied. They are here before `applied_index` says so."""
        self.changes: deque[Operations | None] | None = None
        """For whoever follows the data and has put a deque here: what each batch has written; None: all may be another.
        It is here before `applied_index` says so."""
        self.deletions = Deletions(self.applied_index)
        """In log indexes, for the view of the leader that this replica may become."""
        self.applied_key = APPLIED_KEY.pack(b"a", group)
        self._staging_key = APPLIED_KEY.pack(b"s", group)
        self._drop_staging()

    # -- reading ---------------------------------------------------------------------------------------------

    def meta(self) -> Meta:
        """The group's databases as applied."""
        record = self._store.get(self.prefix + META_KEY)
        return Meta.new() if record is None else Meta.decode(record)

    def get(self, key: bytes) -> bytes | None:
        """The applied value at a key of the group."""
        return self._store.get(self.prefix + key)  # type: ignore[no-any-return]

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """The applied range [start, stop)."""
        cut = len(self.prefix)
        for key, value in self._store.scan(self.prefix + start, self.prefix + stop, reverse):
            yield key[cut:], value

    def scan_under(
        self, prefix: bytes, start: bytes, stop: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """The applied range, see Store."""
        return self._store.scan_under(self.prefix + prefix, start, stop, reverse)

    @property
    def has_leftovers(self) -> bool:
        """There is something to sweep, as far as known."""
        return self.sweep_due or self.sweeping

    # -- applying --------------------------------------------------------------------------------------------

    def begin_apply(self, entries: list[Entry]) -> Gathering:
        """See StateMachine."""
        return Gathering(self, self._store, entries)

    # -- snapshots (worker thread) ---------------------------------------------------------------------------

    def snapshot_read(self, cursor: bytes, bytes_max: int) -> tuple[bytes, bytes | None]:
        """The next chunk from `cursor` (b"": the start), about `bytes_max` long, and where the next one
        starts."""
        prefix = self.prefix
        cut = len(prefix)
        pairs: list[bytes] = []
        size = 0
        for key, value in self._store.scan(prefix + cursor, prefix_end(prefix)):
            if size >= bytes_max:
                return msgspec.msgpack.encode(pairs), key[cut:]
            pairs += (key[cut:], value)
            size += len(key) + len(value)
        return msgspec.msgpack.encode(pairs), None

    def snapshot_begin(self, token: bytes) -> bytes:
        """Start to receive the snapshot that `token` names; where to go on, if part of it is already staged."""
        record = self._store.get(self._staging_key)
        if record is not None:
            staging = msgspec.msgpack.decode(record, type=Staging)
            if staging.token == token:
                return staging.cursor
            self._drop_staging()
        self._stage(self._store.batch(), Staging(token, (self._newest_generation() + 1) & 0xFFFF, b""))
        return b""

    def snapshot_write(self, token: bytes, chunk: bytes, next_cursor: bytes | None) -> None:
        """Stage one chunk."""
        staging = msgspec.msgpack.decode(self._store.get(self._staging_key), type=Staging)
        assert staging.token == token
        prefix = data_prefix(self.group, staging.generation)
        batch = self._store.batch()
        pairs = iter(msgspec.msgpack.decode(chunk, type=list[bytes]))
        for key in pairs:
            batch.put(prefix + key, next(pairs))
        staging.cursor = next_cursor or b""
        self._stage(batch, staging)

    def snapshot_install(self, meta: SnapshotMeta, consistent_index: int) -> None:
        """Make what is staged the group's data, as of `meta.index`. Durable when it returns."""
        staging = msgspec.msgpack.decode(self._store.get(self._staging_key), type=Staging)
        self._store.sync()
        batch = self._store.batch()
        batch.put(DATA_PREFIX.pack(b"g", self.group, self.generation), b"")
        batch.put(self.applied_key, APPLIED.pack(meta.index, consistent_index, staging.generation))
        batch.delete(self._staging_key)
        self._store.write(batch)
        self._store.sync()
        self.generation = staging.generation
        self.prefix = data_prefix(self.group, self.generation)
        self._recall_time()
        if self.changes is not None:
            self.changes.append(None)
        self.applied_index = meta.index
        self.consistent_index = consistent_index
        self.deletions = Deletions(meta.index)
        self.sweep_due = True

    def _recall_time(self) -> None:
        record = self.get(TIME_KEY)
        if record is not None:
            self.clock_ms = max(self.clock_ms, TIME.unpack(record)[0])

    def _stage(self, batch: Any, staging: Staging) -> None:
        batch.put(self._staging_key, msgspec.msgpack.encode(staging))
        self._store.write(batch)

    def _drop_staging(self) -> None:
        """Leave a half-received snapshot to the sweeper. At start too: what of it is durable is not known."""
        record = self._store.get(self._staging_key)
        if record is None:
            return
        staging = msgspec.msgpack.decode(record, type=Staging)
        batch = self._store.batch()
        batch.put(DATA_PREFIX.pack(b"g", self.group, staging.generation), b"")
        batch.delete(self._staging_key)
        self._store.write(batch)
        self.sweep_due = True

    def _newest_generation(self) -> int:
        """The newest generation in use or waiting to be swept."""
        first, stop = DATA_PREFIX.pack(b"g", self.group, 0), APPLIED_KEY.pack(b"g", self.group + 1)
        left = [int(DATA_PREFIX.unpack(key)[2]) for key, _ in self._store.scan(first, stop)]
        return max(self.generation, *left, 0)
