"""A connection to the leader breaks, and the leader stays: what it has done is answered, all else is done again, and
nothing is done twice."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from server.shard.call import Call
from server.shard.clock import TurnClock
from server.shard.forward import Forwarder
from server.shard.lane import Request, Response
from server.shard.route import Route
from tests.server.test_forwarder import Link, Links, Turns, ask
from tests.server.test_receipts import route_of
from tests.server.test_shard import Bench

TERM = 2


class Node:
    """A node with a replica of a group, and its end of the lane to the other one."""

    def __init__(self, path: Path) -> None:
        self.bench = Bench(path)
        self.links = Links()
        clock: TurnClock = self.bench.clock
        self.route: Route = route_of(self.bench, send=lambda *call: self.forwarder.send(*call))
        self.forwarder = Forwarder(
            self.links,  # type: ignore[arg-type]
            {1: self.route},
            on_receive=lambda: None,
            on_turn_start=clock.advance,
            on_turn_end=lambda: None,
            on_link=lambda: None,
            when_applied=lambda index, then: None,
            pace=Turns(),
            on_elapsed=lambda call, elapsed: None,
            on_shown=lambda db, words: None,
        )

    def connect(self) -> None:
        """The connection that this node dials is there again."""
        self.links.open = Link()
        self.links.on_open(self.links.open)

    def settle(self) -> None:
        """A moment later."""
        self.forwarder.settle(self.bench.clock.steady_s)
        self.route.update()
        self.forwarder.flush()

    def sent(self) -> list[Request]:
        """What it has sent since it was asked last."""
        assert self.links.open is not None
        frames, self.links.open.frames = self.links.open.frames, []
        return [each for frame in frames for each in msgspec.msgpack.decode(frame, type=list[Request])]

    def hear(self, id_: int, reply: bytes) -> None:
        """The leader answers."""
        self.links.on_frame(self.links.open, msgspec.msgpack.encode([Response(id_, reply)]))


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Node]:
    """The node that asks."""
    node = Node(tmp_path / "asker")
    node.bench.follow(TERM)
    yield node
    node.bench.store.close()


@pytest.fixture
def leader(tmp_path: Path) -> Iterator[Node]:
    """The node that is asked."""
    node = Node(tmp_path / "leader")
    node.bench.lead(TERM)
    node.route.update()
    yield node
    node.bench.store.close()


def broken(asker: Node, *words: str) -> tuple[Call, list[bytes], Request]:
    """A write was under way when the connection broke; it is back, and the leader was asked what it has done."""
    call, replies = ask(asker.route, *words)
    asker.forwarder.flush()
    assert [request.term for request in asker.sent()] == [TERM]
    asker.links.lose()
    asker.settle()
    asker.connect()
    asker.settle()
    [question] = asker.sent()
    assert question.args == [b"_settled", b"%d" % TERM]
    return call, replies, question


@pytest.mark.parametrize("words", [["SET", "k", "v"], ["BLPOP", "k", "0"]])
def test_what_has_no_receipt_where_one_would_be_is_done_again(asker: Node, words: list[str]) -> None:
    call, replies, question = broken(asker, *words)
    applied = asker.bench.applied_upto
    asker.hear(question.id, b":%d\r\n" % (applied + 1))
    asker.settle()
    assert asker.sent() == [], "its receipt may be in what is not applied yet"
    asker.bench.group.log.append(asker.bench.group.log[-1]._replace(index=applied + 1, term=TERM))
    asker.bench.commit(applied + 1)
    asker.bench.apply()
    asker.settle()
    assert [request.args for request in asker.sent()] == [call.args]
    assert not replies


def test_nothing_goes_past_what_is_in_doubt(asker: Node) -> None:
    _, _, question = broken(asker, "SET", "k", "v")
    ask(asker.route, "INCR", "k")
    asker.settle()
    assert asker.sent() == []
    asker.hear(question.id, b":%d\r\n" % asker.bench.applied_upto)
    asker.settle()
    assert [request.args[0] for request in asker.sent()] == [b"SET", b"INCR"]


def test_while_the_leader_can_not_tell_it_is_asked_again(asker: Node) -> None:
    _, replies, question = broken(asker, "SET", "k", "v")
    asker.hear(question.id, b"$-1\r\n")
    asker.settle()
    assert [request.args[0] for request in asker.sent()] == [b"_settled"]
    assert not replies


def test_it_is_asked_again_when_the_connection_breaks_once_more(asker: Node) -> None:
    _, replies, _ = broken(asker, "SET", "k", "v")
    asker.links.lose()
    asker.settle()
    asker.connect()
    asker.settle()
    [question] = asker.sent()
    assert question.args[0] == b"_settled"
    asker.hear(question.id, b":%d\r\n" % asker.bench.applied_upto)
    asker.settle()
    assert [request.args[0] for request in asker.sent()] == [b"SET"]
    assert not replies


def visit(leader: Node, link: Link, *requests: Request) -> None:
    leader.links.on_frame(link, msgspec.msgpack.encode(list(requests)))
    leader.bench.turn()
    leader.forwarder.flush()


def settled(leader: Node, term: int = TERM) -> bytes | None:
    """What a node is told that has connected anew."""
    link = leader.links.visit()
    visit(leader, link, Request(9, 1, 0, 0, 2, [b"_settled", b"%d" % term]))
    [response] = msgspec.msgpack.decode(link.frames[-1], type=list[Response])
    return response.reply


def test_the_leader_tells_when_all_that_came_is_answered(leader: Node) -> None:
    """Who connects anew is heard before the end of the old connection is told."""
    write = Request(1, 1, 0, 0, 2, [b"SET", b"k", b"v"], asker=7, term=TERM)
    visit(leader, leader.links.visit(), write)
    assert settled(leader) == b"$-1\r\n"
    index = leader.bench.group.last_index
    leader.bench.commit(index)
    assert settled(leader) == b":%d\r\n" % index
    assert settled(leader, TERM + 1) == b"$-1\r\n"
    leader.bench.follow(TERM)
    assert settled(leader) == b"$-1\r\n", "who leads no more can not know what becomes of it"


def test_who_waited_over_a_connection_that_broke_is_served_no_more(leader: Node) -> None:
    pop = Request(1, 1, 0, 0, 2, [b"BLPOP", b"k", b"0"], asker=7, term=TERM)
    visit(leader, leader.links.visit(), pop)
    assert settled(leader) == b":%d\r\n" % leader.bench.group.commit
    leader.bench.ask("RPUSH", "k", "v")
    leader.bench.turn()
    leader.bench.commit(leader.bench.group.last_index)
    assert leader.bench.ask("LLEN", "k") == [b":1\r\n"]
