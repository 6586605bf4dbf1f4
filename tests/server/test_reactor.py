"""What belongs to one turn of the reactor."""

import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial

import pytest
import trio

from resp import Limits
from server.net import budget, connection, reactor
from server.net.connection import (
    Connection,
    Pending,
    requests_between_looks_at_the_clock,
    waiting_min,
)
from server.net.reactor import Reactor, turn_looks_max
from server.shard.clock import TurnClock
from server.telemetry.stats import Stats

patience_s = 120.0


@contextmanager
def sockets(count: int) -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Pairs; the first of each is for the reactor to read."""
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(count)]
        for pair in pairs:
            for one in pair:
                stack.enter_context(one)
        yield pairs


def read(reader: socket.socket, told: list[str], name: str) -> None:
    """Take what has come, and tell that."""
    reader.recv(1)
    told.append(name)


def make_reactor(end_turn: Callable[[], None]) -> Reactor:
    """One that nobody else hears of."""
    return Reactor(
        TurnClock(),
        Stats(),
        Limits(),
        end_turn=end_turn,
        new_session=lambda session: None,
        end_session=lambda session: None,
    )


async def turns(
    readers: dict[socket.socket, Callable[[], None]],
    end_turn: Callable[[], None],
    until: Callable[[], bool] = lambda: True,
) -> None:
    """Have a reactor serve `readers` until a turn has ended: the first, or the one with which `until` is true."""

    def end() -> None:
        end_turn()
        if until():
            nursery.cancel_scope.cancel()

    served = make_reactor(end)
    for reader, on_readable in readers.items():
        served.add_reader(reader.fileno(), on_readable)
    with trio.fail_after(patience_s):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.run)


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
        await turns({early: on_early, late: on_late}, lambda: told.append("end"))
    assert told[:3] == ["early", "late", "end"]


async def test_who_is_always_ready_does_not_keep_a_turn_from_ending() -> None:
    told: list[str] = []
    with sockets(1) as ((greedy, to_greedy),):
        to_greedy.send(b"x")
        await turns({greedy: lambda: told.append("read")}, lambda: told.append("end"))
    assert told.index("end") == turn_looks_max


async def test_what_a_long_turn_has_no_time_for_is_left_to_the_next_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budget, "turn_s_max", 0.0)
    told: list[str] = []
    with sockets(40) as pairs:
        readers: dict[socket.socket, Callable[[], None]] = {}
        for number, (reader, to_reader) in enumerate(pairs):
            to_reader.send(b"x")
            readers[reader] = partial(read, reader, told, str(number))
        await turns(readers, lambda: told.append("end"), until=lambda: len(set(told)) > len(pairs))
    served = [len(turn.split()) for turn in " ".join(told).split("end")]
    assert max(served) < 10
    assert sorted(set(told) - {"end"}, key=int) == [str(number) for number in range(40)]
    assert len(told) == 40 + told.count("end"), "each once"


class Deferring:
    """A Dispatcher whose replies all come at the end of the turn."""

    attentive = True

    def __init__(self) -> None:
        self.due: list[Pending] = []
        self.turns = 0

    def execute(self, connection: Connection, args: list[bytes]) -> None:
        self.due.append(connection.defer(args))

    def end_turn(self) -> None:
        due, self.due = self.due, []
        for pending in due:
            pending.fill(b"+PONG\r\n")
        self.turns += 1


async def test_pipelines_go_on_in_turn_when_turns_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "turn_s_max", 0.0)
    dispatcher = Deferring()
    clients, requests = 5, 3 * waiting_min
    async with serving(dispatcher) as (served, first):
        [listener] = served._listeners.values()
        others = [await trio.open_tcp_stream(*listener.getsockname()) for _ in range(clients - 1)]
        for stream in (first, *others):
            await stream.send_all(b"PING\r\n" * requests)
        for stream in (first, *others):
            await take_pongs(stream, requests)
        for stream in others:
            await stream.aclose()
    assert dispatcher.turns > 2 * clients, "one goes on in each"


class Prompt:
    """A Dispatcher that answers at once."""

    attentive = True

    def __init__(self) -> None:
        self.run = 0
        self.run_in_turns: list[int] = []

    def execute(self, connection: Connection, args: list[bytes]) -> bytes:
        self.run += 1
        return b"+PONG\r\n"

    def end_turn(self) -> None:
        self.run_in_turns.append(self.run)
        self.run = 0


@asynccontextmanager
async def serving(dispatcher: Prompt | Deferring) -> AsyncIterator[tuple[Reactor, trio.SocketStream]]:
    """A reactor that serves clients, and one of them."""
    served = make_reactor(dispatcher.end_turn)
    served.connect(dispatcher)  # type: ignore[arg-type]
    served.listen("127.0.0.1", 0)
    [listener] = served._listeners.values()
    with trio.fail_after(patience_s):
        async with trio.open_nursery() as nursery:
            await nursery.start(served.run)
            stream = await trio.open_tcp_stream(*listener.getsockname())
            yield served, stream
            await stream.aclose()
            nursery.cancel_scope.cancel()


async def take_pongs(stream: trio.SocketStream, count: int) -> None:
    missing = count * len(b"+PONG\r\n")
    while missing:
        missing -= len(await stream.receive_some(missing))


async def test_what_one_client_sends_at_once_is_run_over_many_turns_when_it_takes_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would keep the loop for as long as all of it takes."""
    monkeypatch.setattr(budget, "turn_s_max", 0.0)
    dispatcher = Prompt()
    requests = 2000
    async with serving(dispatcher) as (_, stream):
        await stream.send_all(b"PING\r\n" * requests)
        await take_pongs(stream, requests)
    assert max(dispatcher.run_in_turns) <= 3 * requests_between_looks_at_the_clock
    assert sum(dispatcher.run_in_turns) == requests


async def test_a_long_request_is_run_after_the_turn_that_has_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what comes behind it, too."""
    monkeypatch.setattr(connection, "long_request_bytes", 1000)
    dispatcher = Prompt()
    async with serving(dispatcher) as (served, stream):
        await stream.send_all(b"*2\r\n$4\r\nECHO\r\n$5000\r\n" + bytes(4000))
        while not any(client.query_bytes > 4000 for client in served.connections):  # noqa: ASYNC110
            await trio.sleep(0.005)
        turns = len(dispatcher.run_in_turns)
        await stream.send_all(bytes(1000) + b"\r\nPING\r\n")
        await take_pongs(stream, 2)
    assert dispatcher.run_in_turns[turns] == 0
    assert sum(dispatcher.run_in_turns) == 2


class Patience:
    """Has reactors wait for the next turn as long as a test may take, until the last of two turns has ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.turns = 0
        monkeypatch.setattr(reactor, "linger_s", patience_s)

    def end_turn(self) -> None:
        self.turns += 1
        if self.is_over():
            self.monkeypatch.setattr(reactor, "linger_s", 0.0)

    def is_over(self) -> bool:
        return self.turns >= 2


class Passes(trio.abc.Instrument):
    """Notes when Trio waits for something to happen."""

    def __init__(self, told: list[str]) -> None:
        self.told = told

    def before_io_wait(self, timeout: float) -> None:
        self.told.append("trio")


async def test_what_comes_soon_after_a_turn_is_served_without_a_way_through_trio(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    patience = Patience(monkeypatch)
    told: list[str] = []
    passes = Passes(told)
    with sockets(1) as ((reader, to_reader),):

        def end_turn() -> None:
            patience.end_turn()
            if not patience.is_over():
                threading.Timer(0.02, to_reader.send, [b"x"]).start()

        to_reader.send(b"x")
        trio.lowlevel.add_instrument(passes)
        await turns({reader: partial(read, reader, told, "read")}, end_turn, until=patience.is_over)
        trio.lowlevel.remove_instrument(passes)
    first = told.index("read")
    assert told[first : first + 2] == ["read", "read"]


async def test_a_task_that_wants_to_run_does_not_wait_for_what_may_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    patience = Patience(monkeypatch)
    wanted = trio.Event()
    with sockets(1) as ((reader, to_reader),):

        async def answer() -> None:
            await wanted.wait()
            to_reader.send(b"x")

        def read_one() -> None:
            reader.recv(1)
            wanted.set()

        to_reader.send(b"x")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            await turns({reader: read_one}, patience.end_turn, until=patience.is_over)
