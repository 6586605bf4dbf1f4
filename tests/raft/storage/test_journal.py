"""What the log store does between two checkpoints: a directory that is copied while the store is open is what a crash
leaves behind."""

import fcntl
import os
import shutil
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft.core.messages import ConfState, Entry, HardState, SnapshotMeta
from raft.storage import GroupLog, GroupWrite, LogDamaged, LogFailed, LogStore, SystemRefused
from raft.storage.binding import plyvel
from raft.storage.group_log import CACHE_BYTES_MAX
from raft.storage.journal import BYTES_MAX, PAGE_BYTES, RECORD_BYTES_MAX, Epoch, Journal
from raft.storage.records import entry_key

CONF = ConfState((1, 2, 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


def founded(path: Path) -> LogStore:
    """A store with groups 5 and 6, each with an entry 1."""
    store = LogStore.open(path, create=True)
    for group_id in (5, 6):
        store.create_group(group_id, CONF)
    return store


def entry(index: int, data: bytes = b"data", group_id: int = 5) -> list[GroupWrite]:
    """One entry, which is the last one then, and committed."""
    return [GroupWrite(group_id, HardState(1, 2, index), [Entry(index, 1, 0, data)])]


def write(store: LogStore, index: int, data: bytes = b"data", group_id: int = 5) -> None:
    """See `entry`."""
    store.write(entry(index, data, group_id))


def forget_pages(store: LogStore) -> None:
    """What was read or copied by way of the page cache the kernel would have to wait for."""
    os.posix_fadvise(store._table._journal._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # type: ignore[union-attr]


def begun(store: LogStore, writes: list[GroupWrite], eventfd: int) -> None:
    """Without a thread, to its end."""
    forget_pages(store)
    assert store.begin_persist(writes, eventfd)
    assert os.eventfd_read(eventfd) == 1  # waits for it
    assert store.end_persist() is True
    store.publish(writes)


def crashed(path: Path) -> Path:
    """What a store that is open now would find in its directory after a crash."""
    for number in count():
        copy = path.with_name(f"crash{number}")
        if not copy.exists():
            shutil.copytree(path, copy)
            return copy
    raise AssertionError


def content(log: GroupLog) -> list[Entry]:
    return log.entries(log.first_index, log.last_index + 1, 1 << 40)


def last_index(path: Path) -> int:
    """Of group 5."""
    store = LogStore.open(path, create=False)
    last: int = store.group(5).last_index
    store.close()
    return last


def in_leveldb(store: LogStore, index: int) -> bool:
    return store._table.db.get(entry_key(5, index)) is not None


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(("append", "begun")),
            st.sampled_from((5, 6)),
            st.integers(1, 3),
            st.sampled_from((0, 9, 5000)),
        ),
        st.tuples(st.just("append"), st.just(5), st.just(1), st.just(RECORD_BYTES_MAX)),
        st.tuples(st.just("replace"), st.sampled_from((5, 6)), st.integers(1, 4), st.just(7)),
        st.tuples(st.just("snapshot"), st.sampled_from((5, 6)), st.just(0), st.just(0)),
        st.tuples(st.just("compact"), st.sampled_from((5, 6)), st.just(0), st.just(0)),
        st.tuples(st.just("crash"), st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("close"), st.just(0), st.just(0), st.just(0)),
    ),
    max_size=25,
)


@given(STEPS)
def test_whenever_it_crashes_everything_written_is_there(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int, int]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "log"
    store = founded(path)
    eventfd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    term = 1
    kept: dict[int, tuple[HardState, list[Entry]]] = {
        5: (HardState(1, 0, 1), []),
        6: (HardState(1, 0, 1), []),
    }
    for step, group_id, number, length in steps:
        log = store.group(group_id) if group_id else None
        if step in ("append", "begun", "replace"):
            assert log is not None
            state, entries = kept[group_id]
            if step == "replace":
                term += 1
                entries = entries[: max(len(entries) - number, 0)]
            first = entries[-1].index + 1 if entries else log.first_index
            new = [Entry(first + n, term, 0, bytes([n]) * length) for n in range(number)]
            state = HardState(term, 0, 1 if step == "replace" else state.commit)
            writes = [GroupWrite(group_id, state, new)]
            if step == "begun" and store.begin_persist(writes, eventfd) and store.end_persist(wait=True):
                store.publish(writes)
            else:
                store.write(writes)
            kept[group_id] = (state, entries + new)
        elif step == "snapshot":
            assert log is not None
            term += 1
            meta = SnapshotMeta(log.last_index + 10, term, CONF)
            state = HardState(term, 0, meta.index)
            store.note_install(group_id, meta, meta.index)
            store.write([GroupWrite(group_id, state, (), meta, meta.index)])
            kept[group_id] = (state, [])
        elif step == "compact":
            assert log is not None
            upto = log.last_index
            log.compacted(upto, log.term(upto), CONF, upto)
            store.compact(group_id, log.base)
            while store.sweep(group_id):
                pass
            kept[group_id] = (kept[group_id][0], [])
        elif step == "close":
            store.close()
            store = LogStore.open(path, create=False)
        else:
            copy = crashed(path)
            store.close()
            path = copy
            store = LogStore.open(path, create=False)
        for each, (state, entries) in kept.items():
            found = store.group(each)
            assert (found.hard_state, content(found)) == (state, entries)
    store.close()
    os.close(eventfd)


def test_a_write_is_in_the_journal_first_and_in_leveldb_after_a_checkpoint(path: Path) -> None:
    store = founded(path)
    write(store, 2)
    assert not in_leveldb(store, 2)
    assert last_index(crashed(path)) == 2
    store.close()
    db = plyvel.DB(str(path))
    assert db.get(entry_key(5, 2)) is not None, "closing moves what waits"
    db.close()


def test_the_file_is_written_over_and_over(path: Path) -> None:
    store = founded(path)
    data = bytes(50_000)
    for index in range(2, 202):
        write(store, index, data)
    assert (path / "journal").stat().st_size <= BYTES_MAX
    assert last_index(crashed(path)) == 201
    copy = crashed(path)
    store.close()
    store = LogStore.open(copy, create=False)
    assert [entry.data for entry in content(store.group(5))] == [data] * 200
    store.close()


@pytest.mark.parametrize("length", [0, 20, 4000])
def test_what_is_only_in_the_journal_is_in_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    """However small the entries are, and with other groups that fill their memory, too."""
    store = founded(path)
    index = 1
    log = store.group(5)
    log.applied_index = 1 << 40
    for _ in range(24 if length < 1000 else 600):
        new = [Entry(index + n, 1, 0, bytes(length)) for n in range(1, 8000 if length < 1000 else 100)]
        store.write([GroupWrite(5, None, new)])
        index = new[-1].index
        first = next((n for n in range(index, 1, -1) if in_leveldb(store, n)), 1) + 1
        with monkeypatch.context() as without:
            without.delattr(GroupLog, "_read")
            assert len(log.entries(first, index + 1, 1 << 40)) == index + 1 - first
        if log._cache_first > 2:
            break
    assert log._cache_first > 2, "memory was never full"
    assert BYTES_MAX < CACHE_BYTES_MAX
    store.close()


def test_a_write_returns_when_it_is_on_disk(path: Path) -> None:
    store = founded(path)
    journal = store._table._journal
    assert journal is not None
    assert fcntl.fcntl(journal._descriptor, fcntl.F_GETFL) & os.O_DSYNC
    store.close()
    store = LogStore.open(path, create=False)
    journal = store._table._journal
    assert journal is not None
    assert fcntl.fcntl(journal._descriptor, fcntl.F_GETFL) & os.O_DSYNC
    store.close()


def test_what_is_large_goes_to_leveldb_at_once(path: Path) -> None:
    store = founded(path)
    write(store, 2)
    before = (path / "journal").stat().st_size
    write(store, 3, bytes(RECORD_BYTES_MAX + 1))
    assert in_leveldb(store, 2)
    assert in_leveldb(store, 3)
    assert (path / "journal").stat().st_size == before
    assert last_index(crashed(path)) == 3
    store.close()


# What a crash may leave


def journal_bytes(path: Path) -> bytearray:
    return bytearray((path / "journal").read_bytes())


@pytest.mark.parametrize("place", [0, 8, 16, 20, 24, PAGE_BYTES, PAGE_BYTES + 900])
def test_a_torn_last_record_is_the_end(path: Path, place: int) -> None:
    """What a power failure leaves of a write that nobody was told of."""
    store = founded(path)
    for index in (2, 3):
        write(store, index)
    write(store, 4, b"x" * 5000)
    copy = crashed(path)
    content = journal_bytes(copy)
    content[2 * PAGE_BYTES + place] ^= 0xFF
    (copy / "journal").write_bytes(content)
    assert last_index(copy) == 3
    store.close()


@pytest.mark.parametrize("kept", [0, 1, 23, 24, 25, PAGE_BYTES - 1, PAGE_BYTES])
def test_a_journal_that_was_cut_in_its_last_record_ends_before_it(path: Path, kept: int) -> None:
    store = founded(path)
    write(store, 2)
    write(store, 3, b"x" * 5000)
    copy = crashed(path)
    (copy / "journal").write_bytes(journal_bytes(copy)[: PAGE_BYTES + kept])
    assert last_index(copy) == 2
    store.close()


@pytest.mark.parametrize("place", [0, 12, 17, 23, 40])
@pytest.mark.parametrize("record", [0, 1])
def test_a_flipped_bit_with_whole_records_behind_it_is_damage(path: Path, record: int, place: int) -> None:
    store = founded(path)
    for index in (2, 3, 4):
        write(store, index)
    copy = crashed(path)
    content = journal_bytes(copy)
    content[record * PAGE_BYTES + place] ^= 1
    (copy / "journal").write_bytes(content)
    with pytest.raises(
        LogDamaged, match=f"record {record} of its journal does not match its checksum.*rebuild"
    ):
        LogStore.open(copy, create=False)
    with pytest.raises(LogDamaged, match="checksum"):
        LogStore.open(copy, create=False)
    assert journal_bytes(copy) == content, "nothing is touched"
    store.close()


def test_what_was_written_before_a_checkpoint_does_not_come_again(path: Path) -> None:
    store = founded(path)
    for index in (2, 3, 4):
        write(store, index)
    store.compact(5, store.group(5).base)  # a checkpoint
    store.write([GroupWrite(5, HardState(2, 0, 1), [Entry(2, 2, 0, b"new")])])
    copy = crashed(path)
    store.close()
    store = LogStore.open(copy, create=False)
    assert content(store.group(5)) == [Entry(2, 2, 0, b"new")]
    store.close()


def test_a_value_that_looks_like_a_record_is_none(tmp_path: Path) -> None:
    """Whoever sends it may know which page it comes to lie in, and the number of the epoch that follows."""
    forged = Journal.create(str(tmp_path / "forged"))
    forged.begin(Epoch(8, 0))
    forged.append(b"forged")
    forged.close()
    value = (tmp_path / "forged").read_bytes()[:PAGE_BYTES]
    journal = Journal.create(str(tmp_path / "journal"))
    journal.begin(Epoch(7, 0))
    journal.append(bytes(PAGE_BYTES - 24) + value)
    assert (tmp_path / "journal").read_bytes()[PAGE_BYTES : 2 * PAGE_BYTES] == value
    epoch = journal.epoch.following()
    journal.begin(epoch)
    journal.append(b"own")
    assert journal.read(epoch) == [b"own"]
    journal.close()


def test_an_install_that_is_noted_outlasts_the_checkpoint_after_the_one_before(path: Path) -> None:
    store = founded(path)
    for index, term in ((10, 2), (20, 3)):
        meta = SnapshotMeta(index, term, CONF)
        store.note_install(5, meta, index)
        if index == 10:
            store.write([GroupWrite(5, HardState(term, 0, index), (), meta, index)])
    store.compact(6, store.group(6).base)
    copy = crashed(path)
    store.close()
    store = LogStore.open(copy, create=False)
    installing = store.group(5).installing
    assert installing is not None
    assert installing.index == 20
    store.close()


def test_a_checkpoint_that_a_power_failure_cut_is_made_again(path: Path) -> None:
    store = founded(path)
    for index in (2, 3):
        write(store, index)
    store.compact(5, store.group(5).base)
    copy = crashed(path)
    newest = max(copy.glob("*.log"))
    newest.write_bytes(newest.read_bytes()[:-10])
    assert last_index(copy) == 3
    store.close()


def test_a_lost_checkpoint_is_noticed(path: Path) -> None:
    store = founded(path)
    write(store, 2)
    old = crashed(path)
    store.compact(5, store.group(5).base)
    write(store, 3)
    shutil.copy(path / "journal", old / "journal")
    with pytest.raises(LogDamaged, match="what was moved from its journal is missing"):
        LogStore.open(old, create=False)
    store.close()


def test_a_lost_journal_is_noticed(path: Path) -> None:
    founded(path).close()
    (path / "journal").unlink()
    with pytest.raises(LogDamaged, match=r"its journal is missing.*rebuild"):
        LogStore.open(path, create=True)


def test_a_journal_that_the_system_keeps_is_no_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    founded(path).close()

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(SystemRefused, match="Permission denied; nothing is wrong with the data"):
            LogStore.open(path, create=False)
    LogStore.open(path, create=False).close()


def test_a_journal_that_can_not_be_read_is_no_matter_of_the_system(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    founded(path).close()

    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "preadv", fail)
        with pytest.raises(LogDamaged, match=r"Input/output error.*if the disk is healthy.*rebuild"):
            LogStore.open(path, create=False)
    LogStore.open(path, create=False).close()


def test_a_journal_that_is_read_in_part_does_not_end_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to a bad sector, behind which acknowledged records may lie."""
    store = founded(path)
    for index in (2, 3):
        write(store, index)
    copy = crashed(path)
    store.close()
    whole = os.preadv
    with monkeypatch.context() as patched:
        patched.setattr(os, "preadv", lambda *words: min(whole(*words), PAGE_BYTES))
        with pytest.raises(LogDamaged, match=r"only 4096 of 262144 bytes.*if the disk is healthy"):
            LogStore.open(copy, create=False)
    assert last_index(copy) == 3


def test_a_start_that_came_to_nothing_is_made_good(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        with pytest.raises(SystemRefused, match="No space left"):
            LogStore.open(path, create=True)
    store = founded(path)
    write(store, 2)
    store.close()
    assert last_index(path) == 2


def assert_refuses_all(store: LogStore, path: Path) -> None:
    """After the write of entry 3 has failed."""
    for attempt in (
        lambda: write(store, 3),
        lambda: store.begin_persist(entry(3), -1),
        lambda: store.put_meta("a", b"b"),
        lambda: store.compact(5, store.group(5).base),
    ):
        with pytest.raises(LogFailed, match="takes no writes since one failed"):
            attempt()
    assert store.group(5).last_index == 2
    store.close()
    assert last_index(path) in (2, 3), "nothing is known of the write that failed"


def test_after_a_failed_write_of_the_journal_every_later_one_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = founded(path)
    write(store, 2)

    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", fail)
        with pytest.raises(LogFailed, match=r"Input/output error.*see that the disk is healthy"):
            write(store, 3)
    assert_refuses_all(store, path)


def test_a_write_that_was_cut_short_has_failed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = founded(path)
    write(store, 2)
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, place: whole(fd, data[:PAGE_BYTES], place))
    with pytest.raises(LogFailed, match="only 4096 of 8192 bytes"):
        write(store, 3, bytes(5000))
    store.close()
    monkeypatch.undo()
    assert last_index(path) == 2


# Writes without a thread


def test_what_the_kernel_wrote_is_there_after_a_crash(path: Path, eventfd: int) -> None:
    store = founded(path)
    for index in range(2, 30):
        (begun if index % 3 else lambda store, writes, _: store.write(writes))(
            store, entry(index, bytes([index]) * 300 * index), eventfd
        )
        assert not in_leveldb(store, index)
    copy = crashed(path)
    store.close()
    store = LogStore.open(copy, create=False)
    assert [each.data for each in content(store.group(5))] == [bytes([n]) * 300 * n for n in range(2, 30)]
    store.close()


def test_what_the_kernel_writes_is_not_done_before_it_says_so(path: Path, eventfd: int) -> None:
    store = founded(path)
    begun(store, entry(2), eventfd)
    aio = store._table._journal._aio  # type: ignore[union-attr]
    answers = iter((None, None))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(aio, "end", lambda *, wait: next(answers))
        assert store.begin_persist(entry(3), eventfd)
        assert store.end_persist() is None
        assert store.end_persist() is None
    assert store._extent[5][1] == 2
    assert store.end_persist(wait=True) is True
    assert store._extent[5][1] == 3
    store.close()


def test_a_store_that_is_closed_waits_for_what_the_kernel_writes(path: Path, eventfd: int) -> None:
    store = founded(path)
    begun(store, entry(2), eventfd)
    assert store.begin_persist(entry(3), eventfd)
    store.close()
    assert last_index(path) == 3


def test_pages_that_are_in_the_cache_at_the_start_do_not_make_the_kernel_wait(
    path: Path, eventfd: int
) -> None:
    founded(path).close()
    (path / "journal").read_bytes()
    store = LogStore.open(path, create=False)
    store.group(5)
    assert store.begin_persist(entry(2), eventfd)
    assert store.end_persist(wait=True) is True
    store.close()


@pytest.mark.parametrize("what", ["snapshot", "large", "the file is full", "the file is to grow"])
def test_what_is_not_for_the_kernel_is_refused(path: Path, eventfd: int, what: str) -> None:
    store = founded(path)
    begun(store, entry(2), eventfd)
    writes = entry(3, bytes(RECORD_BYTES_MAX + 1) if what == "large" else b"data")
    if what == "snapshot":
        writes = [GroupWrite(5, HardState(1, 2, 9), (), SnapshotMeta(9, 1, CONF), 9)]
    elif what == "the file is full":
        store._table._journal._end = BYTES_MAX  # type: ignore[union-attr]
    elif what == "the file is to grow":
        store._table._journal._end = store._table._journal._size_bytes  # type: ignore[union-attr]
    assert not store.begin_persist(writes, eventfd)
    store.write(writes)
    index = store.group(5).last_index
    assert index == writes[0].hard_state.commit  # type: ignore[union-attr]
    begun(store, entry(index + 1), eventfd)
    store.close()
    assert last_index(path) == index + 1


def test_what_the_kernel_would_have_to_wait_for_is_written_by_a_thread(path: Path, eventfd: int) -> None:
    """At once or when it has begun; the next one it may do again."""
    store = founded(path)
    begun(store, entry(2), eventfd)
    aio = store._table._journal._aio  # type: ignore[union-attr]

    def would_wait(*_: object, **__: object) -> None:
        raise BlockingIOError

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(aio, "begin", would_wait)
        assert not store.begin_persist(entry(3), eventfd)
    store.write(entry(3))
    assert last_index(crashed(path)) == 3
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(aio, "begin", lambda *_: None)
        patched.setattr(aio, "end", would_wait)
        assert store.begin_persist(entry(4), eventfd)
        assert store.end_persist() is False
    assert last_index(crashed(path)) == 3
    store.write(entry(4))
    begun(store, entry(5), eventfd)
    store.close()
    assert last_index(path) == 5


def test_a_kernel_that_can_not_is_not_asked_again(path: Path, eventfd: int) -> None:
    store = founded(path)
    begun(store, entry(2), eventfd)
    journal = store._table._journal
    assert journal is not None

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(journal._aio, "begin", refuse)
        assert not store.begin_persist(entry(3), eventfd)
    assert journal._aio is None
    assert not store.begin_persist(entry(3), eventfd)
    store.write(entry(3))
    store.close()
    assert last_index(path) == 3


@pytest.mark.parametrize("written", [0, PAGE_BYTES])
def test_what_the_kernel_wrote_a_part_of_is_written_by_a_thread(
    path: Path, eventfd: int, written: int
) -> None:
    store = founded(path)
    begun(store, entry(2), eventfd)
    journal = store._table._journal
    assert journal is not None
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(journal._aio, "begin", lambda *_: None)
        patched.setattr(journal._aio, "end", lambda *, wait: written)
        assert store.begin_persist(entry(3, bytes(5000)), eventfd)
        os.pwrite(journal._descriptor, journal._view[:written], journal._end)
        assert store.end_persist() is False
    assert last_index(crashed(path)) == 2
    store.write(entry(3, bytes(6000)))
    begun(store, entry(4), eventfd)
    copy = crashed(path)
    store.close()
    store = LogStore.open(copy, create=False)
    assert [len(each.data) for each in content(store.group(5))] == [4, 6000, 4]
    store.close()


def test_after_a_write_of_the_kernel_failed_every_later_one_is_refused(path: Path, eventfd: int) -> None:
    store = founded(path)
    begun(store, entry(2), eventfd)
    aio = store._table._journal._aio  # type: ignore[union-attr]

    def fail(**_: object) -> int:
        raise OSError(5, "Input/output error")

    assert store.begin_persist(entry(3, bytes(5000)), eventfd)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(aio, "end", fail)
        with pytest.raises(LogFailed, match=r"output error.*see that the disk is healthy"):
            store.end_persist()
    assert_refuses_all(store, path)


def test_a_file_system_that_has_no_direct_input_and_output_does_without(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fcntl.fcntl

    def without(descriptor: int, command: int, flags: int = 0) -> int:
        if flags & os.O_DIRECT:
            raise OSError(22, "Invalid argument")
        return whole(descriptor, command, flags)

    monkeypatch.setattr(fcntl, "fcntl", without)
    store = founded(path)
    assert not store.begin_persist(entry(2), -1)
    write(store, 2)
    assert not in_leveldb(store, 2)
    copy = crashed(path)
    store.close()
    assert last_index(copy) == 2


def test_a_file_that_does_not_end_with_a_page_grows_by_whole_ones(path: Path) -> None:
    store = founded(path)
    write(store, 2)
    store.close()
    with (path / "journal").open("r+b") as file:
        file.truncate(PAGE_BYTES + 100)
    store = LogStore.open(path, create=False)
    store.group(5)
    for index in range(3, 9):
        write(store, index)
    assert last_index(crashed(path)) == 8
    store.close()
