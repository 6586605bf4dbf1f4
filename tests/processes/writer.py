"""A client that knows what it was promised: it writes all the time, and what was acknowledged must be there later."""

import threading

from tests.processes.client import ConnectionLost
from tests.processes.crew import Crew
from tests.processes.harness import Server, eventually


class Writer(Crew):
    """Writes numbered keys through the nodes one after another, and remembers which were acknowledged."""

    def __init__(self, servers: list[Server], name: str, value_bytes: int = 20) -> None:
        self.acknowledged: list[str] = []
        self._servers = servers
        self._name = name
        self._filling = "x" * value_bytes
        super().__init__(self._run)

    def value(self, key: str) -> bytes:
        return (key + self._filling).encode()

    def _run(self, over: threading.Event) -> None:
        number = 0
        while not over.is_set():
            server = self._servers[number % len(self._servers)]
            try:
                with server.client() as client:
                    while not over.is_set():
                        number += 1
                        keys = [f"{self._name}:{number}:{part}" for part in range(4)]
                        for key in keys:
                            client.send(("set", key, self.value(key)))
                        for key in keys:
                            if client.receive() == b"OK":
                                self.acknowledged.append(key)
            except ConnectionLost:
                number += 1
                over.wait(0.02)

    def wait_for(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        target = len(self.acknowledged) + count
        eventually(lambda: len(self.acknowledged) >= target, "writes are acknowledged")

    def assert_all_there(self, servers: list[Server]) -> None:
        """Every acknowledged key has its value, asked at each of `servers`."""
        assert self.acknowledged
        for server in servers:
            with server.client() as client:
                for start in range(0, len(self.acknowledged), 100):
                    keys = self.acknowledged[start : start + 100]
                    replies = client.pipeline(*(("get", key) for key in keys))
                    lost = [key for key, reply in zip(keys, replies, strict=True) if reply != self.value(key)]
                    assert not lost, f"{server.name} has lost {len(lost)}, the first is {lost[0]}"

    def assert_some_in_data_of(self, server: Server) -> None:
        """`server` itself has every tenth acknowledged key: as a replica it answers without asking the leader."""
        with server.client() as client:
            assert client.call("readonly") == b"OK"
            for key in self.acknowledged[::10]:
                assert client.call("get", key) == self.value(key)
