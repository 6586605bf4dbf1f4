"""A log store whose writes fail."""

import errno
import os
from typing import Any

from raft.storage import LogStore
from raft.storage.binding import plyvel
from raft.storage.journal import Journal


def fill_disk(store: LogStore) -> None:
    """From now on nothing can be written, neither to the journal nor to LevelDB."""
    table = store._table
    assert table._journal is not None
    table._journal = _FullJournal(table._journal)
    table.db = _FullLevelDB(table.db)


class _FullJournal(Journal):
    def __init__(self, journal: Journal) -> None:
        super().__init__(journal._descriptor, journal._size_bytes)

    def begin_append(self, payload: bytes, eventfd: int) -> bool:
        return False

    def append(self, payload: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class _FullLevelDB:
    """The database that it is given, but every batch fails to be written."""

    def __init__(self, db: Any) -> None:
        self._db = db

    def write_batch(self, *, sync: bool) -> "_FullLevelDB":
        return self

    def put(self, key: bytes, value: bytes) -> None:
        pass

    def delete(self, key: bytes) -> None:
        pass

    def write(self) -> None:
        raise plyvel.IOError("IO error: No space left on device")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)
