"""For all tests of the server's rooms."""

import pytest

from server.keyspace import breath


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine makes no command a long one: tests of long work say themselves what is long."""
    monkeypatch.setattr(breath, "slice_s", 3600.0)
