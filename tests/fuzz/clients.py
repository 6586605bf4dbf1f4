"""Random requests to real servers, by several clients at once, through sockets: every command of the table.

A client sends a batch, then RESET and an ECHO with a word of its own, and reads until that word comes. It must come: a
connection that is closed, or one that nothing wakes any more though CLIENT UNBLOCK has been tried, is a failure.
Afterwards the nodes' digests are compared.
"""

import select
import socket
import threading
import time
from collections.abc import Sequence

import hiredis

from tests.fuzz.requests import Maker, Request
from tests.processes.client import Client

PATIENCE_S = 120.0
UNBLOCK_AFTER_S = 0.1
TAGS = ("{a}", "{b}", "{c}", "{d}", "")


class Stuck(AssertionError):
    """A connection that was closed, or does not answer."""


def encode_request(request: Request) -> bytes:
    """As it goes over the wire."""
    return b"*%d\r\n" % len(request) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in request)


class Guest:
    """One client."""

    def __init__(self, port: int, seed: str) -> None:
        self.port = port
        self.maker = Maker(seed, tags=TAGS, where=lambda row: True)
        self.sent = 0
        self.failures: list[BaseException] = []
        self._batch: list[Request] = []
        self._id: object = None

    def run(self, commands: int) -> None:
        """Until so many have been sent; a failure is kept in `failures`."""
        try:
            with socket.create_connection(("127.0.0.1", self.port)) as sock:
                self._id = self._exchange(sock, [[b"CLIENT", b"ID"]])[0]
                while self.sent < commands:
                    self._exchange(sock, self._next_batch())
        except BaseException as error:
            shown = [request if len(str(request)) < 300 else str(request)[:300] for request in self._batch]
            self.failures.append(Stuck(f"{error!r} after {shown}"))

    def _next_batch(self) -> list[Request]:
        maker = self.maker
        batch = [maker.request() for _ in range(maker.random.choice((1, 3, 10, 30)))]
        if maker.random.random() < 0.3:
            batch = [[b"MULTI"], *batch, [b"EXEC"]]
        if maker.random.random() < 0.3:
            batch = [[b"HELLO", b"3"], *batch]
        return batch

    def _exchange(self, sock: socket.socket, batch: list[Request]) -> list[object]:
        self._batch = batch
        self.sent += len(batch)
        word = b"%032x" % self.maker.random.getrandbits(128)
        whole = b"".join(map(encode_request, [*batch, [b"RESET"], [b"ECHO", word]]))
        reader = hiredis.Reader(notEnoughData=Ellipsis)
        replies: list[object] = []
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            if time.monotonic() > deadline_s:
                raise Stuck(f"no answer for {PATIENCE_S:g} s")
            readable, writable, _ = select.select([sock], [sock] if whole else [], [], UNBLOCK_AFTER_S)
            if writable:
                whole = whole[sock.send(whole, socket.MSG_DONTWAIT) :]
            if not readable:
                if not writable:
                    self._unblock()
                continue
            data = sock.recv(1 << 20)
            if not data:
                raise Stuck("the connection was closed")
            reader.feed(data)
            while (reply := reader.gets()) is not Ellipsis:
                if isinstance(reply, hiredis.ReplyError) and "internal error" in str(reply):
                    raise AssertionError(str(reply))
                replies.append(reply)
                if reply == word:
                    return replies

    def _unblock(self) -> None:
        if self._id is None:
            return  # the first answer takes that long
        with Client(self.port) as other:
            other.call("CLIENT", "UNBLOCK", str(self._id), self.maker.random.choice(("ERROR", "TIMEOUT")))


def fuzz_servers(ports: Sequence[int], seed: int, commands: int, *, clients: int = 3) -> str:
    """Let `clients` send so many commands in all. Returns what is worth telling; raises Stuck, AssertionError."""
    start_s = time.monotonic()
    guests = [Guest(ports[number % len(ports)], f"{seed}/{number}") for number in range(clients)]
    threads = [threading.Thread(target=guest.run, args=(commands // clients,)) for guest in guests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for guest in guests:
        assert not guest.failures, f"seed {seed}: {guest.failures[0]}"
    digests = compare(ports)
    assert len(set(digests)) == 1, f"seed {seed}: the nodes differ: {digests}"
    sent = sum(guest.sent for guest in guests)
    return f"{sent} commands in {time.monotonic() - start_s:.1f} s, digest {digests[0]!r}"


def compare(ports: Sequence[int]) -> list[object]:
    """Every node's digest, once they are alike or it has been waited long enough for that."""
    deadline_s = time.monotonic() + PATIENCE_S
    connections = [Client(port) for port in ports]
    try:
        for client in connections:
            client.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")  # else one may be about to delete something
        while True:
            digests = [client.call("DEBUG", "DIGEST") for client in connections]
            if len(set(digests)) == 1 or time.monotonic() > deadline_s:
                return digests
            time.sleep(0.1)
    finally:
        for client in connections:
            client.call("DEBUG", "SET-ACTIVE-EXPIRE", "1")
            client.close()
