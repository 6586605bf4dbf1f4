"""A LevelDB whose writes fail."""

from typing import Any

from raft.storage.binding import plyvel


class FailingWrites:
    """The database that it is given, but every batch fails to be written."""

    def __init__(self, db: Any, text: str = "IO error: No space left on device") -> None:
        self._db = db
        self._text = text

    def write_batch(self, *, sync: bool) -> "FailingWrites":
        return self

    def put(self, key: bytes, value: bytes) -> None:
        pass

    def delete(self, key: bytes) -> None:
        pass

    def write(self) -> None:
        raise plyvel.IOError(self._text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)
