"""The smallest client: a blocking socket and hiredis. It hides nothing, retries nothing, and never reconnects
by itself.

An error reply is returned as hiredis.ReplyError, not raised; a lost or silent connection raises ConnectionLost,
after which the outcome of what was sent is unknown and the client is closed.
"""

import socket
import time
from typing import Any, Self

import hiredis


class ConnectionLost(Exception):
    """The server went away, or did not answer in time."""


def encode_request(args: tuple[str | bytes | int, ...]) -> bytes:
    """One request as it goes over the wire."""
    parts = [arg if isinstance(arg, bytes) else str(arg).encode() for arg in args]
    return b"".join([b"*%d\r\n" % len(parts), *(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)])


class Client:
    """One connection to one server on this machine. A context manager."""

    def __init__(self, port: int, timeout_s: float = 60.0) -> None:
        """Raises ConnectionLost."""
        self.port = port
        self._timeout_s = timeout_s
        self._reader = hiredis.Reader()
        try:
            self._sock = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        except OSError as error:
            raise ConnectionLost(str(error)) from error
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Idempotent."""
        self._sock.close()

    def send(self, *commands: tuple[str | bytes | int, ...]) -> None:
        """Send commands without waiting for their replies. Raises ConnectionLost."""
        self.send_bytes(b"".join(map(encode_request, commands)))

    def send_bytes(self, data: bytes) -> None:
        """Raises ConnectionLost."""
        self._sock.settimeout(self._timeout_s)
        try:
            self._sock.sendall(data)
        except OSError as error:
            self.close()
            raise ConnectionLost(str(error)) from error

    def receive(self) -> Any:
        """The next reply. Raises ConnectionLost."""
        deadline_s = time.monotonic() + self._timeout_s
        while (reply := self._reader.gets()) is False:
            left_s = deadline_s - time.monotonic()
            try:
                if left_s <= 0:
                    raise TimeoutError("no reply in time")
                self._sock.settimeout(left_s)
                data = self._sock.recv(1 << 16)
            except OSError as error:
                self.close()
                raise ConnectionLost(str(error)) from error
            if not data:
                self.close()
                raise ConnectionLost("closed by the server")
            self._reader.feed(data)
        return reply

    def call(self, *args: str | bytes | int) -> Any:
        """Send one command and return its reply. Raises ConnectionLost."""
        self.send(args)
        return self.receive()

    def pipeline(self, *commands: tuple[str | bytes | int, ...]) -> list[Any]:
        """Send many commands in one go and return all replies. Raises ConnectionLost."""
        self.send(*commands)
        return [self.receive() for _ in commands]
