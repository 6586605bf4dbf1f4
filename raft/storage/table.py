"""The records of the log store, by key: LevelDB behind a journal.

`append` is for what is written all the time: it is synced in the journal (journal.py) and goes to LevelDB with the next
checkpoint. It is not read before, nor written by `write`, which goes to LevelDB at once. `checkpoint` moves what waits,
together with changes of its own, in one atomic batch. `begin_append` and `end_append` are an `append` that needs no
thread, where the system can do that; nothing else may be asked of the table between them but `write` and reading.

What LevelDB does and does not promise shaped this file:
- `paranoid_checks`, because without them a flipped bit leaves a silent hole. RepairDB is never run: it would make a
  hole look like a log.
- After a failed sync nothing is known about what is on disk, so every later write is refused; so it is after one of
  the journal.
- Batches are written explicitly: `with write_batch()` writes even when its block raises.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from raft.storage.binding import plyvel
from raft.storage.errors import REMEDY, LogDamaged, LogFailed, LogLocked, check_refusal
from raft.storage.journal import RECORD_BYTES_MAX, Epoch, Journal
from raft.storage.records import NODE_PREFIX, BadRecord, seal, unseal

Changes = dict[bytes, bytes | None]
"""Records to put, by key; to delete where there is None."""
WRITE_BUFFER_BYTES = 16 << 20  # most entries are compacted away before they leave the memtable and one file
_EPOCH_KEY = NODE_PREFIX + b"journal"
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Changes)


class Table:
    """Open it, then `begin` a new one or `recover` one that was there. `append` and `checkpoint` by one thread at a
    time."""

    def __init__(self, directory: Path, db: Any) -> None:
        """Made by `open`."""
        self.db = db
        """For reading, from any thread."""
        self._directory = directory
        self._journal: Journal | None = None
        self._waiting: Changes = {}
        """What is in the journal and not yet in LevelDB."""
        self._begun: Changes = {}
        """What `begin_append` is writing."""
        self._failed: BaseException | None = None

    @classmethod
    def open(cls, directory: Path, *, create: bool) -> "Table":
        """Open LevelDB in `directory`. Raises LogLocked, LogDamaged, SystemRefused."""
        directory.mkdir(parents=True, exist_ok=True)
        try:
            db = plyvel.DB(
                str(directory),
                create_if_missing=create,
                paranoid_checks=True,
                write_buffer_size=WRITE_BUFFER_BYTES,
                compression=None,  # the entries are small, and the disk thread has no time to spare
            )
        except plyvel.CorruptionError as damage:
            raise _unreadable(directory, damage) from damage
        except plyvel.IOError as error:
            check_refusal(f"the log in {directory}", error)
            if "lock" in str(error).lower():
                raise LogLocked(
                    f"the log in {directory} is in use by another process: stop that, or use another directory"
                ) from error
            raise _unreadable(directory, error) from error
        return cls(directory, db)

    @property
    def is_empty(self) -> bool:
        """Nothing was ever written."""
        return next(iter(self.db.iterator(include_value=False)), None) is None

    def begin(self, first: Changes) -> None:
        """Write the first records of an empty table. Raises LogDamaged, LogFailed, SystemRefused."""
        try:
            self._journal = Journal.create(self._journal_path)
        except OSError as error:
            raise self._not_opened(error) from error
        self.checkpoint(first)

    def recover(self) -> None:
        """Move to LevelDB what the journal has. Raises LogDamaged, LogFailed, SystemRefused."""
        waiting: Changes = {}
        try:
            record = self.db.get(_EPOCH_KEY)
            if record is None:
                raise BadRecord("the epoch of its journal is missing")
            epoch = Epoch.decode(unseal(_EPOCH_KEY, record))
            journal = Journal.open(self._journal_path)
            try:
                for payload in journal.read(epoch):
                    waiting.update(_decoder.decode(payload))
            except BaseException:
                journal.close()
                raise
        except FileNotFoundError as missing:
            raise self._damaged("its journal is missing") from missing
        except OSError as error:
            raise self._not_opened(error) from error
        except (BadRecord, msgspec.DecodeError) as damage:
            raise self._damaged(str(damage)) from damage
        journal.begin(epoch)
        self._journal = journal
        self._waiting = waiting
        if waiting:
            self.checkpoint({})

    # Writing: all of these raise LogFailed, now and ever after

    def append(self, changes: Changes) -> None:
        """Make these durable, all or nothing; they are in LevelDB later."""
        journal = self._writable()
        payload = _payload(changes)
        if payload is None or not journal.has_room(len(payload)):
            self.checkpoint(changes)
            return
        try:
            journal.append(payload)
        except BaseException as error:
            raise self._fail(error) from error
        self._waiting.update(changes)

    def begin_append(self, changes: Changes, eventfd: int) -> bool:
        """Begin to make these durable without a thread; `eventfd` is added to when they are, and `end_append` comes
        next. False: it takes `append`, nothing was done."""
        journal = self._writable()
        payload = _payload(changes)
        if payload is None or not journal.has_room(len(payload)):
            return False
        if not journal.begin_append(payload, eventfd):
            return False
        self._begun = changes
        return True

    def end_append(self, *, wait: bool = False) -> bool | None:
        """Whether what was begun is durable; None: not yet, unless `wait`; False: it takes `append`,
        they are not."""
        journal = self._writable()
        try:
            done = journal.end_append(wait=wait)
        except BaseException as error:
            raise self._fail(error) from error
        if done:
            self._waiting.update(self._begun)
        return done

    def checkpoint(self, changes: Changes) -> None:
        """Make these durable together with what waits; all of it is in LevelDB."""
        journal = self._writable()
        epoch = journal.epoch.following()
        self._waiting.update(changes)
        self._waiting[_EPOCH_KEY] = seal(_EPOCH_KEY, epoch.encode())
        self.write(self._waiting)
        self._waiting = {}
        journal.begin(epoch)

    def write(self, changes: Changes, *, sync: bool = True) -> None:
        """Write these to LevelDB; durable with `sync`. None of them may wait for a checkpoint. ANY THREAD."""
        self._writable()
        batch = self.db.write_batch(sync=sync)
        try:
            for key, record in changes.items():
                if record is None:
                    batch.delete(key)
                else:
                    batch.put(key, record)
            batch.write()
        except BaseException as error:
            raise self._fail(error) from error

    def close(self) -> None:
        """Move what waits to LevelDB, unless writing failed, and close the files. Idempotent.

        When that fails nothing is lost: it is in the journal.
        """
        if self._journal is not None:
            with suppress(LogFailed):
                if self._journal.has_begun:
                    self.end_append(wait=True)
                if self._failed is None and self._waiting:
                    self.checkpoint({})
            self._journal.close()
            self._journal = None
        self.db.close()

    def _writable(self) -> Journal:
        if self._failed is not None:
            raise LogFailed(f"the log in {self._directory} takes no writes since one failed: {self._failed}")
        assert self._journal is not None, "neither begun nor recovered, or closed"
        return self._journal

    def _fail(self, error: BaseException) -> LogFailed:
        self._failed = error
        return LogFailed(
            f"writing the log in {self._directory} failed ({error}): see that the disk is healthy and has room, then"
            " start the node again"
        )

    # What can be wrong at the start

    @property
    def _journal_path(self) -> str:
        return str(self._directory / "journal")

    def _not_opened(self, error: OSError) -> LogDamaged:
        check_refusal(f"the journal of the log in {self._directory}", error)
        return _unreadable(self._directory, error)

    def _damaged(self, fact: str) -> LogDamaged:
        return LogDamaged(f"the log in {self._directory} is damaged ({fact}): {REMEDY}")


def _payload(changes: Changes) -> bytes | None:
    """Of a record of the journal; None: these are so large that they are neither to be encoded nor written twice."""
    if sum([len(record) for record in changes.values() if record is not None]) > RECORD_BYTES_MAX:
        return None
    return _encoder.encode(changes)


def _unreadable(directory: Path, error: Exception) -> LogDamaged:
    return LogDamaged(f"the log in {directory} can not be opened ({error}): if the disk is healthy, {REMEDY}")
