"""Calls that wait for a key while leaders change: they go on at the next, are served once, and never for nobody."""

from collections.abc import Callable

import pytest

from raft.core.messages import NORMAL, Entry
from server.commands.table import lookup
from server.errors import CLIENT_UNBLOCKED
from server.shard.call import Call, Later
from server.shard.route import Route
from tests.server.bench import Bench

POPPED = b"*2\r\n$1\r\nk\r\n$1\r\n1\r\n"
Make = Callable[..., Bench]


class Crossing:
    """The route of a node that does not lead: what it sends, and to whom."""

    def __init__(self, bench: Bench, leader: int = 2) -> None:
        self.bench = bench
        self.sent: list[tuple[int, Call]] = []
        self.cancelled: list[Call] = []
        self.reachable = True
        """There is a connection to the node that has the calls."""
        bench.follow(bench.group.term + 1)
        bench.shard.leader = leader
        self.route = Route(
            1,
            1,
            bench.shard,
            bench.clock,
            leader_wait_s=3600.0,
            hint=leader,
            send=self.send,
            cancel=self.cancel,
            forget=lambda calls: None,
            on_dirty=lambda route: None,
        )

    def send(self, route: Route, node: int, call: Call) -> bool:
        self.sent.append((node, call))
        return True

    def cancel(self, route: Route, call: Call, error: bool) -> bool:
        self.cancelled.append(call)
        return self.reachable

    def ask(self, *words: str) -> tuple[Call, list[bytes]]:
        replies: list[bytes] = []
        args = [word.encode() for word in words]
        row = lookup(args)
        assert row is not None
        call = Call(row, args, 0, 2, Later(replies.append))
        self.route.submit(call)
        return call, replies


def test_who_waits_goes_on_at_the_next_leader_for_what_it_has_waited_for(make: Make) -> None:
    bench = make()
    waiting = [bench.ask("BLPOP", "k", "0"), bench.ask("XREAD", "BLOCK", "0", "STREAMS", "s", "$")]
    bench.turn()
    bench.follow(2)
    assert waiting == [[], []]
    assert [call.args for call in bench.shard.retry] == [
        [b"BLPOP", b"k", b"0"],
        [b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"0-0"],
    ]


def test_who_was_served_by_an_entry_that_did_not_come_through_waits_again(make: Make) -> None:
    bench = make()
    waiting = bench.ask("BLPOP", "k", "0")
    pushed = bench.ask("RPUSH", "k", "1")
    bench.turn()
    lost_from = bench.group.last_index
    bench.follow(2)
    assert waiting == []
    del bench.group.log[lost_from - 1 :]
    bench.group.log.append(Entry(lost_from, 2, NORMAL, b""))
    bench.commit(lost_from)
    assert (waiting, pushed) == ([], [])
    again = sorted(bench.shard.retry, key=lambda call: call.order)
    assert [call.args[0] for call in again] == [b"BLPOP", b"RPUSH"]


def test_who_was_served_by_an_entry_that_survives_its_leader_has_the_element(make: Make) -> None:
    bench = make()
    waiting = bench.ask("BLPOP", "k", "0")
    bench.ask("RPUSH", "k", "1")
    bench.turn()
    index = bench.group.last_index
    bench.follow(2)
    bench.group.log.append(Entry(index + 1, 2, NORMAL, b""))
    bench.commit(index + 1)
    assert waiting == [POPPED]


def test_a_reader_of_what_was_never_committed_does_not_read_on_from_later(make: Make) -> None:
    """Asked again its `$` would be the end of the stream as it is then, and what came in between would be missed."""
    bench = make()
    waiting = bench.ask("XREAD", "BLOCK", "0", "STREAMS", "s", "$")
    bench.ask("XADD", "s", "1-1", "f", "v")
    bench.turn()
    lost_from = bench.group.last_index
    bench.follow(2)
    del bench.group.log[lost_from - 1 :]
    bench.group.log.append(Entry(lost_from, 2, NORMAL, b""))
    bench.commit(lost_from)
    assert waiting == []
    again = min(bench.shard.retry, key=lambda call: call.order)
    assert again.args == [b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"0-0"]


def test_a_client_that_has_gone_takes_nothing_at_the_next_leader(make: Make) -> None:
    bench = make()
    crossing = Crossing(bench, leader=0)
    parked, replies = crossing.ask("BLPOP", "k", "0")
    assert crossing.route.unblock(parked, error=False)
    assert replies == [b"*-1\r\n"]
    bench.shard.retry.append(parked)
    assert crossing.route.unblock(parked, error=False)
    assert not bench.shard.retry


def test_what_another_node_refuses_after_it_was_given_up_is_not_done_elsewhere(make: Make) -> None:
    crossing = Crossing(make())
    call, replies = crossing.ask("BLPOP", "k", "0")
    assert [node for node, _ in crossing.sent] == [2]
    assert crossing.route.unblock(call, error=True)
    assert crossing.cancelled == [call]
    crossing.route.refused(call, leader=3)
    assert replies == [b"-" + CLIENT_UNBLOCKED + b"\r\n"]
    crossing.bench.clock.steady_s += 1
    crossing.route.update()
    assert len(crossing.sent) == 1


def test_who_may_have_been_served_by_a_leader_that_is_gone_is_not_told_that_there_was_nothing(
    make: Make,
) -> None:
    crossing = Crossing(make())
    crossing.reachable = False
    call, replies = crossing.ask("BLPOP", "k", "0")
    assert crossing.route.unblock(call, error=False)
    assert not replies, "its receipt may be on the way"
    crossing.route.lost(call)  # there is none
    assert replies == [b"*-1\r\n"]
    crossing.route.update()
    assert len(crossing.sent) == 1
    reader, replies = crossing.ask("XREAD", "BLOCK", "0", "STREAMS", "s", "$")
    assert crossing.route.unblock(reader, error=False)
    assert replies == [b"*-1\r\n"]


def test_a_call_that_another_node_refuses_waits_at_the_leader_it_names(make: Make) -> None:
    crossing = Crossing(make())
    call, replies = crossing.ask("BLPOP", "k", "0")
    crossing.bench.shard.leader = 3
    crossing.route.refused(call, leader=3)
    crossing.bench.clock.steady_s += 1
    crossing.route.update()
    assert [node for node, _ in crossing.sent] == [2, 3]
    assert replies == []


def test_a_hand_over_that_came_to_nothing_keeps_who_waits(make: Make) -> None:
    bench = make()
    waiting = bench.ask("BLPOP", "k", "0")
    bench.turn()
    bench.group.can_propose = False
    bench.shard.refresh()
    assert not bench.shard.ready
    bench.group.can_propose = True
    bench.shard.refresh()
    bench.ask("RPUSH", "k", "1")
    bench.turn()
    bench.commit(bench.group.last_index)
    assert waiting == [POPPED]


def test_more_who_wait_than_are_served_in_one_go_are_all_served_in_order(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.shard.waiters.served_per_round_max", 3)
    bench = make()
    waiting = [bench.ask("BLPOP", "k", "0") for _ in range(10)]
    bench.ask("RPUSH", "k", *map(str, range(10)))
    for _ in range(4):
        bench.turn()
    bench.commit(bench.group.last_index)
    assert [reply[0].split(b"\r\n")[4] for reply in waiting] == [b"%d" % number for number in range(10)]


def test_who_begins_to_wait_with_a_write_waits_though_others_are_asked_again(make: Make) -> None:
    """A new consumer is written when it begins to wait, which wakes those who read for a group already."""
    bench = make()
    bench.ask("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    waiting = [
        bench.ask("XREADGROUP", "GROUP", "g", consumer, "BLOCK", "0", "STREAMS", "s", ">")
        for consumer in ("c", "d")
    ]
    bench.turn()
    bench.commit(bench.group.last_index)
    assert waiting == [[], []]
    bench.ask("XADD", "s", "1-1", "f", "v")
    bench.ask("XADD", "s", "2-1", "f", "v")
    bench.turn()
    bench.commit(bench.group.last_index)
    assert [len(replies) for replies in waiting] == [1, 1]


def test_one_transaction_serves_many_each_with_its_own(make: Make) -> None:
    bench = make()
    first, second = bench.ask("BLPOP", "k", "0"), bench.ask("BLMOVE", "k", "l", "LEFT", "LEFT", "0")
    popper = bench.ask("BZPOPMIN", "z", "0")
    third = bench.ask("BRPOP", "k", "l", "0")
    script = (
        "redis.call('rpush', 'k', '1', '2') redis.call('zadd', 'z', 1, 'm') return redis.call('llen', 'k')"
    )
    length = bench.ask("EVAL", script, "0")
    bench.turn()
    bench.commit(bench.group.last_index)
    assert length == [b":2\r\n"], "a script sees what it pushed"
    assert first == [POPPED]
    assert second == [b"$1\r\n2\r\n"]
    assert popper == [b"*3\r\n$1\r\nz\r\n$1\r\nm\r\n$1\r\n1\r\n"]
    assert third == [b"*2\r\n$1\r\nl\r\n$1\r\n2\r\n"], "what was moved wakes who waits for it"


@pytest.mark.parametrize("hours", [-1, 1])
def test_who_sets_the_clock_neither_ends_a_wait_nor_makes_it_longer(hours: int, make: Make) -> None:
    crossing = Crossing(make())
    _, lost = crossing.ask("SET", "k", "v")
    refused, replies = crossing.ask("GET", "k")
    crossing.route.refused(refused, leader=2)
    crossing.bench.clock.now_s += hours * 3600
    crossing.route.check_deadlines()
    assert lost == replies == []
    crossing.route.answered(crossing.sent[0][1])
    crossing.bench.clock.steady_s += 1
    crossing.route.update()
    assert [call for _, call in crossing.sent[2:]] == [refused]
