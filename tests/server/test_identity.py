"""What a data directory remembers of whom and what it was made for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from raft.storage import LogStore
from server.cluster.identity import check_identity
from server.config.file import load
from server.config.reader import ConfigError
from server.keyspace.layout import LAYOUT


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LogStore]:
    store = LogStore.open(tmp_path / "log", create=True)
    yield store
    store.close()


def check(store: LogStore, name: str = "node") -> None:
    config = load(None)
    check_identity(store, config.cluster, name, config.topology(config.node_name(None)))


def test_a_directory_is_known_again(store: LogStore) -> None:
    check(store)
    check(store)
    with pytest.raises(ConfigError, match="belongs to node node of cluster"):
        check(store, "another")


@pytest.mark.parametrize(("remembered", "shown"), [(b"%d" % (LAYOUT + 1), LAYOUT + 1), (None, 0)])
def test_a_directory_of_another_layout_is_refused(
    store: LogStore, remembered: bytes | None, shown: int
) -> None:
    check(store)
    if remembered is None:  # written before there were numbers
        store.delete_meta("layout")
    else:
        store.put_meta("layout", remembered)
    with pytest.raises(ConfigError) as refusal:
        check(store)
    assert f"another version of Redraft (layout {shown}, this one reads {LAYOUT})" in str(refusal.value)
    assert store.get_meta("identity") is not None


def test_a_start_that_was_cut_off_is_a_start(store: LogStore) -> None:
    store.put_meta("layout", b"%d" % LAYOUT)
    check(store)
