"""A group's data on one node: what is applied is there, replicas agree, a snapshot carries all of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from raft.core.messages import NORMAL, ConfState, Entry, SnapshotMeta
from server.keyspace.layout import META_KEY, STRING
from server.keyspace.leveldb import DataStore
from server.keyspace.view import View
from server.shard import sweeper
from server.shard.digest import digest
from server.shard.effects import encode_effects
from server.shard.replica import Replica
from server.shard.sweeper import sweep
from server.types import keys, sets
from tests.server.bench import apply

GROUP = 1


class Copy:
    """A replica of a group in a store of its own."""

    def __init__(self, path: Path) -> None:
        self.store = DataStore(path, block_cache_bytes=1 << 20, write_buffer_bytes=1 << 20)
        self.replica = Replica(self.store, GROUP)

    def everything(self) -> dict[bytes, bytes]:
        """All tables of the group, without what waits to be swept."""
        return {key: value for key, value in self.replica.scan(b"", b"\xff") if key[:1] != b"q"}


@pytest.fixture
def make_copy(tmp_path: Path) -> Iterator[Callable[[], Copy]]:
    copies: list[Copy] = []

    def make() -> Copy:
        copies.append(Copy(tmp_path / str(len(copies))))
        return copies[-1]

    yield make
    for copy in copies:
        copy.store.close()


def entry(index: int, copy: Copy, change: Callable[[View], object]) -> Entry:
    """What a leader with the data of `copy` proposes for a change."""
    meta = copy.replica.meta()
    view = View(copy.replica, meta, Random(0))
    view.begin_entry(1000, index)
    view.begin(0, 2)
    change(view)
    return Entry(index, 1, NORMAL, encode_effects(1000, {**view.take_effects(), META_KEY: meta.encode()}))


def put(key: bytes, value: bytes, expire_ms: int = 0) -> Callable[[View], object]:
    return lambda view: view.put(key, STRING, value, expire_ms)


def test_what_is_begun_to_be_applied_is_not_there_before_it_is_written(make_copy: Callable[[], Copy]) -> None:
    copy = make_copy()
    gathering = copy.replica.begin_apply([entry(2, copy, put(b"k", b"v"))])
    assert gathering.step(100) < 100
    assert copy.everything() == {}
    assert copy.replica.applied_index < 2
    gathering.write()
    assert any(where.endswith(b"k") for where in copy.everything())
    assert copy.replica.applied_index == 2


def test_replicas_that_applied_the_same_log_have_the_same_digest(make_copy: Callable[[], Copy]) -> None:
    one, other = make_copy(), make_copy()
    assert digest(one.replica) == digest(other.replica)
    for index in range(2, 30):
        written = entry(index, one, put(b"k%d" % (index % 7), b"v%d" % index))
        apply(one.replica, [written])
        assert digest(one.replica) != digest(other.replica)
        apply(other.replica, [written])
        assert digest(one.replica) == digest(other.replica)


def test_applying_again_from_an_earlier_index_changes_nothing(make_copy: Callable[[], Copy]) -> None:
    """What a restart does: the data store may be ahead of what is known to be durable."""
    copy = make_copy()
    entries = []
    for index in range(2, 20):
        entries.append(entry(index, copy, put(b"k%d" % (index % 5), b"v%d" % index, 5000 * (index % 2))))
        apply(copy.replica, [entries[-1]])
    entries.append(entry(20, copy, lambda view: view.delete(b"k1")))
    apply(copy.replica, entries[-1:])
    before = copy.everything()
    for entry_again in entries[5:]:
        apply(copy.replica, [entry_again])
        assert copy.replica.applied_index == 20
    assert copy.everything() == before


def test_a_snapshot_read_while_entries_are_applied_converges(make_copy: Callable[[], Copy]) -> None:
    """Chunks are read at different applied indexes; the log from the first of them on makes them one state."""
    random = Random(7)
    sender, receiver = make_copy(), make_copy()
    apply(receiver.replica, [entry(2, receiver, put(b"old", b"gone after the install"))])
    index = 1
    log: list[Entry] = []

    def write_some(count: int) -> None:
        nonlocal index
        for _ in range(count):
            index += 1
            key = b"k%d" % random.randrange(300)
            if random.random() < 0.3:
                written = entry(index, sender, lambda view, key=key: view.delete(key))  # type: ignore[misc]
            else:
                written = entry(index, sender, put(key, b"v%d" % index, random.choice((0, 9000 + index))))
            apply(sender.replica, [written])
            log.append(written)

    write_some(400)
    start = sender.replica.applied_index
    cursor: bytes | None = receiver.replica.snapshot_begin(b"token")
    assert cursor == b""
    while cursor is not None:
        chunk, after = sender.replica.snapshot_read(cursor, 2000)
        receiver.replica.snapshot_write(b"token", chunk, after)
        write_some(20)
        cursor = after
        if cursor is not None:
            assert (
                receiver.replica.snapshot_begin(b"token") == cursor
            )  # the connection broke: go on from here
    consistent = sender.replica.applied_index
    receiver.replica.snapshot_install(SnapshotMeta(start, 1, ConfState((1,))), consistent)
    assert receiver.replica.applied_index == start
    assert receiver.replica.consistent_index == consistent
    assert receiver.replica.get(META_KEY) is not None
    apply(receiver.replica, [written for written in log if written.index > start])
    assert receiver.everything() == sender.everything()
    assert digest(receiver.replica) == digest(sender.replica)


def test_another_snapshot_drops_what_was_staged(make_copy: Callable[[], Copy]) -> None:
    sender, receiver = make_copy(), make_copy()
    for index in range(2, 100):
        apply(sender.replica, [entry(index, sender, put(b"k%d" % index, b"x" * 100))])
    receiver.replica.snapshot_begin(b"first")
    chunk, cursor = sender.replica.snapshot_read(b"", 1000)
    receiver.replica.snapshot_write(b"first", chunk, cursor)
    assert receiver.replica.snapshot_begin(b"second") == b""
    chunk, cursor = sender.replica.snapshot_read(b"", 1 << 20)
    assert cursor is None
    receiver.replica.snapshot_write(b"second", chunk, None)
    receiver.replica.snapshot_install(SnapshotMeta(99, 1, ConfState((1,))), 99)
    while sweep(receiver.store, receiver.replica):
        pass
    assert receiver.everything() == sender.everything()
    prefix_bytes = 5
    groups_data = [key for key, _ in receiver.store.scan(b"d", b"e")]
    assert {key[:prefix_bytes] for key in groups_data} == {receiver.replica.prefix}, "the staged one is swept"


def test_all_of_what_was_staged_is_swept_where_something_was_before(
    make_copy: Callable[[], Copy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place of a snapshot that was given up is free when it is swept. What stayed there would come to life again
    with the next one."""
    monkeypatch.setattr(sweeper, "keys_per_round_max", 10)
    sender, receiver = make_copy(), make_copy()
    for index in range(2, 50):
        apply(sender.replica, [entry(index, sender, put(b"k%d" % index, b"v"))])
    chunk, _ = sender.replica.snapshot_read(b"", 1 << 20)

    def stage(token: bytes) -> None:
        receiver.replica.snapshot_begin(token)
        receiver.replica.snapshot_write(token, chunk, b"z")

    def staged() -> set[bytes]:
        while sweep(receiver.store, receiver.replica):
            pass
        return {key[:5] for key, _ in receiver.store.scan(b"d", b"e")}

    stage(b"first")
    receiver.replica = Replica(receiver.store, GROUP)
    assert staged() == set()
    stage(b"second")
    [second] = staged()
    stage(b"third")
    assert len(staged() - {second}) == 1
    assert second not in staged()


def test_a_flushed_database_is_swept_with_its_expiry_index(make_copy: Callable[[], Copy]) -> None:
    copy = make_copy()
    for index in range(2, 50):
        apply(copy.replica, [entry(index, copy, put(b"k%d" % index, b"v", 5000))])
    apply(copy.replica, [entry(50, copy, lambda view: view.flush())])
    apply(copy.replica, [entry(51, copy, put(b"new", b"v", 6000))])
    while sweep(copy.store, copy.replica):
        pass
    left = list(copy.replica.scan(b"", b"\xff"))
    assert len(left) == 4, "the new key's head, its place in the expiry index, Meta, and the time"
    assert copy.replica.swept_values == 48
    assert not sweep(copy.store, copy.replica)


def spread_set(view: View) -> None:
    members = [b"member%d" % number for number in range(1000)]
    found = sets.find_to_add(view, b"k", members)
    found.add_all(members)
    found.save()


def test_what_is_left_behind_while_a_sweep_looks_is_swept_later(
    make_copy: Callable[[], Copy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep has a thread of its own, and may look just before the note of it is written."""
    copy = make_copy()
    apply(copy.replica, [entry(2, copy, spread_set)])
    write = copy.store.write

    def write_late(batch: Any) -> None:
        monkeypatch.undo()
        assert not sweep(copy.store, copy.replica)
        write(batch)

    monkeypatch.setattr(copy.store, "write", write_late)
    apply(copy.replica, [entry(3, copy, lambda view: view.delete(b"k"))])
    assert sweep(copy.store, copy.replica)


def test_while_a_sweep_looks_there_may_be_something_left(
    make_copy: Callable[[], Copy], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = make_copy()
    apply(copy.replica, [entry(2, copy, spread_set)])
    apply(copy.replica, [entry(3, copy, lambda view: view.delete(b"k"))])
    scan = copy.store.scan
    seen = []

    def noted(start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        seen.append(copy.replica.has_leftovers)
        return scan(start, stop, reverse)

    monkeypatch.setattr(copy.store, "scan", noted)
    while sweep(copy.store, copy.replica):
        assert copy.replica.has_leftovers
    assert seen
    assert all(seen)
    assert not copy.replica.has_leftovers


def test_a_sweep_does_not_walk_again_over_what_it_has_deleted(
    make_copy: Callable[[], Copy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "keys_per_round_max", 10)
    copy = make_copy()

    def fill(view: View) -> None:
        for key in (b"first", b"second"):
            found = sets.find_to_add(view, key, [b"x"])
            found.add_all([b"member%d" % number for number in range(200)])
            found.save()

    apply(copy.replica, [entry(2, copy, fill)])
    apply(copy.replica, [entry(3, copy, lambda view: view.delete(b"second"))])
    elements = copy.replica.prefix + b"e"
    deleted: set[bytes] = set()
    walked_over: list[int] = []
    scan = copy.store.scan

    def noted(start: bytes, stop: bytes, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        for row in scan(start, stop, reverse):
            if row[0].startswith(elements):
                walked_over.append(sum(start < key < row[0] for key in deleted))
                deleted.add(row[0])
            yield row

    monkeypatch.setattr(copy.store, "scan", noted)
    for _ in range(10):
        assert sweep(copy.store, copy.replica)
    assert len(deleted) == 100
    assert max(walked_over) < 10, "but those of the same round"
    apply(copy.replica, [entry(4, copy, lambda view: view.delete(b"first"))])
    while sweep(copy.store, copy.replica):
        pass
    assert list(copy.replica.scan(b"e", b"f")) == []


def test_what_a_replica_notes_is_not_swept_before_its_data_is_one_state(
    make_copy: Callable[[], Copy],
) -> None:
    """A restart applies again what may not be on disk: until it is through, a flushed database may hold a key that was
    moved out of it, and the elements of that are another key's."""
    copy = make_copy()
    changes = (spread_set, lambda view: keys.move(view, b"k", 1), lambda view: view.flush())
    log = []
    for index, change in enumerate((put(b"other", b"v"), *changes), start=2):
        log.append(entry(index, copy, change))
        apply(copy.replica, log[-1:])
    before = copy.everything()
    apply(copy.replica, log[:2])
    assert not sweep(copy.store, copy.replica, consistent=False)
    apply(copy.replica, log[2:])
    while sweep(copy.store, copy.replica):
        pass
    after = copy.everything()
    assert len([key for key in after if key[:1] == b"e"]) == 1000
    assert [key for key in before if key not in after and not key.endswith(b"other")] == []


def test_the_leaders_time_outlives_a_restart_and_goes_along_with_a_snapshot(
    make_copy: Callable[[], Copy],
) -> None:
    """A leader whose clock is behind would bring back what has expired."""
    sender, receiver = make_copy(), make_copy()
    apply(sender.replica, [entry(2, sender, put(b"k", b"v"))])
    assert Replica(sender.store, GROUP).clock_ms == sender.replica.clock_ms == 1000
    receiver.replica.snapshot_begin(b"token")
    chunk, cursor = sender.replica.snapshot_read(b"", 1 << 20)
    receiver.replica.snapshot_write(b"token", chunk, cursor)
    receiver.replica.snapshot_install(SnapshotMeta(2, 1, ConfState((1,))), 2)
    assert receiver.replica.clock_ms == 1000
