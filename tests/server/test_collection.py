"""A collection against a dict: the same map whether it lies in the head or in records, before and after a save."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from server.errors import CommandError
from server.keyspace.collection import COMPACT_BYTES_MAX
from server.keyspace.layout import HASH, SET
from server.types import keys as generic
from tests.server.harness import Group

elements = st.sampled_from([b"%c%d" % (first, number) for first in b"ab\xff" for number in range(12)] + [b""])
values = st.sampled_from([b"", b"v", b"w" * 30, b"x" * 400])


class OneCollection(RuleBasedStateMachine):
    """A rule is a command: some changes, looked at before and after they are committed."""

    def __init__(self) -> None:
        super().__init__()
        self.group = Group()
        self.key = b"k"
        self.model: dict[bytes, bytes] = {}

    @rule(changes=st.lists(st.tuples(elements, st.none() | values), min_size=1, max_size=8))
    def change(self, changes: list[tuple[bytes, bytes | None]]) -> None:
        view = self.group.begin()
        collection = view.collection(self.key, HASH) or view.create(self.key, HASH)
        for element, value in changes:
            if value is None:
                collection.delete(element)
                self.model.pop(element, None)
            else:
                collection.put(element, value)
                self.model[element] = value
        assert collection.range() == sorted(self.model.items())
        for element, _ in changes:
            assert collection.get(element) == self.model.get(element)
        collection.meta = b"%d" % len(self.model)
        collection.save()
        self.group.commit()

    @rule(saved=st.booleans())
    def fail(self, saved: bool) -> None:
        view = self.group.begin()
        collection = view.collection(self.key, HASH) or view.create(self.key, HASH)
        for number in range(200):
            collection.put(b"lost%d" % number, b"never")
        collection.meta, collection.expire_ms = b"never", 1
        if saved:
            collection.save()
        view.rollback()

    @rule(name=st.sampled_from([b"k", b"other"]))
    def rename(self, name: bytes) -> None:
        view = self.group.begin()
        if name != self.key and view.exists(self.key):
            generic.rename(view, self.key, name)
            self.key = name
        self.group.commit()

    @rule()
    def copy_back(self) -> None:
        view = self.group.begin()
        if generic.copy(view, self.key, b"copy", 0, replace=True):
            view.delete(self.key)
            generic.rename(view, b"copy", self.key)
        self.group.commit()

    @rule()
    def delete(self) -> None:
        self.group.begin().delete(self.key)
        self.group.commit()
        self.model.clear()

    @rule(
        start=elements, stop=st.none() | elements, reverse=st.booleans(), limit=st.none() | st.integers(0, 5)
    )
    def look(self, start: bytes, stop: bytes | None, reverse: bool, limit: int | None) -> None:
        collection = self.group.begin().collection(self.key, HASH)
        expected = [
            pair
            for pair in sorted(self.model.items(), reverse=reverse)
            if start <= pair[0] and (stop is None or pair[0] < stop)
        ]
        found = [] if collection is None else collection.range(start, stop, reverse, limit)
        assert found == expected[:limit]

    @rule(element=elements)
    def look_up(self, element: bytes) -> None:
        view = self.group.begin()
        assert view.value_in(self.key, HASH, element) == self.model.get(element)
        view.create(b"set", SET).save()
        with pytest.raises(CommandError):
            view.value_in(b"set", HASH, element)
        view.rollback()

    @invariant()
    def nothing_is_lost(self) -> None:
        collection = self.group.begin().collection(self.key, HASH)
        if collection is None:
            assert not self.model
            return
        assert collection.meta == b"%d" % len(self.model)
        assert {element: collection.get(element) for element in self.model} == self.model
        assert collection.get(b"missing") is None
        assert collection.spread or sum(len(e) + len(v) for e, v in self.model.items()) <= COMPACT_BYTES_MAX

    @invariant()
    def whatever_has_no_owner_is_noted(self) -> None:
        store = self.group.store
        owned = {
            b"" if c is None or not c.spread else c.id.to_bytes(8, "big")
            for c in [self.group.begin().collection(key, HASH) for key in (b"k", b"other", b"copy")]
        }
        noted = {key[1:9] for key, _ in store.scan(b"i", b"j")}
        present = {key[1:9] for key, _ in store.scan(b"e", b"f")}
        assert present <= owned | noted
        assert not owned & noted


TestOneCollection = OneCollection.TestCase
TestOneCollection.settings = settings(max_examples=25, stateful_step_count=20)
