"""Real servers in processes of their own, and everything that can be done to them.

`Cluster` writes a configuration file for each node in which the other nodes stand behind a proxy (proxy.py), so
that the network between any two can be broken; clients go straight to the node. `Standalone` is one node with
nothing around it. Both are context managers that reap what they started, by process id, and show the ends of
the logs when a test fails inside of them.

Waiting is always for a fact (`eventually`), with a bound that is far above what it takes.
"""

import os
import signal
import subprocess
import sys
import time
from binascii import crc_hqx
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

import hiredis

from tests.ports import free_port
from tests.processes.client import Client, ConnectionLost
from tests.processes.proxy import Network

ROOT = Path(__file__).parents[2]
patience_s = 120.0
"""Longer than anything takes on a busy machine; what takes longer does not happen."""
poll_s = 0.02
reply_timeout_s = 60.0
"""Longer than a node keeps anybody waiting for a leader, twice."""
STEADY: Mapping[str, object] = {"election_timeout_ms": 2000, "lease_ms": 1500, "leader_wait_ms": 30_000}
"""Settings of [raft] for tests in which leaders change when the test has them change, and not because the machine has
much else to do."""
REFUSALS = ("TRYAGAIN", "CLUSTERDOWN")
"""What is sent again: it was not done."""
log_lines_shown = 40

Found = TypeVar("Found")


def eventually(look: Callable[[], Found | None], claim: str, timeout_s: float = patience_s) -> Found:
    """Call `look` until it gives something true, and return that. A lost connection counts as not yet.

    Raises AssertionError with `claim` after `timeout_s`.
    """
    deadline_s = time.monotonic() + timeout_s
    last: object = None
    while time.monotonic() < deadline_s:
        try:
            found = look()
            if found:
                return found
            last = found
        except ConnectionLost as error:
            last = error
        time.sleep(poll_s)
    raise AssertionError(f"not within {timeout_s:g} s: {claim} (last: {last!r})")


def refused(reply: object) -> bool:
    """A command was not done, and is to be sent again."""
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith(REFUSALS)


class Server:
    """One server process at a time, with its configuration, its data and its log."""

    def __init__(
        self,
        name: str,
        port: int,
        arguments: Sequence[str],
        log_path: Path,
        data: Path,
        wrapper: Sequence[str] = (),
    ) -> None:
        """`arguments`: of `redraft`; `wrapper`: a command to run the server under."""
        self.name = name
        self.port = port
        self.data = data
        self.arguments = list(arguments)
        self.wrapper = list(wrapper)
        self.log_path = log_path
        self.process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._log_start = 0

    # -- its life ---------------------------------------------------------------------------------------------------

    def start(self, *, limits: Callable[[], None] | None = None) -> None:
        """Start the process; `limits` runs in it before the server does."""
        assert not self.running, f"{self.name} is running"
        self._log = self.log_path.open("ab")
        self._log_start = self._log.tell()
        self.process = subprocess.Popen(
            [*self.wrapper, sys.executable, "-P", "-m", "server", *self.arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            preexec_fn=limits,
        )

    @property
    def running(self) -> bool:
        """The process has been started and has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Of the running server."""
        assert self.process is not None
        if not self.wrapper:
            return self.process.pid
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing when it has ended."""
        if self.running:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait()

    def pause(self) -> None:
        """SIGSTOP."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self, timeout_s: float = patience_s) -> int:
        """Wait for its end; returns the exit code. Raises AssertionError when it does not end."""
        assert self.process is not None
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {timeout_s:g} s") from None
        if self._log is not None:
            self._log.close()
            self._log = None
        return code

    def reap(self) -> None:
        """Whatever state it is in: end it."""
        if self.running:
            self.signal(signal.SIGKILL)
        if self.process is not None:
            self.wait()

    # -- how it is --------------------------------------------------------------------------------------------------

    def client(self, timeout_s: float = reply_timeout_s) -> Client:
        """A new connection. Raises ConnectionLost."""
        return Client(self.port, timeout_s)

    def call(self, *args: str | bytes | int, timeout_s: float = reply_timeout_s) -> Any:
        """One command on a connection of its own."""
        with self.client(timeout_s) as client:
            return client.call(*args)

    def insist(self, *args: str | bytes | int) -> Any:
        """The reply to a command that is sent again as long as it is refused."""

        def look() -> tuple[Any] | None:
            reply = self.call(*args)
            return None if refused(reply) else (reply,)

        return eventually(look, f"{self.name} does {args}")[0]

    @property
    def log(self) -> str:
        """Everything it has said so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def log_since_start(self) -> str:
        """What it has said since it was last started."""
        return self.log_path.read_bytes()[self._log_start :].decode(errors="replace")

    def info(self, section: str) -> dict[str, str]:
        """The fields of a section of INFO."""
        text = self.call("info", section).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def groups(self) -> dict[int, dict[str, str]]:
        """Every group as this node sees it: INFO's `# Raft` section."""
        found = {}
        for field, value in self.info("raft").items():
            if field.startswith("group") and field[5:].isdigit():
                found[int(field[5:])] = dict(pair.split("=", 1) for pair in value.split(","))
        return found

    @property
    def rss_bytes(self) -> int:
        """Memory that the process has resident."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def describe(self) -> str:
        """Its groups, for people."""
        if not self.running:
            return f"---- {self.name} is not running"
        try:
            with self.client(timeout_s=2) as client:
                text = client.call("info", "raft").decode()
        except ConnectionLost as error:
            text = str(error)
        return f"---- {self.name} (pid {self.pid}): {text}"

    def log_end(self) -> str:
        """The last lines of its log, for people."""
        lines = self.log.splitlines()[-log_lines_shown:]
        return "\n".join([f"---- the end of {self.name}'s log", *lines])


class Setup:
    """What is common to both: a context manager over servers."""

    def __init__(self) -> None:
        self.servers: list[Server] = []

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException as error:
            error.add_note(self.describe())
            self.close()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(self.describe())
        self.close()

    @contextmanager
    def logs_on_failure(self) -> Iterator[None]:
        """For a test that shares its servers with others: show the ends of the logs when it fails."""
        try:
            yield
        except BaseException as error:
            error.add_note(self.describe())
            raise

    def describe(self) -> str:
        """How every server is, for people: the groups as it sees them, and the end of its log."""
        return "\n".join(f"{server.describe()}\n{server.log_end()}" for server in self.servers)

    def start(self) -> None:
        """Start every server and wait until all of it works."""
        for server in self.servers:
            server.start()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until every server takes writes for every group."""
        for server in self.servers:
            eventually(partial(ready, server), f"{server.name} is ready")

    def close(self) -> None:
        """Reap everything."""
        for server in self.servers:
            server.reap()


def ready(server: Server) -> bool:
    """The server takes commands of all groups. Raises AssertionError when it has ended."""
    assert server.running, f"{server.name} has ended"
    with server.client(timeout_s=7) as client:
        return not isinstance(client.call("dbsize"), hiredis.ReplyError)


def leads(server: Server, group: int) -> bool:
    """The server leads the group, and says so itself."""
    return server.groups()[group]["role"] == "leader"


def first_index(server: Server) -> int:
    """The first index that the log of group 1 still has."""
    return int(server.groups()[1]["first"])


def has_compacted(server: Server, before: int) -> bool:
    """Its log begins later than it did."""
    return first_index(server) > before


class Standalone(Setup):
    """One node, alone, with `redraft serve --port N --data DIR`."""

    def __init__(self, directory: Path, *, data: Path | None = None, wrapper: Sequence[str] = ()) -> None:
        super().__init__()
        port = free_port()
        data = data or directory / "data"
        self.node = Server(
            "standalone",
            port,
            ["serve", "--port", str(port), "--data", str(data)],
            directory / "standalone.log",
            data,
            wrapper,
        )
        self.servers = [self.node]


class Cluster(Setup):
    """Three nodes n1, n2, n3 by default, with a breakable network between them.

    Timings are the defaults unless `raft` says otherwise: they are what is promised.
    """

    def __init__(
        self,
        directory: Path,
        *,
        groups: int = 3,
        nodes: int = 3,
        routing: str = "forward",
        raft: Mapping[str, object] | None = None,
        storage: Mapping[str, object] | None = None,
        redis: Mapping[str, object] | None = None,
        data: Mapping[str, Path] | None = None,
    ) -> None:
        """`raft`, `storage`, `redis`: settings of these tables; `data`: directories other than the usual ones."""
        super().__init__()
        self.directory = directory
        names = [f"n{number}" for number in range(1, nodes + 1)]
        self.names = names
        self._ports = {name: free_port() for name in names}
        self._peer_ports = {name: free_port() for name in names}
        self._data = {name: directory / name for name in names} | dict(data or {})
        self.network = Network(self._peer_ports)
        self._head = [
            'cluster = "test"',
            f"groups = {groups}",
            f"replicas = {nodes}",
            f'routing = "{routing}"',
        ]
        self._tables = {
            "raft": raft or {},
            "storage": {"disk_free_min_mb": 0, **(storage or {})},
            "redis": redis or {},
        }
        self.group_numbers = range(1, groups + 1)
        self.nodes = {
            name: Server(
                name,
                self._ports[name],
                ["serve", str(self.write_config(name)), "--node", name],
                directory / f"{name}.log",
                self._data[name],
            )
            for name in names
        }
        self.servers = list(self.nodes.values())

    def write_config(self, me: str, file: str = "", **data: Path) -> Path:
        """The configuration file as `me` is given it. `data`: other directories than the usual ones, by name."""
        lines = list(self._head)
        for name in self.names:
            peer_port = self._peer_ports[name] if name == me else self.network.port(me, name)
            lines += [
                f"[nodes.{name}]",
                f"port = {self._ports[name]}",
                f"peer_port = {peer_port}",
                f'data = "{data.get(name, self._data[name])}"',
            ]
        for table, values in self._tables.items():
            lines.append(f"[{table}]")
            lines += [f'"{key}" = {_toml(value)}' for key, value in values.items()]
        path = self.directory / (file or f"{me}.toml")
        path.write_text("\n".join(lines) + "\n")
        return path

    def close(self) -> None:
        """Reap everything."""
        super().close()
        self.network.close()

    # -- who leads --------------------------------------------------------------------------------------------------

    def leader(self, group: int, among: Sequence[Server] | None = None) -> Server:
        """The node that leads a group and says so itself; waits for one. `among`: whom to ask, all by default."""

        def look() -> Server | None:
            found: list[tuple[int, Server]] = []
            for server in among or self.servers:
                if not server.running:
                    continue
                with suppress(ConnectionLost):
                    state = server.groups()[group]
                    if state["role"] == "leader":
                        found.append((int(state["term"]), server))
            return max(found, key=lambda pair: pair[0])[1] if found else None

        return eventually(look, f"group {group} has a leader")

    def others(self, *servers: Server) -> list[Server]:
        """All nodes but these."""
        return [server for server in self.servers if server not in servers]

    def wait_spread(self) -> None:
        """Wait until every group is led by the node that should lead it, and every node knows."""

        def look() -> bool:
            return all(
                server.groups()[group]["leader"] == self.names[(group - 1) % len(self.names)]
                for server in self.servers
                for group in self.group_numbers
            )

        eventually(look, "every node knows that the right ones lead")

    def wait_agreed(self) -> None:
        """Wait until every node has applied everything that any node has committed."""

        def look() -> bool:
            states = [server.groups() for server in self.servers]
            return all(
                len(
                    {state[group]["applied"] for state in states}
                    | {state[group]["commit"] for state in states}
                )
                == 1
                for group in self.group_numbers
            )

        eventually(look, "all nodes have applied the same")


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else f'"{value}"'


def key_of(group: int, *, of: int, name: str = "key") -> str:
    """A key that begins with `name` and belongs to shard group `group` of so many."""
    number = 0
    while True:
        key = f"{name}{number}"
        if crc_hqx(key.encode(), 0) % 16384 * of // 16384 + 1 == group:
            return key
        number += 1
