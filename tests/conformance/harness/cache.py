"""A client that caches, as small as can be: it keeps what it reads until it is told to forget it."""

import time
from typing import Self

from tests.conformance.harness.servers import HOST
from tests.conformance.harness.wire import Connection, Reply, encode

WAIT_S = 90.0


class Cache:
    """A connection with RESP3 and CLIENT TRACKING ON."""

    def __init__(self, port: int, *options: str) -> None:
        self.kept: dict[bytes, bytes | None] = {}
        """Key to value; None: there was no such key."""
        self.told: list[Reply] = []
        """What it was told to forget, in order."""
        self._connection = Connection(HOST, port, 3)
        assert self.ask("CLIENT", "TRACKING", "ON", *options) == Reply("+", b"OK")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, *request: str) -> Reply:
        """The reply; what comes before it is heeded."""
        self._connection.send(encode(request))
        return self._reply()

    def _reply(self) -> Reply:
        while True:
            reply = self._connection.read()
            if reply.kind != ">":
                return reply
            word, keys = reply.value
            assert word.value == b"invalidate"
            self.told.append(keys)
            if keys.kind == "_":
                self.kept.clear()
            else:
                for key in keys.value:
                    self.kept.pop(key.value, None)

    def read(self, *keys: str) -> None:
        """A pipeline of GETs. Each reply is kept as it comes."""
        self._connection.send(b"".join(encode(["GET", key]) for key in keys))
        for key in keys:
            reply = self._reply()
            if not reply.is_error:
                self.kept[key.encode()] = reply.value if reply.kind == "$" else None

    def settle(self) -> None:
        """Hear what has been told."""
        self.ask("PING")

    def hears(self, key: str) -> None:
        """Wait until `key` is kept no more."""
        until_s = time.monotonic() + WAIT_S
        while key.encode() in self.kept:
            assert time.monotonic() < until_s, f"{key} is still kept"
            self.settle()
            time.sleep(0.002)
