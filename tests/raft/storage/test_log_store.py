"""The log store on a real LevelDB: what it keeps, what it notices, what it refuses."""

from pathlib import Path

import pytest

from raft.core.messages import ConfState, Entry, HardState, SnapshotMeta
from raft.core.storage import Compacted, SnapshotUnavailable, Unavailable
from raft.storage import (
    GroupLog,
    GroupWrite,
    LogDamaged,
    LogFailed,
    LogForeign,
    LogLocked,
    LogMissing,
    LogStore,
    SystemRefused,
)
from raft.storage.binding import plyvel
from raft.storage.group_log import CACHE_BYTES_MAX
from raft.storage.records import entry_key
from tests.raft.storage.faults import fill_disk

CONF = ConfState((1, 2, 3))


def entries(low: int, high: int, term: int = 1, data: bytes = b"data") -> list[Entry]:
    """Entries in [low, high)."""
    return [Entry(index, term, 0, data) for index in range(low, high)]


def filled(path: Path, last: int = 10) -> LogStore:
    """A store with group 5, entries 2..last (1 is the founding one)."""
    store = LogStore.open(path, create=True)
    store.create_group(5, CONF)
    store.write([GroupWrite(5, HardState(1, 2, last), entries(2, last + 1))])
    return store


def content(log: GroupLog) -> list[tuple[int, int]]:
    found = log.entries(log.first_index, log.last_index + 1, 1 << 30)
    return [(entry.index, entry.term) for entry in found]


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    store = filled(tmp_path / "log")
    store.create_group(0, ConfState(()))
    incarnation = store.incarnation
    store.put_meta("cluster", b"mine")
    store.close()

    store = LogStore.open(tmp_path / "log", create=False)
    assert store.groups() == [0, 5]
    assert store.incarnation == incarnation
    assert store.get_meta("cluster") == b"mine"
    assert store.get_meta("other") is None
    log = store.group(5)
    assert log.hard_state == HardState(1, 2, 10)
    assert log.conf == CONF
    assert (log.first_index, log.last_index, log.durable_applied) == (2, 10, 1)
    assert log.entries(2, 11, 1 << 20) == entries(2, 11)
    assert log.term(1) == 1
    empty = store.group(0)
    assert (empty.first_index, empty.last_index, empty.term(0)) == (1, 0, 0)
    with pytest.raises(KeyError):
        store.group(6)
    store.close()


def test_one_write_covers_many_groups(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path / "log", create=True)
    for group_id in (1, 2):
        store.create_group(group_id, CONF)
    store.write([GroupWrite(group_id, None, entries(2, 4)) for group_id in (1, 2)])
    store.close()
    store = LogStore.open(tmp_path / "log", create=False)
    assert [store.group(group_id).last_index for group_id in (1, 2)] == [3, 3]
    store.close()


def test_what_is_persisted_shows_only_when_it_is_published(tmp_path: Path) -> None:
    store = filled(tmp_path / "log")
    log = store.group(5)
    writes = [GroupWrite(5, HardState(2, 0, 10), entries(11, 12, 2))]
    store.persist(writes)
    assert (log.last_index, log.hard_state.term) == (10, 1)
    store.publish(writes)
    assert (log.last_index, log.hard_state.term) == (11, 2)
    store.close()


def test_an_overwrite_truncates_everything_from_its_index_on(tmp_path: Path) -> None:
    store = filled(tmp_path / "log")
    store.write([GroupWrite(5, HardState(2, 0, 5), entries(6, 8, 2))])
    expected = [(2, 1), (3, 1), (4, 1), (5, 1), (6, 2), (7, 2)]
    assert content(store.group(5)) == expected
    store.close()
    store = LogStore.open(tmp_path / "log", create=False)
    assert content(store.group(5)) == expected
    store.close()


def test_a_range_outside_the_log_is_refused_by_name(tmp_path: Path) -> None:
    store = filled(tmp_path / "log")
    log = store.group(5)
    with pytest.raises(Compacted):
        log.entries(1, 3, 100)
    with pytest.raises(Compacted):
        log.term(0)
    with pytest.raises(Unavailable):
        log.entries(5, 12, 100)
    with pytest.raises(Unavailable):
        log.term(11)
    with pytest.raises(SnapshotUnavailable):
        log.snapshot_meta()
    assert log.entries(5, 5, 100) == []
    assert log.entries(5, 10, 0) == entries(5, 6), "at least one"
    assert log.entries(5, 10, 9) == entries(5, 7), "no more than fits"
    store.close()


def test_what_is_too_old_for_memory_is_read_from_disk(tmp_path: Path) -> None:
    store = filled(tmp_path / "log")
    log = store.group(5)
    large = bytes(CACHE_BYTES_MAX // 4)
    for index in range(11, 21):
        store.write([GroupWrite(5, None, [Entry(index, 1, 0, large)])])
    assert len(log._cache) <= 4
    assert log.term(5) == 1
    assert [entry.index for entry in log.entries(2, 21, 1 << 30)] == [*range(2, 21)]
    assert [entry.index for entry in log.entries(9, 21, len(large))] == [9, 10]
    # A conflict below what is in memory.
    store.write([GroupWrite(5, HardState(2, 0, 10), entries(12, 14, 2))])
    assert content(log)[-3:] == [(11, 1), (12, 2), (13, 2)]
    store.close()


def test_a_large_entry_is_in_memory_until_it_is_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(tmp_path / "log")
    log = store.group(5)
    log.applied_index = 10
    large = bytes(9 * CACHE_BYTES_MAX)
    store.write([GroupWrite(5, None, [Entry(11, 1, 0, large)])])
    store.write([GroupWrite(5, None, entries(12, 14))])
    with monkeypatch.context() as without:
        without.delattr(GroupLog, "_read")
        assert [entry.data for entry in log.entries(11, 13, 1 << 30)] == [large, b"data"]
    log.applied_index = 11
    store.write([GroupWrite(5, None, entries(14, 15))])
    assert sum(len(entry.data) for entry in log._cache) < CACHE_BYTES_MAX
    # What came after it is no reason to keep everything.
    log.applied_index = 14
    for index in range(15, 28):
        store.write([GroupWrite(5, None, [Entry(index, 1, 0, bytes(CACHE_BYTES_MAX))])])
    assert len(log._cache) < 12
    assert [entry.index for entry in log.entries(2, 28, 1 << 30)] == [*range(2, 28)]
    store.close()


def test_a_term_is_known_without_reading_the_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path / "log")
    log = store.group(5)
    large = bytes(CACHE_BYTES_MAX // 2)
    for index, term in enumerate((1, 1, 3, 3, 3, 4, 4), 11):
        store.write([GroupWrite(5, HardState(term, 0, 10), [Entry(index, term, 0, large)])])
    store.close()
    store = LogStore.open(tmp_path / "log", create=False)
    log = store.group(5)
    assert len(log._cache) <= 2
    expected = {entry.index: entry.term for entry in log.entries(2, 18, 1 << 30)}
    monkeypatch.delattr(GroupLog, "_read")
    assert {index: log.term(index) for index in range(2, 18)} == expected
    store.write([GroupWrite(5, HardState(5, 0, 10), entries(14, 15, 5))])
    assert [log.term(index) for index in range(11, 15)] == [1, 1, 3, 5]
    log.compacted(13, 3, CONF, 13)
    assert [log.term(index) for index in range(13, 15)] == [3, 5]
    with pytest.raises(Compacted):
        log.term(12)
    store.close()


def test_compaction_forgets_the_front_and_survives_a_restart_before_the_sweep(tmp_path: Path) -> None:
    store = filled(tmp_path / "log", 2000)
    log = store.group(5)
    conf = ConfState((1, 2), learners=(4,))
    log.compacted(1500, 1, conf, 1800)
    assert (log.first_index, log.term(1500), log.durable_applied, log.conf) == (1501, 1, 1800, conf)
    store.compact(5, log.base)
    store.close()

    store = LogStore.open(tmp_path / "log", create=False)
    log = store.group(5)
    assert (log.first_index, log.last_index, log.durable_applied, log.conf) == (1501, 2000, 1800, conf)
    sweeps = 1
    while store.sweep(5):
        sweeps += 1
    assert sweeps > 1, "in bounded steps"
    store.close()
    db = plyvel.DB(str(tmp_path / "log"))
    assert db.get(entry_key(5, 1500)) is None
    assert db.get(entry_key(5, 1501)) is not None
    db.close()


def test_sizes_tell_how_much_can_go(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path / "log", create=True)
    log = store.create_group(5, CONF)
    for index in range(2, 202):
        store.write([GroupWrite(5, None, [Entry(index, 1, 0, bytes(10_000))])])
    assert log.size_bytes == pytest.approx(2_000_000, rel=0.05)
    upto = log.index_keeping(1_000_000, 1000)
    assert upto == pytest.approx(100, abs=10)
    assert log.index_keeping(1 << 30, 50) == 151
    assert log.index_keeping(1 << 30, 1000) == 1
    log.compacted(upto, 1, CONF, upto)
    assert log.size_bytes == pytest.approx(1_000_000, rel=0.15)
    store.write([GroupWrite(5, HardState(2, 0, upto), entries(150, 151, 2))])
    assert log.size_bytes == pytest.approx(500_000, rel=0.3)
    store.close()


def test_a_snapshot_begins_the_log_anew(tmp_path: Path) -> None:
    store = filled(tmp_path / "log")
    meta = SnapshotMeta(500, 3, ConfState((1, 4)))
    store.note_install(5, meta, 520)
    store.write([GroupWrite(5, HardState(3, 0, 500), entries(501, 503, 3), meta, 520)])
    store.close()
    store = LogStore.open(tmp_path / "log", create=False)
    log = store.group(5)
    assert content(log) == [(501, 3), (502, 3)]
    assert (log.term(500), log.conf, log.durable_applied, log.consistent_index) == (3, meta.conf, 500, 520)
    assert log.installing is None
    store.close()


def test_an_install_that_was_begun_is_found_after_a_crash_and_can_be_forgotten(tmp_path: Path) -> None:
    store = filled(tmp_path / "log")
    store.note_install(5, SnapshotMeta(500, 3, CONF), 520)
    store.close()
    store = LogStore.open(tmp_path / "log", create=False)
    log = store.group(5)
    assert log.installing is not None
    assert log.installing.index == 500
    assert log.last_index == 10
    store.forget_install(5)
    store.close()
    store = LogStore.open(tmp_path / "log", create=False)
    assert store.group(5).installing is None
    store.close()


# What is refused


def test_a_missing_log_is_not_made_unless_asked_for(tmp_path: Path) -> None:
    with pytest.raises(LogMissing, match="there is no log"):
        LogStore.open(tmp_path / "log", create=False)
    assert not (tmp_path / "log").exists()


def test_a_log_that_could_not_be_made_is_made_the_next_time(tmp_path: Path) -> None:
    for name in ("LOCK", "LOG", "MANIFEST-000001", "000001.dbtmp"):
        (tmp_path / name).write_bytes(b"")
    LogStore.open(tmp_path, create=True).close()
    LogStore.open(tmp_path, create=False).close()


def test_a_foreign_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "thesis.txt").write_text("mine")
    with pytest.raises(LogForeign, match="use another directory"):
        LogStore.open(tmp_path / "log", create=True)
    assert [file.name for file in (tmp_path / "log").iterdir()] == ["thesis.txt"]


def test_a_leveldb_of_somebody_else_is_not_taken_for_a_log(tmp_path: Path) -> None:
    db = plyvel.DB(str(tmp_path / "log"), create_if_missing=True)
    db.put(b"a", b"b")
    db.close()
    with pytest.raises(LogForeign, match="not a log of this program"):
        LogStore.open(tmp_path / "log", create=True)


def test_a_log_of_another_format_is_refused(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path / "log", create=True)
    store.put_meta("format", b"redraft log 99")
    store.close()
    with pytest.raises(LogForeign, match="redraft log 99"):
        LogStore.open(tmp_path / "log", create=True)


def test_a_crash_before_the_first_record_leaves_a_directory_that_can_be_used(tmp_path: Path) -> None:
    plyvel.DB(str(tmp_path / "log"), create_if_missing=True).close()
    store = LogStore.open(tmp_path / "log", create=True)
    assert len(store.incarnation) == 16
    store.close()


def test_a_log_in_use_is_locked(tmp_path: Path) -> None:
    store = filled(tmp_path / "log")
    with pytest.raises(LogLocked, match="in use"):
        LogStore.open(tmp_path / "log", create=False)
    store.close()


@pytest.mark.parametrize(
    "said",
    [
        b"IO error: /d/log/MANIFEST-000001: No space left on device",
        b"IO error: lock /d/log/LOCK: Permission denied",
    ],
)
def test_what_the_system_refuses_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise plyvel.IOError(said)

    monkeypatch.setattr(plyvel, "DB", refuse)
    with pytest.raises(SystemRefused, match=said.decode().rpartition(": ")[2] + "; nothing is wrong"):
        LogStore.open(tmp_path / "log", create=True)


def newest_file(path: Path, suffix: str) -> Path:
    return max((path / "log").glob(f"*{suffix}"))


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_a_flipped_bit_is_noticed(tmp_path: Path, part: float) -> None:
    store = filled(tmp_path / "log", 200)
    store.close()
    file = newest_file(tmp_path, ".log")
    data = bytearray(file.read_bytes())
    data[int(len(data) * part)] ^= 1
    file.write_bytes(data)
    with pytest.raises(LogDamaged, match="rebuild"):
        LogStore.open(tmp_path / "log", create=False).group(5)


def tamper(path: Path, key: bytes, value: bytes | None) -> None:
    db = plyvel.DB(str(path / "log"))
    if value is None:
        db.delete(key)
    else:
        db.put(key, value)
    db.close()


def test_a_hole_is_noticed(tmp_path: Path) -> None:
    filled(tmp_path / "log").close()
    tamper(tmp_path, entry_key(5, 6), None)
    store = LogStore.open(tmp_path / "log", create=False)
    with pytest.raises(LogDamaged, match="entry 6 is missing"):
        store.group(5)
    store.close()


def test_a_lost_end_is_noticed_by_the_hard_state(tmp_path: Path) -> None:
    filled(tmp_path / "log").close()
    tamper(tmp_path, entry_key(5, 10), None)
    store = LogStore.open(tmp_path / "log", create=False)
    with pytest.raises(LogDamaged, match="its commit is 10, but the log ends at 9"):
        store.group(5)
    store.close()


@pytest.mark.parametrize("other", [entry_key(5, 7), entry_key(6, 6)])
def test_an_entry_in_the_wrong_place_is_noticed(tmp_path: Path, other: bytes) -> None:
    store = filled(tmp_path / "log")
    store.create_group(6, CONF)
    store.write([GroupWrite(6, None, entries(2, 11))])
    store.close()
    db = plyvel.DB(str(tmp_path / "log"))
    db.put(entry_key(5, 6), db.get(other))
    db.close()
    store = LogStore.open(tmp_path / "log", create=False)
    with pytest.raises(LogDamaged, match="entry 6"):
        store.group(5)
    store.close()


def test_a_lost_hard_state_is_noticed(tmp_path: Path) -> None:
    filled(tmp_path / "log").close()
    tamper(tmp_path, b"\x00\x05\x01", None)
    store = LogStore.open(tmp_path / "log", create=False)
    with pytest.raises(LogDamaged, match="hard state"):
        store.group(5)
    store.close()


@pytest.mark.parametrize("length", [4, 1 << 20])
def test_after_a_failed_write_every_later_one_is_refused(tmp_path: Path, length: int) -> None:
    """After a failed sync nobody knows what is on the disk."""
    store = filled(tmp_path / "log")
    table = store._table
    db, journal = table.db, table._journal
    fill_disk(store)
    with pytest.raises(LogFailed, match="No space left"):
        store.persist([GroupWrite(5, None, [Entry(11, 1, 0, bytes(length))])])
    table.db, table._journal = db, journal
    with pytest.raises(LogFailed, match="takes no writes since one failed"):
        store.persist([GroupWrite(5, None, entries(11, 12))])
    assert store.group(5).last_index == 10
    store.close()
    store = LogStore.open(tmp_path / "log", create=False)
    assert store.group(5).last_index == 10
    store.close()
