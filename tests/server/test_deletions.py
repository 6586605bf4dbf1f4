"""What is remembered of keys that went away is bounded, and goes on to the next leader."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.keyspace import deletions as deletions_module
from server.keyspace.deletions import Deletions
from server.shard.call import Transaction
from server.shard.waiters import NULL_ARRAY
from tests.server.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "data")
    yield bench
    bench.store.close()


def test_what_was_watched_does_not_become_more_with_each_flush() -> None:
    watched_max = deletions_module.watched_max
    known = Deletions(7)
    for number in range(watched_max):
        known.watch(b"h0%d" % number)
    asked: list[bytes] = []

    def is_there(where: bytes) -> bool:
        asked.append(where)
        return False

    for space in range(5):
        known.flush(8 + space, b"h%d" % space, b"h%d" % (space + 1), is_there)
    assert known.last(b"h5%d" % (watched_max - 1)) == 7, "it was missing all the time"
    asked.clear()
    for space in range(5):
        known.flush(20, b"h%d" % space, b"h9", is_there)
    assert asked == [], "the places of before are forgotten"


def test_a_database_that_was_emptied_is_remembered_by_who_leads_next(bench: Bench) -> None:
    watched = bench.revision("k")
    for words in (["SET", "k", "v"], ["FLUSHDB"]):
        bench.ask(*words)
        bench.turn()
        bench.commit(bench.group.last_index)
        bench.apply()
    bench.follow(2)
    bench.group.can_propose = True
    bench.lead(3)
    transaction = Transaction([], [(0, b"k", watched)])
    assert bench.shard.evaluate_transaction(transaction, 2) == NULL_ARRAY[2], "it came and went with the rest"
