"""RaftLog: the stable and the unstable part together behave like one list of entries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft.core import (
    CONF_CHANGE,
    NORMAL,
    Compacted,
    ConfState,
    Corrupted,
    Entry,
    MemoryLog,
    SnapshotMeta,
    Unavailable,
)
from raft.core.log import RaftLog

NO_LIMIT = 1 << 30


def entries(*terms: int, first: int = 1) -> list[Entry]:
    return [Entry(first + at, term, NORMAL, b"x") for at, term in enumerate(terms)]


def log_of(*terms: int, unstable: tuple[int, ...] = (), commit: int = 0, applied: int = 0) -> RaftLog:
    disk = MemoryLog()
    disk.append(entries(*terms))
    log = RaftLog(disk, commit, applied, NO_LIMIT)
    for term in unstable:
        log.append_own(term, NORMAL, b"x")
    return log


def terms(log: RaftLog) -> list[int]:
    return [log.term(index) for index in range(log.first_index, log.last_index + 1)]


def save(log: RaftLog, given: list[Entry]) -> None:
    disk = log.reader
    assert isinstance(disk, MemoryLog)
    disk.append(given)
    log.stable(None, given)


def test_a_log_that_lost_what_was_committed_is_refused() -> None:
    with pytest.raises(Corrupted):
        log_of(1, 1, commit=3)
    with pytest.raises(Corrupted):
        log_of(1, 1, applied=3)


def test_a_state_machine_that_lost_what_was_compacted_is_refused() -> None:
    disk = MemoryLog()
    disk.append(entries(1, 1, 1))
    disk.compact(2)
    with pytest.raises(Corrupted):
        RaftLog(disk, 2, 1, NO_LIMIT)


def test_membership_changes_not_applied_are_found_at_start() -> None:
    disk = MemoryLog()
    disk.append([*entries(1), Entry(2, 1, CONF_CHANGE, b""), Entry(3, 1, CONF_CHANGE, b"")])
    log = RaftLog(disk, 2, 2, NO_LIMIT)
    assert log.conf_changes == [3]
    assert not log.conf_change_due()
    log.commit_to(3)
    assert log.conf_change_due()


def test_a_replaced_membership_change_is_forgotten() -> None:
    log = log_of(1)
    log.append_own(1, CONF_CHANGE, b"")
    log.append_after(1, 1, entries(2, first=2))
    assert log.conf_changes == []


def test_what_agrees_stays_and_a_conflict_replaces_the_rest() -> None:
    log = log_of(1, 1, unstable=(1, 1))
    assert log.append_after(1, 1, entries(1, 1, first=2))
    assert terms(log) == [1, 1, 1, 1]
    assert log.append_after(1, 1, entries(1, 2, first=2))
    assert terms(log) == [1, 1, 2]
    assert log.append_after(0, 0, entries(1, 3))
    assert terms(log) == [1, 3]
    assert log.stable_index == 1


def test_entries_without_their_predecessor_are_refused() -> None:
    log = log_of(1, 1)
    assert not log.append_after(3, 1, entries(1, first=4))
    assert not log.append_after(2, 2, entries(2, first=3))
    assert terms(log) == [1, 1]


def test_a_committed_entry_is_never_replaced() -> None:
    log = log_of(1, 1, commit=2)
    with pytest.raises(Corrupted):
        log.append_after(1, 1, entries(2, first=2))


def test_committing_what_is_not_there_is_a_loss() -> None:
    with pytest.raises(Corrupted):
        log_of(1).commit_to(2)


def test_commit_never_goes_back() -> None:
    log = log_of(1, 1, commit=2)
    assert not log.commit_to(1)
    assert log.commit == 2


def test_an_old_write_makes_stable_only_what_is_still_there() -> None:
    log = log_of(1, unstable=(1, 1))
    writing = list(log.unstable)
    log.append_after(2, 1, entries(2, 2, first=3))
    save(log, writing)
    assert log.stable_index == 2
    assert [(entry.index, entry.term) for entry in log.unstable] == [(3, 2), (4, 2)]


def test_a_late_write_of_a_replaced_entry_makes_nothing_stable() -> None:
    log = log_of(1, unstable=(1,))
    writing = list(log.unstable)
    log.append_after(1, 1, entries(2, first=2))
    log.stable(None, writing)
    assert log.stable_index == 1
    log.commit_to(2)
    assert not log.has_committed(log.commit) or log.take_committed(log.commit)[-1].index == 1


def test_only_stable_entries_are_handed_out_and_each_once() -> None:
    log = log_of(1, unstable=(1, 1))
    log.commit_to(3)
    assert [entry.index for entry in log.take_committed(log.commit)] == [1]
    assert log.take_committed(log.commit) == []
    save(log, list(log.unstable))
    assert [entry.index for entry in log.take_committed(log.commit)] == [2, 3]
    log.applied_to(1)
    assert log.take_committed(log.commit) == []
    with pytest.raises(ValueError, match="handed out"):
        log.applied_to(4)


def test_a_snapshot_begins_the_log_anew_once_it_is_installed() -> None:
    log = log_of(1, 1, commit=1)
    meta = SnapshotMeta(9, 3, ConfState((1,)))
    log.restore(meta)
    assert (log.first_index, log.last_index, log.term(9), log.commit) == (10, 9, 3, 9)
    with pytest.raises(Compacted):
        log.term(2)
    with pytest.raises(Compacted):
        log.entries(2, 10, NO_LIMIT)
    log.append_after(9, 3, entries(3, first=10))
    log.commit_to(10)
    assert not log.has_committed(log.commit)
    disk = log.reader
    assert isinstance(disk, MemoryLog)
    disk.apply_snapshot(meta)
    disk.append(list(log.unstable))
    log.stable(meta, list(log.unstable))
    assert log.applied == 9
    assert [entry.index for entry in log.take_committed(log.commit)] == [10]


def test_an_older_snapshot_does_not_stand_for_a_newer_one() -> None:
    log = log_of(1)
    older, newer = (SnapshotMeta(index, 2, ConfState((1,))) for index in (5, 9))
    log.restore(older)
    log.restore(newer)
    log.stable(older, [])
    assert log.snapshot == newer
    assert log.applied == 0


def test_agreement_is_searched_a_term_at_a_time() -> None:
    log = log_of(1, 1, 1, 3, 3, 5)
    assert log.last_agreement(6, 4) == (5, 3)
    assert log.last_agreement(9, 2) == (3, 1)
    assert log.last_agreement(6, 0) == (0, 0)


@given(st.lists(st.integers(1, 3), max_size=8), st.lists(st.integers(1, 3), max_size=8), st.integers(0, 200))
def test_entries_come_from_both_parts_as_from_one(
    on_disk: list[int], in_memory: list[int], bytes_max: int
) -> None:
    on_disk.sort()
    rest = tuple(3 + term for term in sorted(in_memory))
    log = log_of(*on_disk, unstable=rest)
    everything = entries(*on_disk, *rest)
    last = len(everything)
    assert log.last_index == last
    for low in range(1, last + 1):
        for high in range(low + 1, last + 2):
            wanted = everything[low - 1 : high - 1]
            got = log.entries(low, high, bytes_max)
            assert got == wanted[: max(1, min(len(wanted), bytes_max))]
    with pytest.raises(Unavailable):
        log.term(last + 1)


leader_terms = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4), st.booleans()), max_size=12)


@given(leader_terms)
def test_any_history_of_leaders_and_writes_keeps_disk_and_memory_in_step(
    story: list[tuple[int, int, bool]],
) -> None:
    """Leaders of rising terms replace the tail from somewhere; writes end sooner or later; nothing is taken for
    stable that the disk does not hold."""
    log = log_of()
    disk = log.reader
    assert isinstance(disk, MemoryLog)
    model: list[Entry] = []
    writing: list[Entry] = []
    for term, (back, count, finish) in enumerate(story, start=1):
        if finish and writing:
            save(log, writing)
            writing = []
        keep = max(0, len(model) - back)
        before = model[keep - 1].term if keep else 0
        new = entries(*[term] * count, first=keep + 1)
        assert log.append_after(keep, before, new)
        model = model[:keep] + new
        if not writing:
            writing = list(log.unstable)
        assert log.entries(1, log.last_index + 1, NO_LIMIT) == model
        assert disk.entries(1, log.stable_index + 1, NO_LIMIT) == model[: log.stable_index]


def test_a_membership_change_waits_for_its_commit_index_to_be_on_disk() -> None:
    disk = MemoryLog()
    disk.append([*entries(1), Entry(2, 1, CONF_CHANGE, b""), Entry(3, 1, NORMAL, b"")])
    log = RaftLog(disk, 0, 0, NO_LIMIT)
    assert not log.commit_to_save(0)
    log.commit_to(3)
    assert log.commit_to_save(1)
    assert [entry.index for entry in log.take_committed(0)] == [1]
    assert not log.has_committed(1)
    assert not log.commit_to_save(3)
    assert [entry.index for entry in log.take_committed(3)] == [2, 3]
