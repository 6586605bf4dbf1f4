"""When dispatch may answer a GET by what is at hand: only while the proof of leadership holds after the look."""

from types import SimpleNamespace
from typing import Any

import pytest

import server.commands.all  # noqa: F401
from raft.core.quorum import UNBOUNDED
from server.dispatch.dispatcher import Dispatcher
from server.keyspace.hot import MISSING, HotReplies
from server.session import Session
from server.shard.clock import TurnClock, boot_time_us

GETS = [[b"GET", b"a"], [b"get", b"b"], [b"GET", b"gone"], [b"GET", b"unknown"], [b"GET", b"a"]]


class World:
    """A dispatcher whose router says what the test wants."""

    def __init__(self, lease_until_us: int) -> None:
        self.hot = HotReplies(2, 10)
        self.hot.keep(0, b"a", b"$1\r\nA\r\n")
        self.hot.keep(0, b"b", b"$1\r\nB\r\n")
        self.hot.keep(0, b"gone", MISSING)
        self.lease_until_us = lease_until_us
        self.clock = TurnClock()
        slowlog: Any = SimpleNamespace(threshold=10_000, threshold_us=10_000)
        node: Any = SimpleNamespace(
            stats=None,
            slowlog=slowlog,
            latency=slowlog,
            large_replies=slowlog,
            monitors=(),
            functions=None,
            tracking=None,
        )
        topology: Any = SimpleNamespace(
            data_groups=(1,), slot_groups=[1] * 16384, routing="forward", nodes={}
        )
        router: Any = SimpleNamespace(
            hot=self.hot, routes={1: None}, lease_until_us=lambda: self.lease_until_us
        )
        self.dispatcher = Dispatcher(node, topology, router, self.clock, databases=2, end_turn=lambda: None)
        outlet: Any = None
        self.session = Session(1, outlet, "", "", 0.0)

    def answer(self, start: int = 0) -> tuple[int, list[bytes]]:
        replies = self.dispatcher.hot.answer(self.session, GETS, start)
        return start + len(replies), replies


@pytest.mark.parametrize(("protocol", "null"), [(2, b"$-1\r\n"), (3, b"_\r\n")])
def test_it_answers_up_to_what_it_does_not_know(protocol: int, null: bytes) -> None:
    world = World(UNBOUNDED)
    world.session.protocol = protocol
    assert world.answer() == (3, [b"$1\r\nA\r\n", b"$1\r\nB\r\n", null])
    assert world.answer(3) == (3, [])
    assert world.answer(4) == (5, [b"$1\r\nA\r\n"])


def test_another_database_has_replies_of_its_own() -> None:
    world = World(UNBOUNDED)
    world.session.db = 1
    assert world.answer() == (0, [])


def test_without_a_lease_it_says_nothing() -> None:
    assert World(0).answer() == (0, [])
    assert World(boot_time_us() - 1).answer() == (0, [])


def test_a_lease_that_ended_is_noticed_in_the_next_turn() -> None:
    world = World(boot_time_us() + 60_000_000)
    assert world.answer()[0] == 3
    world.lease_until_us = 0
    world.clock.advance()
    assert world.answer() == (0, [])


def test_whoever_loses_a_group_forgets_all() -> None:
    world = World(UNBOUNDED)
    world.hot.clear()
    assert world.answer() == (0, [])


def test_it_begins_anew_when_it_is_full_and_takes_no_large_replies() -> None:
    hot = HotReplies(1, 2)
    hot.keep(0, b"large", b"$" + b"x" * 2000)
    assert not hot.databases[0]
    for number in range(3):
        hot.keep(0, b"%d" % number, b"+\r\n")
    assert set(hot.databases[0]) == {b"2"}
