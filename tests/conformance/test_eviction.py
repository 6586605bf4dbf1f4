"""maxmemory-clients next to a real Valkey: who is closed when all clients together hold too much."""

from collections.abc import Callable, Iterator

import pytest

from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Closed, Connection, encode

MIB = 1 << 20


@pytest.fixture
def control(server: Server) -> Iterator[Connection]:
    """A client that is spared, and takes the limit away in the end."""
    with Connection(HOST, server.port) as other:
        other.ask("SET", "large", "x" * 16 * MIB)
    with Connection(HOST, server.port) as control:
        control.ask("CLIENT", "NO-EVICT", "ON")
        yield control
        control.ask("CONFIG", "SET", "maxmemory-clients", "0", "maxmemory", "0")


def evicted(control: Connection) -> int:
    """How many were closed so far."""
    line = next(
        line
        for line in control.ask("INFO", "stats").value.split(b"\r\n")
        if line.startswith(b"evicted_clients:")
    )
    return int(line.partition(b":")[2])


def names(control: Connection) -> set[bytes]:
    """Of the clients that are there."""
    words = control.ask("CLIENT", "LIST").value.split()
    return {word[5:] for word in words if word.startswith(b"name=") and word != b"name="}


def closed(client: Connection) -> bool:
    """Whether it is, now or in the end."""
    try:
        while client.read():
            pass
    except (Closed, EOFError, OSError):
        return True
    return False


def sends_half(client: Connection) -> None:
    client.send(b"*2\r\n$4\r\nECHO\r\n$%d\r\n" % (8 * MIB) + b"x" * 4 * MIB)


def queues(client: Connection) -> None:
    client.send(encode(["MULTI"]) + 4 * encode(["SET", "k", "x" * MIB]))


def watches(client: Connection) -> None:
    client.send(
        b"".join(
            encode(["WATCH", *(f"{{w}}{number}" for number in range(n, n + 1000))])
            for n in range(0, 20_000, 1000)
        )
    )


def listens(client: Connection) -> None:
    client.send(b"".join(encode(["SUBSCRIBE", f"c{number}"]) for number in range(40_000)))


def does_not_read(client: Connection) -> None:
    client.send(encode(["GET", "large"]))


@pytest.mark.parametrize(
    "grow", [sends_half, queues, watches, listens, does_not_read], ids=lambda grow: grow.__name__
)
def test_a_client_that_holds_too_much_is_closed(
    server: Server, control: Connection, grow: Callable[[Connection], None]
) -> None:
    before = evicted(control)
    control.ask("CONFIG", "SET", "maxmemory-clients", "400kb")
    with Connection(HOST, server.port) as client, Connection(HOST, server.port) as other:
        other.ask("CLIENT", "SETNAME", "small")
        client.ask("CLIENT", "SETNAME", "large")
        grow(client)
        while b"large" in names(control):
            pass
        assert closed(client)
        assert other.ask("PING").value == b"PONG"
    assert evicted(control) == before + 1


def test_the_largest_go_first_and_no_more_than_must(server: Server, control: Connection) -> None:
    clients = [Connection(HOST, server.port) for _ in range(6)]
    try:
        for number, client in enumerate(clients):
            client.ask("CLIENT", "SETNAME", str(number))
            size = MIB * (number % 3 * 2 + 1)
            client.send(b"*1\r\n$%d\r\n" % (size + 1) + b"x" * size)
        sizes: list[bytes] = []
        while sum(int(size[5:]) for size in sizes) < 18 * MIB:
            sizes = [
                word for word in control.ask("CLIENT", "LIST").value.split() if word.startswith(b"qbuf=")
            ]
        for limit, left in (("12mb", {b"0", b"1", b"3", b"4"}), ("4mb", {b"0", b"3"})):
            control.ask("CONFIG", "SET", "maxmemory-clients", limit)
            while len(names(control)) > len(left):
                pass
            assert names(control) == left
    finally:
        for client in clients:
            client.close()


def test_who_is_spared_is_not_closed(server: Server, control: Connection) -> None:
    control.ask("CONFIG", "SET", "maxmemory", "100mb", "maxmemory-clients", "3%")
    with Connection(HOST, server.port) as client:
        client.ask("CLIENT", "SETNAME", "spared")
        client.ask("CLIENT", "NO-EVICT", "ON")
        client.send(b"*2\r\n$4\r\nECHO\r\n$%d\r\n" % (4 * MIB) + b"x" * 4 * MIB)
        client.send(b"\r\n")
        assert client.read().value == b"x" * 4 * MIB
