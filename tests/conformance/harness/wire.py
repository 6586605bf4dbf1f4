"""A connection that sees what is on the wire: replies keep their types, which client libraries hide.

`+OK` and `$2 OK`, `*-1` and `$-1` and `_` are different replies here. Independent of resp/ on purpose.
"""

import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple, Self

TIMEOUT_S = 120.0
LARGE_BYTES = 64 * 1024
"""More than this is sent by a thread, as a server may want its replies to be taken before it reads on."""

Word = str | bytes
Request = Sequence[Word]

AGGREGATES = {"*": 1, "~": 1, ">": 1, "%": 2, "|": 2}
"""Kind to the number of replies that each counted element is made of. Attributes are told with what they describe, as
their last element."""


class Reply(NamedTuple):
    """One reply: `kind` is its first byte on the wire."""

    kind: str
    value: Any
    """bytes, int, None, or a list of replies (a map's keys and values in turn)."""

    def __str__(self) -> str:
        """As redis-cli shows it, with the kinds that it hides."""
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        if not isinstance(self.value, list):
            shown = repr(self.value)[1:] if isinstance(self.value, bytes) else self.value
            return [f"{self.kind} {shown}"]
        lines = [f"{self.kind}{len(self.value)}"]
        for number, element in enumerate(self.value, 1):
            head, *rest = element._lines()
            lines += [f"  {number}) {head}", *(f"     {line}" for line in rest)]
        return lines

    @property
    def is_error(self) -> bool:
        """Whether this is an error."""
        return self.kind in "-!"

    def contains_error(self, code: bytes) -> bool:
        """Whether this is, or an element of it is, an error with this first word."""
        if isinstance(self.value, list):
            return any(element.contains_error(code) for element in self.value)
        return self.is_error and self.value.split(b" ")[0] == code


class Closed(Exception):
    """The server closed the connection; `replies` came before."""

    def __init__(self, replies: list[Reply]) -> None:
        super().__init__(replies)
        self.replies = replies


def encode(request: Request) -> bytes:
    """As clients send it."""
    words = [word.encode() if isinstance(word, str) else word for word in request]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


class Connection:
    """A blocking connection; a context manager."""

    def __init__(self, host: str, port: int, protocol: int = 2) -> None:
        self.address = (host, port)
        self._socket = socket.create_connection((host, port), timeout=TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._input = self._socket.makefile("rb", buffering=1 << 16)
        if protocol != 2:
            reply = self.ask("HELLO", str(protocol))
            assert not reply.is_error, reply

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up the connection."""
        self._input.close()
        self._socket.close()

    def ask(self, *request: Word) -> Reply:
        """The reply to one request."""
        self.send(encode(request))
        return self.read()

    def ask_all(self, requests: Iterable[Request]) -> list[Reply]:
        """The replies to a pipeline. Raises Closed."""
        requests = list(requests)
        return self.converse(b"".join(map(encode, requests)), len(requests))

    def converse(self, data: bytes, count: int) -> list[Reply]:
        """Send these bytes and read that many replies. Raises Closed."""
        sender = None
        if len(data) > LARGE_BYTES:
            sender = threading.Thread(target=self.send, args=(data,), daemon=True)
            sender.start()
        else:
            self.send(data)
        replies = list(islice(self._replies(), count))
        if len(replies) < count:
            raise Closed(replies)
        if sender is not None:
            sender.join()
        return replies

    def send(self, data: bytes) -> None:
        """Send these bytes; a server that has closed the connection takes none, which reading will show."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def read_all(self) -> list[Reply]:
        """What the server says until it closes the connection."""
        return list(self._replies())

    def _replies(self) -> Iterator[Reply]:
        with suppress(EOFError, ConnectionResetError):
            while True:
                reply = self.read()
                if reply.kind == ">":  # not the answer to anything: told with what comes after it
                    reply = Reply("push", [reply, self.read()])
                yield reply

    def read(self) -> Reply:
        """The next reply. Raises EOFError when the server has closed the connection."""
        line = self._input.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError
        kind, rest = chr(line[0]), line[1:-2]
        if kind in "$=!":
            size = int(rest)
            if size < 0:
                return Reply(kind, None)
            data = self._input.read(size + 2)
            if len(data) < size + 2:
                raise EOFError
            assert data.endswith(b"\r\n"), f"{data[-20:]!r} is no end of a string"
            return Reply(kind, data[:-2])
        if kind in AGGREGATES:
            count = int(rest)
            if count < 0:
                return Reply(kind, None)
            return Reply(kind, [self.read() for _ in range(count * AGGREGATES[kind] + (kind == "|"))])
        if kind == ":":
            return Reply(kind, int(rest))
        assert kind in "+-_#,(", f"{line!r} is no reply"
        return Reply(kind, rest)
