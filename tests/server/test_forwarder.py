"""Both ends of the lane for forwarded calls: connections that break, and what is too large for them."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from resp import Error, encode
from server.commands import all as all_commands
from server.commands.table import lookup
from server.errors import OUTCOME_UNKNOWN, REPLY_TOO_LARGE, REQUEST_TOO_LARGE
from server.shard import lane
from server.shard.call import Call, Later
from server.shard.clock import TurnClock
from server.shard.forward import Forwarder
from server.shard.lane import Request, Response
from server.shard.route import Route

assert all_commands.loaded
LEADER = 2


class Link:
    """A connection that takes everything."""

    peer = LEADER
    dialed = True
    buffered_bytes = 0

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def send(self, payload: bytes) -> bool:
        self.frames.append(payload)
        return True


class Links:
    """The connection to the leader, if there is one."""

    forwarder: Forwarder

    def __init__(self) -> None:
        self.open: Link | None = Link()

    def lane(
        self,
        name: str,
        *,
        on_open: Callable[[Any], None],
        on_frame: Callable[[Any, bytes], None],
        on_close: Callable[[Any], None],
        **_: object,
    ) -> None:
        self.on_open, self.on_frame, self.on_close = on_open, on_frame, on_close

    def link(self, lane: str, node: int) -> Link | None:
        return self.open

    def visit(self) -> Link:
        """Another node connects."""
        visitor = Link()
        visitor.dialed = False
        self.on_open(visitor)
        return visitor

    def lose(self) -> None:
        link, self.open = self.open, None
        self.on_close(link)


class Turns:
    """A Pace under the test's hand."""

    def __init__(self) -> None:
        self.late = False
        self.postponed: list[Callable[[], None]] = []

    def is_late(self) -> bool:
        return self.late

    def postpone(self, go_on: Callable[[], None]) -> None:
        self.postponed.append(go_on)

    def next(self) -> None:
        postponed, self.postponed = self.postponed, []
        for go_on in postponed:
            go_on()


def answer_with(monkeypatch: pytest.MonkeyPatch, reply: Callable[[Call], bytes]) -> None:
    """What comes from another node is answered at once."""

    def accept(route: Route, call: Call) -> bool:
        call.slot.fill(reply(call))
        return True

    monkeypatch.setattr(Route, "accept", accept)


@pytest.fixture
def links() -> Links:
    return Links()


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def route(links: Links, turns: Turns) -> Route:
    """To a group that is led at the other end of `links`, on a node without a replica."""
    clock, routes = TurnClock(), dict[int, Route]()
    forwarder = links.forwarder = Forwarder(
        links,  # type: ignore[arg-type]
        routes,
        on_receive=clock.refresh,
        on_turn_start=clock.advance,
        on_turn_end=lambda: forwarder.flush(),
        on_link=lambda: None,
        when_applied=lambda index, then: None,
        pace=turns,
        on_elapsed=lambda call, elapsed: None,
        on_shown=lambda db, words: None,
    )
    routes[1] = Route(
        1,
        1,
        None,
        clock,
        leader_wait_s=3600.0,
        hint=LEADER,
        send=forwarder.send,
        cancel=lambda route, call, error: forwarder.cancel(route, call, error=error),
        forget=forwarder.forget,
        on_dirty=lambda route: None,
    )
    return routes[1]


def ask(route: Route, *words: str) -> tuple[Call, list[bytes]]:
    """Submit a command; where its reply goes."""
    args = [word.encode() for word in words]
    row = lookup(args)
    assert row is not None
    replies: list[bytes] = []
    call = Call(row, args, 0, 2, Later(replies.append))
    route.submit(call)
    return call, replies


def test_a_client_leaves_and_the_connection_to_its_leader_breaks_before_the_turn_ends(
    links: Links, route: Route
) -> None:
    call, replies = ask(route, "XREAD", "BLOCK", "0", "STREAMS", "s", "$")
    links.forwarder.flush()
    assert route.unblock(call, error=False)
    links.lose()
    assert replies == [b"*-1\r\n"]


def test_who_reads_what_comes_goes_on_from_where_it_began_to_wait_when_the_connection_breaks(
    links: Links, route: Route
) -> None:
    """What came meanwhile would be missed with `$`."""
    call, _ = ask(route, "XREAD", "BLOCK", "0", "STREAMS", "s", "$")
    again = [b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"1-1"]
    links.on_frame(links.open, msgspec.msgpack.encode([Response(1, None, args=again, waits=True)]))
    links.lose()
    assert call.args == again


def test_what_was_given_up_is_not_done_for_nobody_when_it_comes_back(links: Links, route: Route) -> None:
    """It would take an element from a list, and nobody would get it."""
    call, replies = ask(route, "BLPOP", "l", "0")
    links.forwarder.flush()
    route.hint = LEADER + 1
    route._clock.steady_s += route.leader_wait_s + 1
    route.check_deadlines()
    assert replies == [encode(Error(OUTCOME_UNKNOWN), 2)]
    links.on_frame(links.open, msgspec.msgpack.encode([Response(1, None, LEADER + 1, args=call.args)]))
    route._clock.steady_s += 1
    route.update()
    links.forwarder.flush()
    assert links.open is not None
    assert len(links.open.frames) == 1


def test_what_is_too_large_for_a_frame_goes_in_several_and_what_is_for_any_is_refused(
    links: Links, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "frame_bytes_max", 400)
    asked = [ask(route, "SET", f"k{number}", "v" * 50) for number in range(20)]
    _, refused = ask(route, "SET", "k", "v" * 400)
    links.forwarder.flush()
    assert refused == [encode(Error(REQUEST_TOO_LARGE), 2)]
    assert links.open is not None
    sent = [
        request
        for frame in links.open.frames
        for request in msgspec.msgpack.decode(frame, type=list[Request])
    ]
    assert [request.args for request in sent] == [call.args for call, _ in asked]
    assert max(map(len, links.open.frames)) <= 400


def test_a_reply_that_is_too_large_for_a_frame_is_an_error(
    links: Links, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    """… and the one before it goes in a frame of its own."""
    monkeypatch.setattr(lane, "frame_bytes_max", 400)
    visitor = links.visit()
    answer_with(monkeypatch, lambda call: b"+" + call.args[1] * 300 + b"\r\n")
    links.on_frame(
        visitor,
        msgspec.msgpack.encode(
            [Request(1, 1, 0, 0, 2, [b"GET", b"k"]), Request(2, 1, 0, 0, 2, [b"GET", b"kk"])]
        ),
    )
    links.forwarder.flush()
    replies = [
        response.reply
        for frame in visitor.frames
        for response in msgspec.msgpack.decode(frame, type=list[Response])
    ]
    assert replies == [b"+" + b"k" * 300 + b"\r\n", encode(Error(REPLY_TOO_LARGE), 2)]


def pings(count: int) -> bytes:
    """A frame with so many requests."""
    return msgspec.msgpack.encode(
        [Request(number, 1, 0, 0, 2, [b"GET", b"%d" % number]) for number in range(1, count + 1)]
    )


def answered(link: Link) -> list[int]:
    """The requests that were answered there, in order."""
    return [
        response.id
        for frame in link.frames
        for response in msgspec.msgpack.decode(frame, type=list[Response])
    ]


def test_what_a_turn_has_no_time_for_of_a_frame_is_done_in_the_next_ones_before_what_comes_later(
    links: Links, route: Route, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = links.visit()
    answer_with(monkeypatch, lambda call: b"+OK\r\n")
    turns.late = True
    links.on_frame(visitor, pings(500))
    links.forwarder.flush()
    begun = len(answered(visitor))
    assert 0 < begun < 500
    assert links.forwarder.visits.busy
    links.on_frame(visitor, msgspec.msgpack.encode([Request(501, 1, 0, 0, 2, [b"GET", b"k"])]))
    turns.next()
    links.forwarder.flush()
    assert begun < len(answered(visitor)) < 500
    turns.late = False
    turns.next()
    links.forwarder.flush()
    assert answered(visitor) == [*range(1, 502)]
    assert not turns.postponed
    assert not links.forwarder.visits.busy


def test_what_was_not_begun_when_its_connection_broke_is_not_done(
    links: Links, route: Route, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its node asks again, elsewhere perhaps."""
    done: list[Call] = []

    def reply(call: Call) -> bytes:
        done.append(call)
        return b"+OK\r\n"

    visitor = links.visit()
    answer_with(monkeypatch, reply)
    turns.late = True
    links.on_frame(visitor, pings(500))
    begun = len(done)
    links.forwarder.visits.closed(visitor)  # type: ignore[arg-type]
    turns.next()
    assert len(done) == begun
    assert not links.forwarder.visits.busy


def test_replies_wait_while_much_is_on_its_way(
    links: Links, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = links.visit()
    answer_with(monkeypatch, lambda call: b"+OK\r\n")
    visitor.buffered_bytes = lane.buffer_bytes_max + 1
    links.on_frame(visitor, msgspec.msgpack.encode([Request(1, 1, 0, 0, 2, [b"GET", b"k"])]))
    links.forwarder.flush()
    assert not visitor.frames
    visitor.buffered_bytes = 0
    links.forwarder.flush()
    assert len(visitor.frames) == 1


def test_a_reply_that_is_made_some_turns_later_leaves_then(
    links: Links, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is with every write, which has to be committed first."""
    visitor = links.visit()
    calls: list[Call] = []

    def accept(route: Route, call: Call) -> bool:
        calls.append(call)
        return True

    monkeypatch.setattr(Route, "accept", accept)
    links.on_frame(visitor, msgspec.msgpack.encode([Request(1, 1, 0, 0, 2, [b"GET", b"k"])]))
    links.forwarder.flush()
    answer_with(monkeypatch, lambda call: b"+OK\r\n")
    links.on_frame(visitor, msgspec.msgpack.encode([Request(2, 1, 0, 0, 2, [b"GET", b"k"])]))
    links.forwarder.flush()
    calls[0].slot.fill(b"+OK\r\n")
    links.forwarder.flush()
    assert len(visitor.frames) == 2
