"""The rank index against a sorted list: after any changes, in any batches, every rank is right and so is the tree."""

from bisect import bisect_left
from itertools import pairwise
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from server.keyspace.layout import ZSET
from server.types import rank_index
from server.types.rank_index import NODES, Fanout, RankIndex
from tests.server.harness import Group

TABLE, INDEX = b"s", b"t"
NARROW = Fanout(64, 40, 16)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that few elements divide and join."""
    monkeypatch.setattr(rank_index, "NODES", NARROW)
    monkeypatch.setattr(rank_index, "ELEMENTS", NARROW)
    monkeypatch.setattr(rank_index, "ROOT_MAX", NARROW.most)


class Indexed:
    """A table with its index, and the sorted list that they should be."""

    def __init__(self) -> None:
        self.group = Group()
        self.model: list[bytes] = []
        self.height = 0
        collection = self.group.begin().create(b"k", ZSET)
        for number in range(200):
            collection.put(b"%d" % number, b"")
        for number in range(200):
            collection.delete(b"%d" % number)
        assert collection.spread
        collection.save()
        self.group.commit()

    def change(self, added: set[bytes], removed: set[bytes]) -> None:
        """One command."""
        collection = self.group.begin().collection(b"k", ZSET)
        assert collection is not None
        present = set(self.model)
        index = RankIndex(collection, TABLE, INDEX, self.height)
        for key in sorted(added - present):
            collection.put(TABLE + key, b"")
            index.add(key)
        for key in sorted(removed & present - added):
            collection.delete(TABLE + key)
            index.add(key, -1)
        index.save()
        self.height = index.height
        self.model = sorted(present - (removed - added) | added)
        self.check(index, Random(len(self.model)))
        collection.save()
        self.group.commit()

    def check(self, index: RankIndex, random: Random) -> None:
        model = self.model
        assert len(index) == len(model)
        for rank in random.sample(range(len(model)), min(20, len(model))):
            assert index.key_at(rank) == model[rank]
            assert index.rank(model[rank]) == rank
        for _ in range(5):
            key = b"%06d" % random.randrange(2000)
            assert index.rank(key) == bisect_left(model, key)

    def check_records(self) -> None:
        """What is stored: bounds that nest, counts that add up, nothing too large."""
        collection = self.group.begin().collection(b"k", ZSET)
        assert collection is not None
        self.check(RankIndex(collection, TABLE, INDEX, self.height), Random(1))
        below = self.model
        for level in range(self.height):
            prefix = INDEX + bytes((level,))
            records = collection.range(prefix, INDEX + bytes((level + 1,)))
            bounds = [place[len(prefix) :] for place, _ in records]
            counts = [int.from_bytes(value, "big") for _, value in records]
            assert bounds[0] == b""
            assert bounds == sorted(bounds)
            places = [bisect_left(self.model, bound) for bound in bounds] + [len(self.model)]
            assert counts == [stop - start for start, stop in pairwise(places)]
            edges = [bisect_left(below, bound) for bound in bounds] + [len(below)]
            most = rank_index.NODES.most if level else rank_index.ELEMENTS.most
            assert all(stop - start <= most for start, stop in pairwise(edges))
            assert level == 0 or set(bounds) <= set(below)
            below = bounds
        assert collection.range(INDEX + bytes((self.height,)), INDEX + b"\xff") == []
        assert len(below) <= rank_index.ROOT_MAX


class Changes(RuleBasedStateMachine):
    """Single keys, runs of neighbours, and thousands at once."""

    @initialize()
    def start(self) -> None:
        self.indexed = Indexed()

    @rule(number=st.integers(0, 2000))
    def add_one(self, number: int) -> None:
        self.indexed.change({b"%06d" % number}, set())

    @rule(first=st.integers(0, 2000), count=st.integers(1, 3000), step=st.integers(1, 7))
    def add_many(self, first: int, count: int, step: int) -> None:
        self.indexed.change({b"%06d" % (first + number * step) for number in range(count)}, set())

    @rule(data=st.data())
    def remove_one(self, data: st.DataObject) -> None:
        if self.indexed.model:
            self.indexed.change(set(), {data.draw(st.sampled_from(self.indexed.model))})

    @rule(first=st.integers(0, 3000), count=st.integers(1, 3000), seed=st.integers(0, 9))
    def remove_and_add(self, first: int, count: int, seed: int) -> None:
        model = self.indexed.model
        random = Random(seed)
        removed = set(model[first : first + count])
        added = {b"%06d" % random.randrange(9000) for _ in range(seed * 20)}
        self.indexed.change(added, removed)

    @invariant()
    def records_are_right(self) -> None:
        self.indexed.check_records()


TestChanges = Changes.TestCase
TestChanges.settings = settings(max_examples=25, stateful_step_count=12)


@pytest.mark.parametrize("order", ["up", "down", "shuffled"])
def test_one_key_at_a_time(order: str) -> None:
    """3,000 commands in, 3,000 out: every division and every joining on the way."""
    indexed = Indexed()
    keys = [b"%06d" % number for number in range(0, 6000, 2)]
    if order == "down":
        keys.reverse()
    elif order == "shuffled":
        Random(3).shuffle(keys)
    for number, key in enumerate(keys):
        indexed.change({key}, set())
        if number % 500 == 0:
            indexed.check_records()
    assert indexed.height == 2
    for number, key in enumerate(keys):
        indexed.change(set(), {key})
        if number % 500 == 0:
            indexed.check_records()
    indexed.check_records()
    assert indexed.height == 1


def test_one_change_writes_a_record_a_level() -> None:
    indexed = Indexed()
    indexed.change({b"%06d" % number for number in range(20_000)}, set())
    assert indexed.height == 2
    indexed.change({b"010000x"}, set())
    assert len(indexed.group.written) == indexed.height + 2  # and the element, and the head


@pytest.mark.parametrize("seed", range(3))
def test_the_root_is_wider_than_other_nodes(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """It gets a level below it when it is full, divided as other nodes are, and loses that when one node is left."""
    monkeypatch.setattr(rank_index, "ROOT_MAX", 300)
    random = Random(seed)
    indexed = Indexed()
    heights = []
    for size in (2000, 5000, 20_000, 15_000, 8000, 500, 20):
        added = {b"%06d" % number for number in random.sample(range(100_000), size)}
        indexed.change(added, set(indexed.model) - set(random.sample(indexed.model, len(indexed.model) // 9)))
        for _ in range(5):
            key = random.choice(indexed.model)
            indexed.change(set(), {key})
            indexed.change({key + b"0"}, set())
        indexed.check_records()
        heights.append(indexed.height)
    assert heights == [1, 1, 2, 2, 2, 2, 1]


def test_bounds_are_short_and_nodes_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each change writes bounds: they are no longer than it takes to lie between two elements."""
    monkeypatch.setattr(rank_index, "NODES", NODES)
    indexed = Indexed()
    indexed.change({b"%05d and more" % number for number in range(30_000)}, set())
    indexed.check_records()
    assert indexed.height == 2
    collection = indexed.group.begin().collection(b"k", ZSET)
    assert collection is not None
    assert all(len(place) <= len(INDEX) + 1 + 5 for place, _ in collection.scan(INDEX))
    indexed.change(set(), {b"%05d and more" % number for number in range(500, 29_000)})
    indexed.check_records()
    assert indexed.height == 1


class Kept(Indexed):
    """The index is kept from command to command, and knows more and more of what is in its intervals."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.index: RankIndex | None = None

    def change(self, added: set[bytes], removed: set[bytes]) -> None:
        collection = self.group.begin().collection(b"k", ZSET)
        assert collection is not None
        if self.index is None:
            self.index = RankIndex(collection, TABLE, INDEX, 0)
        index = self.index
        index.attach(collection)
        for keys, count in ((added - set(self.model), 1), (removed & set(self.model), -1)):
            for key in sorted(keys):
                if count > 0:
                    collection.put(TABLE + key, b"")
                else:
                    collection.delete(TABLE + key)
                index.add(key, count)
        index.save()
        self.model = sorted((set(self.model) | added) - removed)
        collection.save()
        self.group.commit()

    def ask(self, key: bytes) -> None:
        index = self.index
        assert index is not None
        collection = self.group.begin().collection(b"k", ZSET)
        assert collection is not None
        index.attach(collection)
        at = bisect_left(self.model, key)
        is_there = self.model[at : at + 1] == [key]
        before = index.size
        assert index.rank(key, is_there, self.room - before) == at
        assert index.rank(key, False, self.room - index.size) == at
        assert index.size <= max(before, self.room)
        if at < len(self.model):
            assert index.key_at(at) == self.model[at]

    def read_nothing_again(self) -> None:
        """Who has asked for every element knows them all."""
        for key in self.model:
            self.ask(key)
        self.ask_nobody()

    def ask_nobody(self) -> None:
        """Every element is known."""
        index = self.index
        assert index is not None
        index.attach(None)  # type: ignore[arg-type]
        assert [index.rank(key, is_there=True) for key in self.model] == list(range(len(self.model)))


@pytest.mark.parametrize("room", [0, 150, 10_000])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_known_of_intervals_follows_every_change(seed: int, room: int) -> None:
    """Keys that begin alike, end in zeros, or are the beginnings of others: what is kept of them is often the same."""
    random = Random(seed)

    def some_key() -> bytes:
        return bytes(random.choice((0, 1, 254, 255)) for _ in range(random.randrange(1, 9)))

    kept = Kept(room)
    kept.change({some_key() for _ in range(1500)}, set())
    for _ in range(300):
        kept.change({some_key()}, {random.choice(kept.model)})
        for _ in range(6):
            kept.ask(random.choice((random.choice(kept.model), some_key())))
    kept.change(set(), set(random.sample(kept.model, len(kept.model) - 100)))
    kept.change({some_key() for _ in range(900)}, set())
    for key in kept.model:
        kept.ask(key)


def test_who_asks_again_reads_nothing() -> None:
    kept = Kept(10_000)
    kept.change({b"%06d" % number for number in range(3000)}, set())
    kept.read_nothing_again()


def test_who_asks_again_for_elements_that_are_much_alike_reads_nothing() -> None:
    """As members with the same score are."""
    kept = Kept(10_000)
    kept.change({b"%06d%06d" % (number // 3, number) for number in range(3000)}, set())
    kept.read_nothing_again()
    removed = {kept.model[at] for at in range(0, 3000, 7)}
    kept.change(set(), removed)
    kept.ask_nobody()
    kept.change(removed, set())
    kept.read_nothing_again()


def test_what_it_takes_does_not_grow_with_what_is_taken_off() -> None:
    kept = Kept(0)
    kept.change({b"%06d" % number for number in range(3000)}, set())
    index = kept.index
    assert index is not None
    before = index.size
    for _ in range(1500):
        collection = kept.group.begin().collection(b"k", ZSET)
        assert collection is not None
        index.attach(collection)
        kept.change(set(), set(index.edge(1, reverse=False)))
    assert index.size <= before + rank_index.AHEAD_MAX


def test_large_elements_are_not_read_far_ahead() -> None:
    kept = Kept(0)
    kept.change({b"%06d" % number + b"x" * 50_000 for number in range(400)}, set())
    index = kept.index
    assert index is not None
    for _ in range(300):
        collection = kept.group.begin().collection(b"k", ZSET)
        assert collection is not None
        index.attach(collection)
        kept.change(set(), set(index.edge(1, reverse=False)))
        assert index._first is not None
        assert sum(map(len, index._first.keys)) < 2 << 20
