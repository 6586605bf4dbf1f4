"""What belongs to one turn of the reactor."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import trio

from resp import Limits
from server.net.reactor import Reactor, turn_looks_max
from server.shard.clock import TurnClock
from server.telemetry.stats import Stats


@contextmanager
def sockets(count: int) -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Pairs; the first of each is for the reactor to read."""
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(count)]
        for pair in pairs:
            for one in pair:
                stack.enter_context(one)
        yield pairs


async def first_turn(readers: dict[socket.socket, Callable[[], None]], end_turn: Callable[[], None]) -> None:
    """Have a reactor serve `readers` until a turn has ended."""

    def end() -> None:
        end_turn()
        nursery.cancel_scope.cancel()

    reactor = Reactor(
        TurnClock(),
        Stats(),
        Limits(),
        end_turn=end,
        new_session=lambda session: None,
        end_session=lambda session: None,
    )
    for reader, on_readable in readers.items():
        reactor.add_reader(reader.fileno(), on_readable)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reactor.run)


async def test_what_gets_ready_while_a_turn_serves_others_belongs_to_it() -> None:
    told: list[str] = []
    with sockets(2) as ((early, to_early), (late, to_late)):

        def on_early() -> None:
            early.recv(1)
            told.append("early")
            to_late.send(b"x")

        def on_late() -> None:
            late.recv(1)
            told.append("late")

        to_early.send(b"x")
        await first_turn({early: on_early, late: on_late}, lambda: told.append("end"))
    assert told[:3] == ["early", "late", "end"]


async def test_who_is_always_ready_does_not_keep_a_turn_from_ending() -> None:
    told: list[str] = []
    with sockets(1) as ((greedy, to_greedy),):
        to_greedy.send(b"x")
        await first_turn({greedy: lambda: told.append("read")}, lambda: told.append("end"))
    assert told.index("end") == turn_looks_max
