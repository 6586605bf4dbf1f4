"""What the commands so far have made of a group's databases (Meta), and the way back from what fails.

Counts are changed by every key that comes or goes, so each change is noted as a difference; FLUSHDB and SWAPDB, which
are rare, save the whole record first. Who was told of a count, or looks for keys in a space, depends on the entry that
changed it last: `counts_index` and `spaces_index`.
"""

from server.keyspace.meta import Meta


class Ledger:
    """Of one group, at its leader; the view's."""

    __slots__ = (
        "_first",
        "_kept",
        "_saved",
        "_undo",
        "changed",
        "counts_index",
        "is_open",
        "meta",
        "spaces_index",
    )

    def __init__(self, meta: Meta) -> None:
        """`meta` is changed in place."""
        self.meta = meta
        self.changed = False
        """Meta is not what the last entry said; the executor writes it once per entry and resets this."""
        self.is_open = False
        """Something was counted or saved since the last `take`."""
        self.counts_index = 0
        """Log index of the last change to the counts: who was told of one waits for it, as for a record."""
        self.spaces_index = 0
        """Log index of the last FLUSHDB or SWAPDB: every later command sees it, by where it looks for its keys."""
        self._undo: list[tuple[int, int, int]] = []
        """(database, keys, expires) added to the counts since the last `take`."""
        self._kept = 0
        """The length of `_undo` at the last `keep`."""
        self._saved: tuple[bytes, int] | None = None
        """Meta and the length of `_undo` before the first FLUSHDB or SWAPDB since the last `keep`."""
        self._first: tuple[bytes, int] | None = None
        """Likewise, before that `keep`."""

    def count(self, db: int, keys: int, expires: int) -> None:
        """Database `db` has so many more keys, and more that expire."""
        database = self.meta.databases[db]
        database.keys += keys
        database.expires += expires
        self._undo.append((db, keys, expires))
        self.changed = self.is_open = True

    def new_id(self) -> int:
        """An id for a new collection's elements. It is not used again even if its command fails."""
        id_ = self.meta.next_id
        self.meta.next_id += 1
        self.changed = True
        return id_

    def save(self) -> None:
        """Spaces are about to change."""
        if self._saved is None:
            self._saved = (self.meta.encode(), len(self._undo))
        self.changed = self.is_open = True

    def take(self, index: int) -> None:
        """What was done since the last take is in the entry at `index`."""
        if self._undo:
            self._undo.clear()
            self.counts_index = index
        if self._saved is not None or self._first is not None:
            self._saved = self._first = None
            self.counts_index = self.spaces_index = index
        self._kept = 0
        self.is_open = False

    def keep(self) -> None:
        """What was done so far stays when `restore` is called."""
        self._kept = len(self._undo)
        if self._saved is not None:
            self._first = self._first or self._saved
            self._saved = None

    def restore(self) -> None:
        """All is as it was at the last `take`, or `keep`."""
        self._restore(self._saved, self._kept)
        self._saved = None

    def restore_all(self) -> None:
        """All is as it was at the last `take`."""
        self._restore(self._first or self._saved, 0)
        self._saved = self._first = None
        self._kept = 0
        self.is_open = False

    def _restore(self, saved: tuple[bytes, int] | None, length: int) -> None:
        """The counts as they were when `_undo` had `length`; `saved`: before the first change of spaces since then."""
        undo = self._undo
        databases = self.meta.databases
        if saved is not None:
            record, at = saved
            meta = Meta.decode(record)
            databases = self.meta.databases = meta.databases
            self.meta.next_space = meta.next_space
            del undo[at:]
        for db, keys, expires in undo[length:]:
            databases[db].keys -= keys
            databases[db].expires -= expires
        del undo[length:]
