"""Reads from a replica: of one state, though a worker thread goes on applying entries below them."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from server.commands.table import lookup
from tests.server.bench import Bench

OLD = b"*2\r\n$1\r\n1\r\n$1\r\n1\r\n"
NEW = b"*2\r\n$1\r\n2\r\n$1\r\n2\r\n"


class Replica(Bench):
    """A bench that is read as a replica is, with entries to apply at hand."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.consistent = True
        self.age_s = 0.0

    def read(self, *words: str) -> bytes | None:
        """The reply to a stale read; None: it is for the leader."""
        group: Any = SimpleNamespace(consistent=self.consistent, age_s=self.age_s)
        args = [word.encode() for word in words]
        row = lookup(args)
        assert row is not None
        return self.shard.stale_reads.evaluate(group, row, args, 0, 2)

    def write(self, *words: str) -> None:
        """Committed, but not applied yet."""
        self.ask(*words)
        self.turn()
        self.commit(self.group.last_index)

    def apply_within_reads(self, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        """Behind each look at a record the worker applies an entry, so often."""
        replica = self.shard.replica
        get = replica.get
        left = times

        def look(key: bytes) -> bytes | None:
            nonlocal left
            record = get(key)
            if key[:1] == b"h" and left:
                left -= 1
                self.write("MSET", "{k}a", "2", "{k}b", "2")
                self.apply()
            return record

        monkeypatch.setattr(replica, "get", look)


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    replica = Replica(tmp_path / "data")
    replica.write("MSET", "{k}a", "1", "{k}b", "1")
    replica.apply()
    yield replica
    replica.store.close()


def test_what_is_applied_is_read(replica: Replica) -> None:
    replica.write("MSET", "{k}a", "2", "{k}b", "2")
    assert replica.read("MGET", "{k}a", "{k}b") == OLD
    replica.apply()
    assert replica.read("MGET", "{k}a", "{k}b") == NEW


def test_nobody_sees_half_of_what_is_applied_meanwhile(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica.apply_within_reads(monkeypatch, 1)
    assert replica.read("MGET", "{k}a", "{k}b") in (OLD, NEW)


def test_a_read_that_is_always_overtaken_is_for_the_leader(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica.apply_within_reads(monkeypatch, 1000)
    assert replica.read("MGET", "{k}a", "{k}b") is None


def test_a_read_during_an_apply_is_for_the_leader(replica: Replica) -> None:
    replica.shard.replica.writes += 1
    assert replica.read("MGET", "{k}a", "{k}b") is None
    replica.shard.replica.writes += 1
    assert replica.read("MGET", "{k}a", "{k}b") == OLD


def test_what_is_past_the_groups_time_is_gone_though_the_clock_was_set_back(replica: Replica) -> None:
    replica.write("SET", "{k}a", "2", "PX", "1000")
    replica.clock.now_ms += 2000
    replica.write("SET", "{k}b", "2")
    replica.apply()
    replica.clock.now_ms -= 60_000
    assert replica.read("GET", "{k}a") == b"$-1\r\n"


def test_what_is_no_one_state_or_too_old_is_not_read(replica: Replica) -> None:
    replica.consistent = False
    assert replica.read("GET", "{k}a") is None
    replica.consistent, replica.age_s = True, 60.0
    assert replica.read("GET", "{k}a") is None
