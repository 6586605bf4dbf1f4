"""The view against a dict: whatever commands write, flush, swap or take back, it shows the same keys, counts and times.

One rule of the state machine is one command: a few operations on one or two databases, looked at before they are
committed, and then committed or, as when a handler raises, rolled back.
"""

from binascii import crc32
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from server.errors import CommandError
from server.keyspace.deletions import Deletions
from server.keyspace.layout import (
    EXPIRY_PREFIX_BYTES,
    HEAD_PREFIX,
    HEAD_PREFIX_BYTES,
    LIST,
    META_KEY,
    STRING,
    SWEEP_PREFIX,
    Head,
    expiry_range,
    head_key,
)
from server.keyspace.meta import DATABASES, Meta
from server.keyspace.slots import SLOTS, key_slot
from server.keyspace.store import MemoryStore
from server.keyspace.view import View
from tests.server.harness import Group

# Two of one slot and crc32, two more of that slot, some of others.
KEYS = (b"{t}xs4ibwwl", b"{t}adwoqc8j", b"{t}", b"{t}a", b"", b"a", b"b", b"c")
assert crc32(KEYS[0]) == crc32(KEYS[1])

Databases = list[dict[bytes, Head]]

keys = st.sampled_from(KEYS)
databases = st.integers(0, 2)


class Put(NamedTuple):
    db: int
    key: bytes
    type: int
    encoding: int
    payload: bytes
    expire_in_ms: int
    """0: never."""


class Delete(NamedTuple):
    db: int
    key: bytes


class Touch(NamedTuple):
    """Write the head again, as PERSIST and EXPIRE do."""

    db: int
    key: bytes
    expire_in_ms: int


class Flush(NamedTuple):
    db: int


class Swap(NamedTuple):
    db: int
    other: int


lifetimes_ms = st.sampled_from((0, 0, 1, 2, 3, 50))
operations = st.one_of(
    st.builds(
        Put,
        databases,
        keys,
        st.sampled_from((STRING, LIST)),
        st.integers(0, 31),
        st.binary(max_size=3),
        lifetimes_ms,
    ),
    st.builds(Touch, databases, keys, lifetimes_ms),
    st.builds(Delete, databases, keys),
    st.builds(Flush, databases),
    st.builds(Swap, databases, databases),
)
commands = st.lists(operations, min_size=1, max_size=5)


class ViewMachine(RuleBasedStateMachine):
    """`model` holds every record that was not deleted, those past their time too, as the store does."""

    @initialize()
    def start(self) -> None:
        self.store = MemoryStore()
        self.meta = Meta.new()
        self.view = View(self.store, self.meta, Random(0))
        self.model: Databases = [{} for _ in range(DATABASES)]
        self.now_ms = 1000
        self.revision = 0

    def begin(self, db: int = 0) -> None:
        self.revision += 1
        self.view.begin_entry(self.now_ms, self.revision)
        self.view.begin(db, 2)

    def live(self, model: Databases, db: int) -> dict[bytes, Head]:
        return {
            key: head for key, head in model[db].items() if not head.expire_ms or head.expire_ms > self.now_ms
        }

    def perform(self, model: Databases, operation: Put | Delete | Touch | Flush | Swap) -> None:
        """On the view, where what it says is checked, and on the model."""
        view = self.view
        view.select(operation.db)
        here = model[operation.db]
        match operation:
            case Put(_, key, type_, encoding, payload, expire_in_ms):
                expire_ms = self.now_ms + expire_in_ms if expire_in_ms else 0
                view.put(key, type_, payload, expire_ms, encoding)
                here[key] = Head(type_, encoding, self.view.revision, expire_ms, payload)
            case Touch(_, key, expire_in_ms):
                head = view.head(key)
                assert head == self.live(model, operation.db).get(key)
                if head is not None:
                    expire_ms = self.now_ms + expire_in_ms if expire_in_ms else 0
                    view.put_head(key, head._replace(expire_ms=expire_ms))
                    here[key] = head._replace(expire_ms=expire_ms, revision=self.view.revision)
            case Delete(_, key):
                assert view.delete(key) == (key in self.live(model, operation.db))
                here.pop(key, None)
            case Flush():
                view.flush()
                here.clear()
            case Swap(db, other):
                view.swap(db, other)
                model[db], model[other] = model[other], model[db]

    @rule(command=commands, raises=st.booleans())
    def command(self, command: list[Put | Delete | Touch | Flush | Swap], raises: bool) -> None:
        self.begin(command[0].db)
        model = [dict(database) for database in self.model]
        for operation in command:
            self.perform(model, operation)
        self.look(model)
        if raises:
            self.view.rollback()
            assert self.view.effects == {}
        else:
            self.commit()
            self.model = model

    def commit(self) -> None:
        self.store.write(self.view.take_effects())

    @rule(ms=st.integers(1, 4))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms

    @rule()
    def the_leader_deletes_what_is_past_its_time(self) -> None:
        self.begin()
        start, stop = expiry_range(self.now_ms)
        for entry, _ in list(self.store.scan(start, stop)):
            self.view.expire(entry)
        self.commit()
        self.model = [self.live(self.model, db) for db in range(DATABASES)]
        assert not list(self.store.scan(start, stop))

    @rule()
    def another_leader_takes_over(self) -> None:
        self.meta = Meta.decode(self.meta.encode())
        self.view = View(self.store, self.meta, Random(0))

    def look(self, model: Databases) -> None:
        """What the view shows of the databases is what is in `model`."""
        view = self.view
        for db in range(4):
            view.select(db)
            live = self.live(model, db)
            for key in KEYS:
                assert view.head(key) == live.get(key)
                assert view.exists(key) == (key in live)
                if key in live:
                    assert view.watch_revision(key) == live[key].revision
            assert view.key_count() == len(model[db])
            assert view.expires_count() == sum(bool(head.expire_ms) for head in model[db].values())
            seen = list(view.scan_keys(0, 0, SLOTS))
            order = sorted(model[db], key=lambda key: (key_slot(key), crc32(key), key))
            assert [(slot, crc, key) for slot, crc, key, _ in seen] == [
                (key_slot(key), crc32(key), key) for key in order
            ]
            assert [key for *_, key, record in seen if record is not None] == [
                key for key in order if key in live
            ]

    @invariant()
    def the_view_shows_what_the_model_holds(self) -> None:
        self.begin()
        self.look(self.model)
        self.view.expired.clear()

    @invariant()
    def every_expiry_of_a_database_is_in_the_index_once(self) -> None:
        spaces = {database.space: db for db, database in enumerate(self.meta.databases)}
        start, stop = expiry_range(2**63)
        indexed = []
        for entry, _ in self.store.scan(start, stop):
            _, space, _, _ = HEAD_PREFIX.unpack_from(b"h" + entry[EXPIRY_PREFIX_BYTES:])
            key = entry[EXPIRY_PREFIX_BYTES + HEAD_PREFIX_BYTES - 1 :]
            if space in spaces:
                indexed.append((spaces[space], key, int.from_bytes(entry[1:EXPIRY_PREFIX_BYTES], "big")))
        held = [
            (db, key, head.expire_ms)
            for db, database in enumerate(self.model)
            for key, head in database.items()
            if head.expire_ms
        ]
        assert sorted(indexed) == sorted(held)

    @invariant()
    def spaces_are_never_shared_nor_swept_while_in_use(self) -> None:
        used = {database.space for database in self.meta.databases}
        assert len(used) == DATABASES
        assert max(used) < self.meta.next_space
        swept = {SWEEP_PREFIX.unpack(key)[1] for key, _ in self.store.scan(b"q", b"r")}
        assert not used & swept


TestView = ViewMachine.TestCase
TestView.settings = settings(max_examples=60, stateful_step_count=25)


def test_wrong_type_is_told_before_the_payload() -> None:
    group = Group()
    group.begin().put(b"k", LIST, b"v")
    with pytest.raises(CommandError, match="WRONGTYPE"):
        group.view.payload(b"k", STRING)
    assert group.view.payload(b"k", LIST) == b"v"
    assert group.view.payload(b"nosuch", STRING) is None


def test_a_key_past_its_time_is_gone_at_that_very_millisecond() -> None:
    group = Group()
    group.begin().put(b"k", STRING, b"v", group.now_ms + 10)
    group.commit()
    group.now_ms += 9
    assert group.begin().exists(b"k")
    group.now_ms += 1
    assert not group.begin().exists(b"k")
    assert group.view.expired == [(0, b"k")]


def test_the_leader_deletes_a_dead_key_with_its_count_and_index() -> None:
    group = Group()
    group.begin().put(b"k", STRING, b"v", group.now_ms + 10)
    group.commit()
    group.now_ms += 10
    assert group.begin().key_count() == 1
    start, stop = expiry_range(group.now_ms)
    [(entry, _)] = group.store.scan(start, stop)
    assert group.view.expire(entry)
    group.commit()
    assert group.begin().key_count() == 0
    assert group.view.expires_count() == 0
    assert not list(group.store.scan(b"", b"\xff"))


def test_an_expiry_that_was_put_off_deletes_nothing() -> None:
    """The index entry can outlive its key's expiry when both were read before they were changed."""
    group = Group()
    group.begin().put(b"k", STRING, b"v", group.now_ms + 10)
    group.commit()
    start, stop = expiry_range(group.now_ms + 10)
    [(entry, _)] = group.store.scan(start, stop)
    group.begin().put(b"k", STRING, b"v")
    group.commit()
    group.now_ms += 10
    assert not group.begin().expire(entry)
    group.commit()
    assert group.begin().exists(b"k")
    assert group.view.key_count() == 1


def test_a_flushed_space_is_queued_for_the_sweeper() -> None:
    group = Group()
    group.begin().put(b"k", STRING, b"v")
    group.commit()
    group.begin().flush()
    group.commit()
    assert [key for key, _ in group.store.scan(b"q", b"r")] == [SWEEP_PREFIX.pack(b"q", 0)]
    assert group.meta.databases[0].space == DATABASES


def test_to_flush_nothing_writes_nothing() -> None:
    group = Group()
    group.begin().flush()
    group.commit()
    assert group.written == {}
    assert group.meta == Meta.new()


def test_a_swap_is_an_effect_so_that_it_is_proposed() -> None:
    """With nothing but Meta changed it once counted as a read: acknowledged, and in no log entry."""
    group = Group()
    group.begin().swap(0, 1)
    group.commit()
    assert Meta.decode(group.written[META_KEY] or b"") == group.meta


def test_an_error_after_a_swap_does_not_undo_it() -> None:
    group = Group()
    group.begin().swap(0, 1)
    group.commit()
    group.begin()
    group.view.rollback()
    assert group.meta.databases[0].space == 1


def test_what_a_failed_command_wrote_is_not_seen_again() -> None:
    group = Group()
    group.begin().put(b"k", STRING, b"before")
    group.commit()
    view = group.begin()
    view.put(b"k", STRING, b"failed")
    view.put(b"other", STRING, b"failed")
    view.rollback()
    assert view.payload(b"k", STRING) == b"before"
    assert view.payload(b"other", STRING) is None
    view.put(b"k", STRING, b"kept")
    view.keep()
    view.put(b"k", STRING, b"failed")
    view.rollback()
    assert view.payload(b"k", STRING) == b"kept"


class TestReplyWaitsFor:
    """`observed` names the entry that a reply has seen and so waits for."""

    def setup_method(self) -> None:
        self.group = Group()

    def test_what_a_command_has_written_itself_is_nothing_to_wait_for(self) -> None:
        """It may fail, and then nobody proposes that entry."""
        self.group.store.pending.append("another entry")
        view = self.begin(7)
        view.put(b"k", STRING, b"v")
        assert view.payload(b"k", STRING) == b"v"
        assert view.exists(b"k")
        assert self.group.store.observed == 0
        self.group.commit()
        assert self.begin(8).payload(b"k", STRING) == b"v"
        assert self.group.store.observed == 7

    def test_a_missing_key_that_came_and_went_is_not_the_same(self) -> None:
        """Valkey fails the EXEC of a client that WATCHes a missing key when another one makes and deletes it."""
        missing = self.begin(7).watch_revision(b"k")
        self.begin(8).put(b"k", STRING, b"v")
        self.group.commit()
        assert not self.begin(8).is_unchanged(b"k", missing)
        self.begin(9).delete(b"k")
        self.group.commit()
        assert not self.begin(10).is_unchanged(b"k", missing)
        assert self.begin(11).is_unchanged(b"other", missing)
        assert self.begin(12).is_unchanged(b"k", self.begin(12).watch_revision(b"k"))

    def test_a_key_that_was_past_its_time_stays_missing_when_it_is_deleted(self) -> None:
        self.begin(7).put(b"k", STRING, b"v", self.group.now_ms + 10)
        self.group.commit()
        present = self.begin(8).watch_revision(b"k")
        self.group.now_ms += 10
        missing = self.begin(9).watch_revision(b"k")
        assert not self.begin(9).is_unchanged(b"k", present)
        assert self.begin(9).is_unchanged(b"k", missing)
        self.begin(10).delete(b"k")
        self.group.commit()
        assert self.begin(11).is_unchanged(b"k", missing)
        self.begin(12).put(b"k", STRING, b"v", self.group.now_ms + 10)
        self.group.commit()
        self.group.now_ms += 10
        assert not self.begin(13).is_unchanged(b"k", missing), "it came and went"

    def test_a_missing_key_that_came_and_went_with_its_database_is_not_the_same(self) -> None:
        missing = self.begin(7).watch_revision(b"k")
        self.begin(8).put(b"k", STRING, b"v")
        self.group.commit()
        self.begin(9).flush()
        self.group.commit()
        assert not self.begin(10).is_unchanged(b"k", missing)

    def deletions(self, known: dict[bytes, int], floor: int) -> Deletions:
        """Those of a replica."""
        found = Deletions(floor)
        for where, index in known.items():
            found.note(where, index)
        return found.as_revisions()

    def test_a_missing_key_stays_missing_when_its_database_is_emptied(self) -> None:
        """In Redis too FLUSHDB touches only the watched keys that it deletes."""
        missing = self.begin(7).watch_revision(b"k")
        self.begin(8).put(b"other", STRING, b"v")
        self.group.commit()
        for index in (9, 10, 11):
            self.begin(index).put(b"other", STRING, b"v")
            self.group.commit()
            view = self.begin(index)
            view.flush()
            if index == 9:  # as of a script that fails: the space is used by the next
                view.rollback()
            else:
                self.group.commit()
        assert self.begin(12).is_unchanged(b"k", missing)
        self.begin(12).put(b"k", STRING, b"v")
        self.group.commit()
        assert not self.begin(12).is_unchanged(b"k", missing)
        self.begin(13).flush()
        self.group.commit()
        assert not self.begin(14).is_unchanged(b"k", missing), "it came and went with the rest"

    def test_a_key_that_a_failed_flush_left_alone_is_not_forgotten(self) -> None:
        """The space of a flush that was rolled back is taken by the next one."""
        missing = self.begin(7).watch_revision(b"k")
        self.begin(8).put(b"other", STRING, b"v")
        self.group.commit()
        failed = self.begin(8)
        failed.flush()
        failed.rollback()
        self.begin(9).put(b"k", STRING, b"v")
        self.group.commit()
        self.begin(10).flush()
        self.group.commit()
        assert not self.begin(11).is_unchanged(b"k", missing)

    def test_a_new_leader_recalls_the_deletions_before_its_time(self) -> None:
        view = self.begin(9)
        view.committed = 7 << 16 | 0xFFFF
        missing = view.watch_revision(b"k")
        where = head_key(self.group.meta.databases[0].space, b"k")
        view.recall(self.deletions({where: 7}, 3))
        assert self.begin(10).is_unchanged(b"k", missing), "it was gone before"
        view.recall(self.deletions({where: 8}, 3))
        assert not self.begin(10).is_unchanged(b"k", missing)
        view.recall(self.deletions({}, 8))
        assert not self.begin(10).is_unchanged(b"k", missing), "nobody knows"

    def begin(self, index: int) -> View:
        """As the executor does it, at a log index."""
        self.group.store.observed = 0
        self.group.view.begin_entry(self.group.now_ms, index)
        self.group.view.begin(0, 2)
        return self.group.view

    def test_dbsize_waits_for_the_entry_that_made_the_count(self) -> None:
        self.begin(7).put(b"k", STRING, b"v")
        self.group.commit()
        self.begin(8).key_count()
        assert self.group.store.observed == 7

    def test_flushing_what_is_being_deleted_waits_for_the_delete(self) -> None:
        """Otherwise FLUSHDB would be acknowledged while the DEL before it may yet be lost, and its key be back."""
        self.begin(7).put(b"k", STRING, b"v")
        self.group.commit()
        self.begin(8).delete(b"k")
        self.group.commit()
        self.begin(9).flush()
        self.group.commit()
        assert self.group.written == {}
        assert self.group.store.observed == 8

    def test_a_read_after_a_flush_waits_for_the_flush(self) -> None:
        self.begin(7).put(b"k", STRING, b"v")
        self.group.commit()
        self.begin(8).flush()
        self.group.commit()
        assert not self.begin(9).exists(b"k")
        assert self.group.store.observed == 8

    def test_a_read_after_a_swap_waits_for_the_swap(self) -> None:
        self.begin(7).swap(0, 1)
        self.group.commit()
        self.begin(8).exists(b"k")
        assert self.group.store.observed == 7

    def test_nothing_waits_for_what_was_rolled_back(self) -> None:
        view = self.begin(7)
        view.put(b"k", STRING, b"v")
        view.flush()
        view.swap(0, 1)
        view.rollback()
        self.begin(7).key_count()
        assert self.group.store.observed == 0
