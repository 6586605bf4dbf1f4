"""The proxy that follows MOVED, before nodes of a few lines each."""

import itertools
import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from server.keyspace.slots import key_slot
from tests.tcl.following import HOST, encode, following, read_request


@contextmanager
def node(leads: bool, other: int = 0, refusals: int = 0) -> Iterator[int]:
    """One that answers GET by its port if it `leads` all slots, after so many `refusals`, and else by MOVED
    to the port `other`."""
    left = iter(range(refusals))
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]

        def reply(args: list[bytes]) -> bytes:
            if args[0] != b"GET":
                return b":1\r\n"  # CLIENT ID
            if next(left, None) is not None:
                return b"-TRYAGAIN send it again\r\n"
            return (
                b":%d\r\n" % port
                if leads
                else b"-MOVED %d %s:%d\r\n" % (key_slot(args[1]), HOST.encode(), other)
            )

        def serve(client: socket.socket) -> None:
            received = b""
            with client:
                while chunk := client.recv(1 << 16):
                    received += chunk
                    while received:
                        args, end = read_request(received)
                        client.sendall(reply(args))
                        received = received[end:]

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=[client], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield port
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # or `accept` would go on


@contextmanager
def counter() -> Iterator[int]:
    """A node that answers each request by how many it has had, in the order in which they came."""
    with socket.create_server((HOST, 0)) as listener, select.epoll() as epoll:
        epoll.register(listener, select.EPOLLIN)
        epoll.register(ended := os.eventfd(0), select.EPOLLIN)
        clients: dict[int, socket.socket] = {}
        counted = itertools.count()

        def run() -> None:
            while True:
                for number, _ in epoll.poll():
                    if number == ended:
                        return
                    if number == listener.fileno():
                        client, _ = listener.accept()
                        clients[client.fileno()] = client
                        epoll.register(client, select.EPOLLIN | select.EPOLLET)  # the first first
                    elif received := clients[number].recv(1 << 16):
                        while received:
                            received = received[read_request(received)[1] :]
                            clients[number].sendall(b":%d\r\n" % next(counted))
                    else:
                        clients.pop(number).close()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            os.eventfd_write(ended, 1)
            thread.join()
            os.close(ended)
            for client in clients.values():
                client.close()


def asked(proxy: int, *words: bytes) -> bytes:
    """The reply of the proxy to one request; nothing if it closes the connection."""
    with socket.create_connection((HOST, proxy)) as client:
        client.sendall(encode(*words))
        return client.recv(1 << 16)


def test_a_client_is_answered_by_the_node_that_moved_names() -> None:
    with ExitStack() as stack:
        leader = stack.enter_context(node(leads=True))
        home = stack.enter_context(node(leads=False, other=leader))
        proxy = stack.enter_context(following((home, leader)))
        for _ in range(2):
            assert asked(proxy, b"GET", b"key") == b":%d\r\n" % leader


def test_what_comes_together_is_answered_in_order() -> None:
    with ExitStack() as stack:
        leader = stack.enter_context(node(leads=True))
        home = stack.enter_context(node(leads=False, other=leader))
        proxy = stack.enter_context(following((home, leader)))
        plain, other = encode(b"GET", b"key"), encode(b"PING")
        with socket.create_connection((HOST, proxy)) as client:
            client.sendall(3 * plain + other + 2 * plain)
            answer = b":%d\r\n" % leader
            expected = 3 * answer + b":1\r\n" + 2 * answer
            received = b""
            while len(received) < len(expected):
                received += client.recv(1 << 16)
            assert received == expected


def test_a_proxy_knows_nothing_of_the_cluster_that_another_one_stood_before() -> None:
    for _ in range(2):
        with ExitStack() as stack:
            leader = stack.enter_context(node(leads=True))
            home = stack.enter_context(node(leads=False, other=leader))
            proxy = stack.enter_context(following((home, leader)))
            assert asked(proxy, b"GET", b"key") == b":%d\r\n" % leader


def test_what_is_to_be_tried_again_is() -> None:
    with node(leads=True, refusals=2) as home, following((home,)) as proxy:
        assert asked(proxy, b"GET", b"key") == b":%d\r\n" % home


def test_what_was_asked_first_is_asked_first() -> None:
    with ExitStack() as stack:
        proxy = stack.enter_context(following([stack.enter_context(counter())]))
        first, second = (stack.enter_context(socket.create_connection((HOST, proxy))) for _ in range(2))
        for _ in range(500):
            for client in (first, second):
                client.sendall(encode(b"GET", b"key"))
            assert int(first.recv(100)[1:]) < int(second.recv(100)[1:])


def test_a_client_that_does_not_read_keeps_no_other_waiting() -> None:
    with ExitStack() as stack:
        home = stack.enter_context(counter())
        proxy = stack.enter_context(following([home]))
        stuck = stack.enter_context(socket.create_connection((HOST, proxy)))
        stuck.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                stuck.send(1000 * encode(b"GET", b"key"))
        assert asked(proxy, b"GET", b"key").startswith(b":")
