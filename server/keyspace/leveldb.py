"""The data store: one LevelDB under all shard groups of a node.

    'a' group:u16                         -> applied:u64 consistent:u64 generation:u16
    'd' group:u16 generation:u16 key      -> the group's own tables, see layout.py
    's' group:u16                         -> a snapshot that is being received, see shard/replica.py
    'g' group:u16 generation:u16          -> a generation that was left behind and waits to be swept

The Raft log is the write-ahead log: writes here are not synced one by one, and a restart applies again
whatever is not known to be durable. `sync` makes everything written so far durable by syncing LevelDB's own
log files, all of them: the one before the newest may still be needed and was closed without a sync.

Tables are as large as the write buffer. LevelDB counts the reads that look into a table of one level and find their key
in the next, and for each 16 KB of a table it bears one before it merges it with all that lies under it, even where a
filter spared the reads the look. Of its own 2 MB tables some stay in the upper level when many writes have come to an
end, and then writes to what is there, which begin with a read, cost twice as much until all of them are merged. Larger
ones go down at once, but for the last: of a million elements that were written in any order it takes the next thousand
reads to have that merged, once, for a second of a processor. And so with each full write buffer of random writes. One
that is larger makes this rarer, but it is what reads and writes go through in memory: at 64 MB that cost all that was
saved.

No explicit snapshots (`db.snapshot()`): compaction bugs in LevelDB 1.22 and 1.23. Short iterators only.
"""

from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import Any

from raft.storage import StorageError, check_refusal, sync_path
from raft.storage.binding import plyvel
from server.keyspace.store import prefix_end

APPLIED = Struct(">QQH")
APPLIED_KEY = Struct(">cH")
DATA_PREFIX = Struct(">cHH")


class DataStoreError(Exception):
    """The data directory can not be used; the text says why and what to do."""


class DataStoreFailed(StorageError):
    """Writing or syncing failed. What is in the log can be applied again, by a node that is started anew."""


class DataStore:
    """One open data store. `get`, `scan` and `write` may be called from any thread, `close` when nobody else
    does."""

    def __init__(
        self, path: Path, *, block_cache_bytes: int, write_buffer_bytes: int, compression: str = "none"
    ) -> None:
        """Open or create it. `compression`: of what is written from now on, "none" or "snappy"; what was written with
        another one stays readable. Raises DataStoreError, SystemRefused."""
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        try:
            self.db = plyvel.DB(
                str(path),
                create_if_missing=True,
                lru_cache_size=block_cache_bytes,
                write_buffer_size=write_buffer_bytes,
                max_file_size=write_buffer_bytes,
                bloom_filter_bits=10,
                compression=None if compression == "none" else compression,
            )
        except (plyvel.Error, OSError) as error:
            check_refusal(f"the data store in {path}", error)
            raise DataStoreError(
                f"The data store in {path} does not open ({error}). "
                "If another process uses it, stop that one; if it is damaged, move the data directory away and "
                "rebuild this node from its peers with `redraft rebuild`."
            ) from error
        self.get = self.db.get
        """get(key) -> value or None, without any wrapping: it is the hot path."""

    def applied(self, group: int) -> tuple[int, int, int]:
        """(applied index, index from which on the data is consistent, generation) of a group; zeros for a new
        one."""
        record = self.get(APPLIED_KEY.pack(b"a", group))
        if record is None:
            return 0, 0, 0
        applied, consistent, generation = APPLIED.unpack(record)
        return applied, consistent, generation

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Everything in [start, stop). The iterator sees one state of the store; keep it short-lived."""
        if not reverse:
            with self.db.iterator(start=start, stop=stop) as iterator:
                yield from iterator
            return
        # plyvel's reverse iterator with a start yields nothing when the only row is the one at `start`.
        with self.db.iterator(stop=stop, reverse=True) as iterator:
            for row in iterator:
                if row[0] < start:
                    return
                yield row

    def scan_under(
        self, prefix: bytes, start: bytes, stop: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """See Store."""
        if not reverse:  # rows as plyvel makes them, without a step of ours for each
            return iter(self.db.prefixed_db(prefix).iterator(start=start or None, stop=stop))
        return self._scan_under_reverse(prefix, start, prefix_end(prefix) if stop is None else prefix + stop)

    def _scan_under_reverse(self, prefix: bytes, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        cut = len(prefix)
        low = prefix + start
        # LevelDB goes forward from `stop` to the next key that is there, over all that was deleted of late, before it
        # turns: over everything that was taken off this end. Who gives the end as a key that is there spares it that.
        last = stop[:-1]
        if stop[-1:] == b"\0" and last >= low:
            value = self.get(last)
            if value is not None:
                yield last[cut:], value
                stop = last
        with self.db.iterator(stop=stop, reverse=True) as iterator:  # without a start: see `scan`
            for key, value in iterator:
                if key < low:
                    return
                yield key[cut:], value

    def batch(self) -> Any:
        """A new atomic batch; give it to `write` when it is whole."""
        return self.db.write_batch()

    def write(self, batch: Any) -> None:
        """Write a batch, unsynced. Raises DataStoreFailed: the node must stop."""
        try:
            batch.write()
        except plyvel.Error as error:
            raise self._failed("writing", error) from error

    def _failed(self, doing: str, error: Exception) -> DataStoreFailed:
        return DataStoreFailed(
            f"{doing} the data store in {self.path} failed ({error}): see that the disk is healthy and has room,"
            " then start the node again"
        )

    def sync(self) -> None:
        """Everything written before the call is on disk when it returns. Blocks: for a worker thread.

        Raises DataStoreFailed: the node must stop.
        """
        try:
            for log in self.path.glob("*.log"):
                try:
                    sync_path(log)
                except FileNotFoundError:
                    continue  # its contents were moved into a table, which LevelDB syncs itself
            sync_path(self.path)
        except OSError as error:
            raise self._failed("syncing", error) from error

    def close(self) -> None:
        """Close; the store must not be used afterwards."""
        self.db.close()


class SparseStore(DataStore):
    """The same store, for ranges of few keys that are written over and over.

    LevelDB keeps what a key was before until it compacts, and an iterator walks over all of that on its way to the next
    key: a key that was written ten thousand times costs as much as ten thousand keys. Here the iterator is told to seek
    the next key instead, which costs more for a key that was written once.
    """

    def __init__(self, store: DataStore) -> None:
        self.path = store.path
        self.db = store.db
        self.get = store.get

    def scan(self, start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """See DataStore."""
        if reverse:
            yield from super().scan(start, stop, reverse)
            return
        with self.db.iterator(start=start, stop=stop) as iterator:
            while True:
                row = next(iterator, None)
                if row is None:
                    return
                yield row
                iterator.seek(row[0] + b"\0")


def data_prefix(group: int, generation: int) -> bytes:
    """What stands before every key of a group."""
    return DATA_PREFIX.pack(b"d", group, generation)
