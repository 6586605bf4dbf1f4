"""For all tests of the server's rooms."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.keyspace import breath
from tests.server.bench import Bench


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine makes no command a long one: tests of long work say themselves what is long."""
    monkeypatch.setattr(breath, "slice_s", 3600.0)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Makes benches, which are put away after the test."""
    benches: list[Bench] = []

    def bench(**options: bool) -> Bench:
        benches.append(Bench(tmp_path / str(len(benches)), **options))
        return benches[-1]

    yield bench
    for one in benches:
        one.store.close()
