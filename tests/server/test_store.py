"""The store on disk against its in-memory twin."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.keyspace.leveldb import DataStore
from server.keyspace.store import MemoryStore

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


def test_a_reverse_range_has_its_first_row_when_that_is_all(store: DataStore) -> None:
    store.db.put(b"a", b"1")
    store.db.put(b"c", b"3")
    assert list(store.scan(b"a", b"b", reverse=True)) == [(b"a", b"1")]
