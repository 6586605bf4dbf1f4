"""The log store: one LevelDB for the logs of all groups of a node, so that one sync covers them all.

Two threads use it. The disk thread calls `persist`, `compact` and `sweep`, one after another; the loop calls `publish`
when a persist is done, and reads through the GroupLogs. `write` is both for callers with one thread. `begin_persist`
and `end_persist` are a `persist` that needs no thread, where the system can do that.

Entries and hard states are appended to the table below (table.py): they are synced in its journal, and in LevelDB not
before its next checkpoint. Nobody reads them there until then, since each GroupLog keeps more of its newest entries in
memory than the journal holds.

What LevelDB does and does not promise shaped this file:
- A lost tail is not noticed, so each entry carries its index, term and checksum, and `group` checks that they follow
  each other and reach as far as the hard state says.
- Unsynced batches before a synced one may be lost while the synced one is kept (they can lie in different files). So
  compaction moves the base in a synced batch first, and what it then deletes does not matter.

A new group starts at index 1, term 1, as if entry 1 had been compacted: a node that joins with an empty log can then
only be caught up by a snapshot, which tells it the configuration that no entry of the log carries.
"""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from raft.core.messages import ConfState, Entry, HardState, SnapshotMeta
from raft.storage.binding import plyvel
from raft.storage.errors import REMEDY, LogDamaged, LogForeign, LogMissing
from raft.storage.group_log import GroupLog, damaged
from raft.storage.records import (
    GROUP_MAX,
    NODE_PREFIX,
    TAG_BASE,
    TAG_ENTRY,
    TAG_HARD_STATE,
    TAG_INSTALL,
    BadRecord,
    Base,
    decode_base,
    decode_hard_state,
    encode_base,
    encode_entry,
    encode_hard_state,
    entry_key,
    entry_key_index,
    record_key,
    seal,
    unseal,
)
from raft.storage.table import Changes, Table

FORMAT = b"redraft log 2"
_SWEEP_BATCH_KEYS = 500
_BEGUN = frozenset(("LOCK", "LOG", "LOG.old", "MANIFEST-000001", "000001.dbtmp"))
"""What LevelDB may leave behind when making a store did not succeed: there was no space, for example."""


class GroupWrite(NamedTuple):
    """What one group wants on disk: all of it or nothing, together with the other groups of the same write."""

    group_id: int
    hard_state: HardState | None = None
    entries: Sequence[Entry] = ()
    """Consecutive. Whatever was stored from the first one's index on is dropped."""
    snapshot: SnapshotMeta | None = None
    """Drop the whole log: it begins after this snapshot. `entries` come after it."""
    consistent_index: int = 0
    """With `snapshot`: the index at which its data is consistent."""


class LogStore:
    """All groups' logs in one directory. Make it with `open`; one process at a time."""

    def __init__(self, table: Table, path: str) -> None:
        self._table = table
        self._db = table.db
        self._path = path
        self._logs: dict[int, GroupLog] = {}
        # What is on disk, as the disk thread knows it: group -> [base index, last index, lowest key not swept].
        self._extent: dict[int, list[int]] = {}
        self._begun_extents: dict[int, list[int]] = {}

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, create: bool) -> Self:
        """Open the log in directory `path`; with `create`, make it when there is nothing.

        Raises LogMissing (nothing there and not `create`), LogForeign, LogLocked, LogDamaged, LogFailed, SystemRefused.
        """
        directory = Path(path)
        is_new = not directory.exists() or {each.name for each in directory.iterdir()} <= _BEGUN
        if is_new and not create:
            raise LogMissing(f"there is no log in {directory}: check the data directory in the configuration")
        if not is_new and not (directory / "CURRENT").exists():
            raise LogForeign(f"{directory} is not empty and holds no log: use another directory")
        table = Table.open(directory, create=is_new)
        store = cls(table, str(directory))
        try:
            # New, or a crash came before its first record.
            if create and table.is_empty:
                table.begin(_sealed({"incarnation": secrets.token_bytes(16), "format": FORMAT}))
                return store
            found = store.get_meta("format")
            if found is None:
                raise LogForeign(
                    f"{directory} holds a LevelDB that is not a log of this program: use another one"
                )
            if found != FORMAT:
                raise LogForeign(
                    f"the log in {directory} has format {found!r}; this version reads only {FORMAT!r}"
                )
            table.recover()
        except BaseException:
            table.close()
            raise
        return store

    def close(self) -> None:
        """Close the files. The threads that use the store must have been joined. Idempotent."""
        self._table.close()

    # Facts about the node

    @property
    def incarnation(self) -> bytes:
        """16 random bytes made with the directory: a node with an empty disk is not the node it was."""
        value = self.get_meta("incarnation")
        if value is None:
            raise LogDamaged(f"the log in {self._path} has lost its identity: {REMEDY}")
        return value

    def get_meta(self, key: str) -> bytes | None:
        """A fact stored by put_meta. Raises LogDamaged when it was altered."""
        name = NODE_PREFIX + key.encode()
        record = self._db.get(name)
        if record is None:
            return None
        try:
            return unseal(name, record)
        except BadRecord as error:
            raise LogDamaged(f"the log in {self._path} is damaged ({key}: {error}): {REMEDY}") from error

    def put_meta(self, key: str, value: bytes) -> None:
        """Store a fact, synced. Raises LogFailed."""
        self._table.write(_sealed({key: value}))

    def delete_meta(self, key: str) -> None:
        """Forget a fact, synced; nothing when it is not there. Raises LogFailed."""
        self._table.write({NODE_PREFIX + key.encode(): None})

    # Groups

    def groups(self) -> list[int]:
        """Ids of all groups that have a log here, ascending."""
        found: list[int] = []
        next_id = 0
        with self._db.iterator(include_value=False) as keys:
            while next_id <= GROUP_MAX:
                keys.seek(record_key(next_id, 0))
                key = next(keys, None)
                if key is None or (group_id := int.from_bytes(key[:2], "big")) > GROUP_MAX:
                    break
                found.append(group_id)
                next_id = group_id + 1
        return found

    def create_group(self, group_id: int, conf: ConfState) -> GroupLog:
        """Start the log of a new group, synced.

        `conf` is its first configuration, the same on every node that founds the group; a node that joins later
        gives an empty one and learns it by snapshot. Raises LogFailed.
        """
        assert 0 <= group_id <= GROUP_MAX, group_id
        assert group_id not in self.groups(), f"group {group_id} exists"
        start = 1 if conf.voters else 0
        base = Base(start, start, start, 0, conf)
        hard_state_key, base_key = record_key(group_id, TAG_HARD_STATE), record_key(group_id, TAG_BASE)
        self._table.write(
            {
                hard_state_key: encode_hard_state(hard_state_key, HardState(start, 0, start)),
                base_key: encode_base(base_key, base),
            }
        )
        return self.group(group_id)

    def group(self, group_id: int) -> GroupLog:
        """The log of a group; the first call reads and checks all of it. Raises KeyError, LogDamaged."""
        if group_id in self._logs:
            return self._logs[group_id]
        records: dict[int, bytes | None] = {}
        for tag in (TAG_HARD_STATE, TAG_BASE, TAG_INSTALL):
            records[tag] = self._db.get(record_key(group_id, tag))
        hard_state, base, install = records[TAG_HARD_STATE], records[TAG_BASE], records[TAG_INSTALL]
        if hard_state is None and base is None and group_id not in self.groups():
            raise KeyError(group_id)
        try:
            if hard_state is None or base is None:
                raise BadRecord("its hard state or its base is missing")
            log = GroupLog(
                self._db,
                self._path,
                group_id,
                decode_hard_state(record_key(group_id, TAG_HARD_STATE), hard_state),
                decode_base(record_key(group_id, TAG_BASE), base),
                None if install is None else decode_base(record_key(group_id, TAG_INSTALL), install),
            )
            log.load()
        except (BadRecord, plyvel.CorruptionError, plyvel.IOError) as error:
            raise damaged(self._path, group_id, str(error)) from error
        self._logs[group_id] = log
        self._extent[group_id] = [log.base.index, log.last_index, self._lowest_key(group_id, log.first_index)]
        return log

    def _lowest_key(self, group_id: int, first_index: int) -> int:
        """Index of the lowest entry on disk: below first_index when a sweep was cut short."""
        start, stop = record_key(group_id, TAG_ENTRY), entry_key(group_id, first_index)
        with self._db.iterator(start=start, stop=stop, include_value=False) as keys:
            key = next(keys, None)
        return first_index if key is None else entry_key_index(key)

    # Writing

    def write(self, writes: Sequence[GroupWrite]) -> None:
        """persist and publish, for a caller with one thread. Raises LogFailed."""
        self.persist(writes)
        self.publish(writes)

    def persist(self, writes: Sequence[GroupWrite]) -> None:
        """Make all of it durable, or nothing. DISK THREAD. Raises LogFailed, now and ever after."""
        changes, extents, begins_anew = self._changes(writes)
        if begins_anew:  # base and install are written past the journal as well, so they must not wait in it
            self._table.checkpoint(changes)
        else:
            self._table.append(changes)
        self._extent.update(extents)

    def begin_persist(self, writes: Sequence[GroupWrite], eventfd: int) -> bool:
        """Begin to make all of it durable without a thread; `eventfd` is added to when it is, and `end_persist` comes
        next, before any call for the DISK THREAD. LOOP, while that has nothing to do here.

        False: it takes `persist`, nothing was done. Raises LogFailed, now and ever after.
        """
        changes, extents, begins_anew = self._changes(writes)
        if begins_anew or not self._table.begin_append(changes, eventfd):
            return False
        self._begun_extents = extents
        return True

    def end_persist(self, *, wait: bool = False) -> bool | None:
        """Whether what was begun is durable; None: not yet, unless `wait`; False: it takes `persist`, it is
        not. Raises LogFailed, now and ever after."""
        done = self._table.end_append(wait=wait)
        if done:
            self._extent.update(self._begun_extents)
        return done

    def _changes(self, writes: Sequence[GroupWrite]) -> tuple[Changes, dict[int, list[int]], bool]:
        """The records of `writes`, what `_extent` will be of their groups, and whether a log begins anew."""
        changes: Changes = {}
        extents: dict[int, list[int]] = {}
        begins_anew = False
        for write in writes:
            group_id = write.group_id
            base_index, last_index, lowest = self._extent[group_id]
            if write.snapshot is not None:
                begins_anew = True
                for index in range(lowest, last_index + 1):
                    changes[entry_key(group_id, index)] = None
                base_index = last_index = write.snapshot.index
                lowest = base_index + 1
                key = record_key(group_id, TAG_BASE)
                changes[key] = encode_base(key, _reset_base(write.snapshot, write.consistent_index))
                changes[record_key(group_id, TAG_INSTALL)] = None
            if write.entries:
                assert base_index < write.entries[0].index <= last_index + 1, (
                    write.entries[0].index,
                    last_index,
                )
                for entry in write.entries:
                    changes[entry_key(group_id, entry.index)] = encode_entry(group_id, entry)
                for index in range(write.entries[-1].index + 1, last_index + 1):
                    changes[entry_key(group_id, index)] = None
                last_index = write.entries[-1].index
            if write.hard_state is not None:
                key = record_key(group_id, TAG_HARD_STATE)
                changes[key] = encode_hard_state(key, write.hard_state)
            extents[group_id] = [base_index, last_index, lowest]
        return changes, extents, begins_anew

    def publish(self, writes: Sequence[GroupWrite]) -> None:
        """Show the readers what `persist` wrote. LOOP."""
        for write in writes:
            reset = None if write.snapshot is None else _reset_base(write.snapshot, write.consistent_index)
            self._logs[write.group_id].published(write.hard_state, write.entries, reset)

    def note_install(self, group_id: int, meta: SnapshotMeta, consistent_index: int) -> None:
        """Remember, synced, that this snapshot is about to replace the group's data. DISK THREAD. Raises LogFailed.

        Removed by a GroupWrite with a snapshot, or by forget_install. Found after a crash in GroupLog.installing.
        """
        key = record_key(group_id, TAG_INSTALL)
        self._table.write({key: encode_base(key, _reset_base(meta, consistent_index))})

    def forget_install(self, group_id: int) -> None:
        """The install that was noted did not happen. Any thread that has the store alone. Raises LogFailed."""
        self._table.write({record_key(group_id, TAG_INSTALL): None})
        self._logs[group_id].installing = None

    def note_consistent(self, group_id: int, index: int) -> None:
        """Remember, synced, that the data is consistent only from `index` on. At start. Raises LogFailed."""
        log = self._logs[group_id]
        log.expect_consistent_at(index)
        key = record_key(group_id, TAG_BASE)
        self._table.write({key: encode_base(key, log.base)})

    def compact(self, group_id: int, base: Base) -> None:
        """Write the base that GroupLog.compacted set, synced. DISK THREAD. Raises LogFailed.

        The entries below it are garbage from here on; `sweep` deletes them, and none of them comes out of the journal
        after that. A base that a snapshot has overtaken in the meantime is ignored.
        """
        extent = self._extent[group_id]
        if base.index < extent[0]:
            return
        key = record_key(group_id, TAG_BASE)
        self._table.checkpoint({key: encode_base(key, base)})
        extent[0] = base.index

    def sweep(self, group_id: int) -> bool:
        """Delete some of the entries below the base, unsynced; True when there are more. DISK THREAD.

        Bounded, so that a persist that waits behind it does not wait long. Raises LogFailed.
        """
        extent = self._extent[group_id]
        stop = min(extent[2] + _SWEEP_BATCH_KEYS, extent[0] + 1)
        if stop <= extent[2]:
            return False
        self._table.write({entry_key(group_id, index): None for index in range(extent[2], stop)}, sync=False)
        extent[2] = stop
        return stop <= extent[0]


def _sealed(facts: dict[str, bytes]) -> Changes:
    names = {NODE_PREFIX + key.encode(): value for key, value in facts.items()}
    return {name: seal(name, value) for name, value in names.items()}


def _reset_base(meta: SnapshotMeta, consistent_index: int) -> Base:
    return Base(meta.index, meta.term, meta.index, consistent_index, meta.conf)
