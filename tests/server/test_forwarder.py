"""Both ends of a forwarded call, where a connection breaks at an unlikely moment."""

from collections.abc import Callable
from typing import Any

from server.commands import all as all_commands
from server.commands.table import lookup
from server.shard.call import Call, Later
from server.shard.clock import TurnClock
from server.shard.forward import Forwarder
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

    def __init__(self) -> None:
        self.open: Link | None = Link()
        self.on_close: Callable[[Any], None]

    def lane(self, name: str, *, on_close: Callable[[Any], None], **_: object) -> None:
        self.on_close = on_close

    def link(self, lane: str, node: int) -> Link | None:
        return self.open

    def lose(self) -> None:
        link, self.open = self.open, None
        self.on_close(link)


def test_a_client_leaves_and_the_connection_to_its_leader_breaks_before_the_turn_ends() -> None:
    clock, links, routes = TurnClock(), Links(), dict[int, Route]()
    forwarder = Forwarder(
        links,  # type: ignore[arg-type]
        routes,
        on_receive=clock.refresh,
        on_turn_start=clock.advance,
        on_turn_end=lambda: forwarder.flush(),
        on_link=lambda: None,
        when_applied=lambda index, then: None,
        on_elapsed=lambda call, elapsed: None,
    )
    route = routes[1] = Route(
        1,
        1,
        None,
        clock,
        leader_wait_s=5.0,
        hint=LEADER,
        send=forwarder.send,
        cancel=lambda route, call, error: forwarder.cancel(route, call, error=error),
        forget=forwarder.forget,
        on_dirty=lambda route: None,
    )
    row = lookup([b"XREAD"])
    assert row is not None
    replies: list[bytes] = []
    args = [b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"$"]
    call = Call(row, args, 0, 2, Later(replies.append))
    route.submit(call)
    forwarder.flush()
    assert route.unblock(call, error=False)
    links.lose()
    assert replies == [b"*-1\r\n"]
