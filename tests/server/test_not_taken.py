"""What Raft does not take did not happen, and what comes next in the same turn is as right as anything else.

A turn may propose several times: an entry is closed when it grows large, and connections go on when their replies have
left. So there may be more in a turn of which something was refused.
"""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from raft.core.messages import NORMAL, Entry
from server.cluster.topology import NodeAddress, Topology
from server.keyspace.hot import HotReplies
from server.shard.call import Transaction
from server.shard.route import Route
from server.shard.router import Router
from server.shard.waiters import NULL_ARRAY
from tests.server.bench import Bench, watched_revision


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "data")
    yield bench
    bench.store.close()


def refuse(bench: Bench) -> None:
    """Something was refused in this turn, though the group takes proposals still: smaller ones fit."""
    bench.group.refusing = True
    bench.ask("SET", "large", "v")
    bench.shard.flush()
    bench.group.refusing = False


def settle(bench: Bench) -> None:
    """All is committed and applied, and another turn begins."""
    bench.turn()
    bench.commit(bench.group.last_index)
    bench.apply()


def test_what_expires_still_counts_from_now(bench: Bench) -> None:
    refuse(bench)
    bench.ask("SET", "k", "v", "PX", "100000")
    settle(bench)
    assert bench.ask("GET", "k") == [b"$1\r\nv\r\n"]


def test_a_read_of_something_uncommitted_still_waits_for_it(bench: Bench) -> None:
    refuse(bench)
    bench.ask("SET", "k", "v")
    bench.shard.flush()
    assert bench.ask("GET", "k") == []


def test_a_key_past_its_time_is_still_gone(bench: Bench) -> None:
    bench.ask("SET", "k", "v", "PX", "1")
    settle(bench)
    bench.clock.now_ms += 1000
    refuse(bench)
    assert bench.ask("GET", "k") == [b"$-1\r\n"]


def test_a_watched_key_is_still_seen_to_change(bench: Bench) -> None:
    refuse(bench)
    bench.ask("SET", "k", "v")
    index = bench.group.last_index + 1
    settle(bench)
    revision = bench.revision("k")
    assert revision >> 16 == index


def test_who_found_a_list_empty_waits_behind_what_is_done_again(bench: Bench) -> None:
    bench.ask("RPUSH", "l", "x")
    settle(bench)
    bench.group.refusing = True
    bench.ask("LPOP", "l")
    early = bench.ask("BLPOP", "l", "0")
    bench.ask("BLPOP", "m", "0")
    bench.turn()
    bench.group.refusing = False
    bench.shard.refresh()
    assert [call.args[0] for call in bench.shard.retry] == [b"LPOP", b"BLPOP"]
    assert len(bench.shard.waiters) == 1, "nothing of what this one saw was taken back"
    bench.shard.submit(bench.shard.retry[1])
    settle(bench)
    assert early == [b"*2\r\n$1\r\nl\r\n$1\r\nx\r\n"]


def test_what_another_leader_has_committed_is_nobodys_reply(bench: Bench) -> None:
    """Raft may tell of the commit before it tells that we lead no more."""
    reply = bench.ask("SET", "k", "v")
    bench.turn()
    group = bench.group
    group.term += 1
    group.log[-1] = Entry(group.last_index, group.term, NORMAL, b"")
    bench.commit(group.last_index)
    assert reply == []
    bench.follow(group.term)
    assert [call.args[0] for call in bench.shard.retry] == [b"SET"]


class Node:
    """A bench with its route and what ends its turns."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        address = NodeAddress(1, "n1", "127.0.0.1", 6379, 16379)
        topology = Topology("test", 1, (address,), 1, 1, "forward")
        self.router = Router(topology, bench.clock, HotReplies(16, 100), leader_wait_s=3600.0)
        self.route: Route = self.router.add(1, bench.shard)
        bench.shard._on_change = self.router.shard_changed
        bench.shard._on_dirty = self.router.shard_dirty
        self.router.shard_changed(bench.shard)
        self.router.run()

    def proposals(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
        """Count from now on how often something is proposed."""
        count = itertools.count()
        propose = self.bench.group.propose

        def counted(data: bytes) -> int:
            next(count)
            return propose(data)

        monkeypatch.setattr(self.bench.group, "propose", counted)
        return partial(next, count)


def test_it_is_not_tried_over_and_over_in_one_turn(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(bench)
    proposals = node.proposals(monkeypatch)
    bench.group.refusing = True
    reply = bench.ask("SET", "k", "v", "PX", "100000")
    node.router.run()
    assert proposals() == 1
    assert not bench.shard.evaluator.draft.effects
    bench.group.refusing = False
    bench.clock.advance()
    node.route.check_deadlines()
    node.router.run()
    bench.commit(bench.group.last_index)
    assert reply == [b"+OK\r\n"]


def test_it_goes_on_as_soon_as_something_is_applied(bench: Bench) -> None:
    node = Node(bench)
    bench.ask("SET", "before", "v")
    node.router.run()
    bench.clock.advance()
    bench.group.refusing = True
    reply = bench.ask("SET", "k", "v")
    node.router.run()
    bench.group.refusing = False
    bench.clock.advance()
    bench.commit(bench.group.last_index)
    bench.apply()
    node.router.run()
    bench.commit(bench.group.last_index)
    assert reply == [b"+OK\r\n"]


def test_a_watched_key_that_came_and_went_is_still_seen_to_have_changed(bench: Bench) -> None:
    bench.ask("SET", "k", "v")
    bench.ask("DEL", "k")
    watched = bench.ask("_WATCH", "k")
    bench.ask("SET", "k", "v")
    bench.ask("DEL", "k")
    bench.shard.flush()
    refuse(bench)
    bench.commit(bench.group.last_index)
    transaction = Transaction([], [(0, b"k", watched_revision(watched))])
    assert bench.shard.evaluate_transaction(transaction, 2) == NULL_ARRAY[2]
