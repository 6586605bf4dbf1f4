"""The store on disk against its in-memory twin."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.keyspace.layout import ELEMENT_PREFIX
from server.keyspace.leveldb import DataStore, SparseStore
from server.keyspace.store import MemoryStore
from server.shard import overlay as overlay_module
from server.shard.overlay import Overlay

ELEMENTS = ELEMENT_PREFIX.pack(b"e", 7)
KEYS = st.binary(max_size=2).map(lambda key: b"k" + key.translate(bytes(byte % 3 for byte in range(256))))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DataStore]:
    store = DataStore(tmp_path / "data", block_cache_bytes=1 << 20, write_buffer_bytes=1 << 20)
    yield store
    store.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    effects=st.dictionaries(KEYS, st.one_of(st.none(), st.just(b"v"))),
    start=KEYS,
    stop=KEYS,
    reverse=st.booleans(),
)
def test_a_range_is_the_same_in_memory_and_on_disk(
    store: DataStore, effects: dict[bytes, bytes | None], start: bytes, stop: bytes, reverse: bool
) -> None:
    memory = MemoryStore()
    batch = store.batch()
    for key in list(store.db.iterator(include_value=False)):
        batch.delete(key)
    for key, value in effects.items():
        if value is None:
            batch.delete(key)
        else:
            batch.put(key, value)
    store.write(batch)
    memory.write(effects)
    assert list(store.scan(start, stop, reverse)) == list(memory.scan(start, stop, reverse))
    assert list(SparseStore(store).scan(start, stop, reverse)) == list(memory.scan(start, stop, reverse))
    for end in (stop, None):
        found = list(store.scan_under(b"k", start[1:], end and end[1:], reverse))
        assert found == list(memory.scan_under(b"k", start[1:], end and end[1:], reverse))


def test_a_reverse_range_has_its_first_row_when_that_is_all(store: DataStore) -> None:
    store.db.put(b"a", b"1")
    store.db.put(b"c", b"3")
    assert list(store.scan(b"a", b"b", reverse=True)) == [(b"a", b"1")]


NAMES = st.integers(0, 300).map(lambda number: b"%03d" % number)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ordered=st.booleans(),
    steps=st.lists(
        st.one_of(
            st.tuples(
                st.sampled_from(["write", "write", "forget"]),
                st.dictionaries(NAMES, st.sampled_from([None, b"v"]), min_size=1, max_size=60),
            ),
            st.tuples(st.just("apply"), st.integers(1, 3)),
            st.tuples(st.just("read"), st.tuples(NAMES, NAMES, st.booleans())),
        ),
        max_size=40,
    ),
)
def test_elements_that_are_not_applied_yet_lie_over_those_that_are(
    store: DataStore, monkeypatch: pytest.MonkeyPatch, ordered: bool, steps: list[tuple[str, Any]]
) -> None:
    # Ordered: as with much that is pending and many scans.
    monkeypatch.setattr(overlay_module, "few_max", 0 if ordered else 64)
    monkeypatch.setattr(overlay_module, "scans_min", 0 if ordered else 8)
    for key in list(store.db.iterator(include_value=False)):
        store.db.delete(key)
    monkeypatch.setattr(overlay_module, "leaving_max", 2)
    overlay = Overlay(store, b"group")
    state = MemoryStore()
    entries: deque[tuple[int, dict[bytes, bytes | None]]] = deque()
    index = 0

    def apply_one() -> None:
        if not entries:
            return
        at, effects = entries.popleft()
        for key, each in effects.items():
            if each is None:
                store.db.delete(b"group" + key)
            else:
                store.db.put(b"group" + key, each)
        overlay.applied(at)

    for what, value in steps:
        if what in ("write", "forget"):
            index += 1
            effects = {ELEMENTS + name: each and each + b"%d" % index for name, each in value.items()}
            made: dict[bytes, bytes | None] = {}
            overlay.begin(index, made)
            for number, (key, each) in enumerate(
                [*dict.fromkeys(effects, b"first").items(), *effects.items()]
            ):
                if number % 7 == 6:  # others may be applied while this one is in the making
                    apply_one()
                made[key] = each
                overlay.put({key: each})
            if what == "forget":
                overlay.forget()
            else:
                overlay.proposed()
                entries.append((index, dict(effects)))
                state.write(effects)
            assert len(overlay) == sum(len(each) for _, each in entries)
        elif what == "apply":
            for _ in range(value):
                apply_one()
        overlay.tidy()
        for name in (b"000", b"001", b"150"):
            assert overlay.get(ELEMENTS + name) == state.get(ELEMENTS + name)
        start, stop, reverse = value if what == "read" else (b"", None, False)
        for end in (stop, None):
            found = list(overlay.scan_under(ELEMENTS, start, end, reverse))
            assert found == list(state.scan_under(ELEMENTS, start, end, reverse))
    while entries:
        apply_one()
    assert not overlay._young, "what is applied takes no memory"
    assert not overlay._old
