"""Receipts: what the leader writes into the log for the node that asked, and what that node concludes from it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from raft.core.messages import NORMAL, Entry
from server.commands.table import lookup
from server.shard.call import Call, Later
from server.shard.receipts import Fate, Sent, reply_bytes_max
from server.shard.route import Route
from tests.server.bench import Bench

ORIGIN = 7


class Visit:
    """The way back of a forwarded call."""

    def __init__(self) -> None:
        self.refused: list[list[bytes] | None] = []
        self.waiting: list[list[bytes]] = []

    def took(self, elapsed_us: list[int]) -> None:
        assert all(each >= 0 for each in elapsed_us)

    def waits(self, args: list[bytes]) -> None:
        self.waiting.append(args)

    def refuse(self, leader: int, args: list[bytes] | None = None) -> None:
        self.refused.append(args)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.shard.replica.asker = ORIGIN
    return bench


def forwarded(id_: int, *words: str, term: int = 1) -> tuple[Call, Visit, list[bytes]]:
    """A call of another node, its way back and its replies."""
    args = [word.encode() for word in words]
    row = lookup(args)
    assert row is not None
    visit, replies = Visit(), list[bytes]()
    call = Call(row, args, 0, 2, Later(replies.append))
    call.forwarded = visit
    call.receipt = (ORIGIN, id_)
    call.sent = Sent(term, 0)
    return call, visit, replies


def nothing(*_: object) -> bool:
    """Nobody can be reached."""
    return False


def route_of(bench: Bench, *, send: Callable[..., bool] = nothing) -> Route:
    return Route(
        1,
        1,
        bench.shard,
        bench.clock,
        leader_wait_s=3600.0,
        hint=2,
        send=send,
        cancel=nothing,
        forget=lambda calls: None,
        on_dirty=lambda route: None,
    )


def finish(bench: Bench) -> None:
    """All that was written is committed and applied."""
    bench.turn()
    bench.commit(bench.group.last_index)
    bench.apply()


def test_a_forwarded_write_leaves_its_reply_in_the_log(bench: Bench) -> None:
    for id_, words in enumerate((["INCR", "k"], ["GET", "k"], ["SETNX", "k", "v"], ["RPUSH", "l", "a", "b"])):
        bench.shard.submit(forwarded(id_, *words)[0])
    bench.ask("INCR", "k")
    finish(bench)
    assert list(bench.shard.replica.receipts) == [(ORIGIN, 0, b":1\r\n"), (ORIGIN, 3, b":2\r\n")]


def test_it_is_for_who_asked(bench: Bench) -> None:
    bench.shard.replica.asker = ORIGIN + 1
    bench.shard.submit(forwarded(1, "INCR", "k")[0])
    finish(bench)
    assert not bench.shard.replica.receipts


def test_a_large_reply_is_not_repeated(bench: Bench) -> None:
    bench.ask("SET", "k", "v" * reply_bytes_max)
    call, _, replies = forwarded(1, "GETDEL", "k")
    bench.shard.submit(call)
    finish(bench)
    assert list(bench.shard.replica.receipts) == [(ORIGIN, 1, None)]
    assert len(replies[0]) > reply_bytes_max


def test_who_is_served_later_has_a_receipt_too(bench: Bench) -> None:
    call, _, replies = forwarded(1, "BLPOP", "l", "0")
    bench.shard.submit(call)
    bench.ask("RPUSH", "l", "a")
    finish(bench)
    assert list(bench.shard.replica.receipts) == [(ORIGIN, 1, replies[0])]


def test_it_is_done_in_the_term_that_was_asked_for_or_refused(bench: Bench) -> None:
    """Who asked takes it for not done as soon as it sees a later term."""
    bench.lead(3)
    for term in (1, 2, 4):
        call, visit, replies = forwarded(term, "INCR", "k", term=term)
        bench.shard.submit(call)
        assert (visit.refused, replies) == ([None], [])
    bench.shard.submit(forwarded(3, "INCR", "k", term=3)[0])
    finish(bench)
    assert list(bench.shard.replica.receipts) == [(ORIGIN, 3, b":1\r\n")]


def test_what_raft_does_not_take_has_no_receipt(bench: Bench) -> None:
    bench.group.refusing = True
    bench.shard.submit(forwarded(1, "INCR", "k")[0])
    bench.turn()
    bench.group.refusing = False
    bench.shard.submit(forwarded(2, "INCR", "k")[0])
    finish(bench)
    assert list(bench.shard.replica.receipts) == [(ORIGIN, 2, b":1\r\n")]


def test_who_waits_when_the_leadership_is_lost_is_sent_on(bench: Bench) -> None:
    """With what it asks for by now: `$` was the end of the stream when it came."""
    bench.ask("XADD", "s", "1-1", "field", "value")
    finish(bench)
    call, visit, replies = forwarded(1, "XREAD", "BLOCK", "0", "STREAMS", "s", "$")
    bench.shard.submit(call)
    assert visit.waiting == [[b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"1-1"]]
    bench.ask("BLPOP", "l", "0")
    bench.follow(2)
    assert visit.refused == [[b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"1-1"]]
    assert [again.args[0] for again in bench.shard.retry] == [b"BLPOP"]
    assert not replies


def test_nor_does_it_read_on_from_later_when_what_woke_it_was_never_committed(bench: Bench) -> None:
    call, visit, _ = forwarded(1, "XREAD", "BLOCK", "0", "STREAMS", "s", "$")
    bench.shard.submit(call)
    bench.ask("XADD", "s", "1-1", "f", "v")
    bench.turn()
    lost_from = bench.group.last_index
    bench.follow(2)
    bench.group.log[lost_from - 1 :] = [Entry(lost_from, 2, NORMAL, b"")]
    bench.commit(lost_from)
    route_of(bench).update()
    assert visit.refused == [[b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"0-0"]]


def test_it_waits_for_what_is_left_of_its_time(bench: Bench) -> None:
    call, _, replies = forwarded(1, "BLPOP", "l", "10")
    call.since_s = bench.clock.now_s - 9
    bench.shard.submit(call)
    bench.clock.now_s += 0.9
    bench.shard.check_waiters()
    assert not replies
    bench.clock.now_s += 0.2
    bench.shard.check_waiters()
    assert replies == [b"*-1\r\n"]


def test_what_the_log_tells_of_a_call_without_a_receipt(bench: Bench) -> None:
    route = route_of(bench)
    call = forwarded(1, "INCR", "k")[0]
    call.sent = Sent(3, bench.shard.replica.generation)
    for settled_term, fate in ((2, Fate.OPEN), (3, Fate.OPEN), (4, Fate.NEVER)):
        bench.shard.settled_term = settled_term
        assert route.fate(call) == fate
    call.sent = Sent(3, bench.shard.replica.generation - 1)
    assert route.fate(call) == Fate.UNKNOWN, "a snapshot has no receipts"
    call.sent = None
    assert route.fate(call) == Fate.UNKNOWN
