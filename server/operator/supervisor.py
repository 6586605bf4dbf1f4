"""`redraft cluster start`: all nodes of one configuration file that are on this machine, in the foreground.

Each node is a process of its own, as it would be on a machine of its own; what it logs appears here with its name in
front. One that dies is started again, after a pause that doubles with every death in a row; one that ends with exit
code 0 was asked to (SHUTDOWN, SIGTERM), and stays down. Once all nodes answer and every group has a leader, a table of
them is printed.

Ctrl-C, SIGTERM or a closed terminal (unless nohup guards from that) ends everything: SIGTERM to each node, so that it
hands over its leaderships and closes its files, and SIGKILL to those that need longer than STOP_TIMEOUT_S; a second
Ctrl-C does that at once. The nodes are in process groups of their own, so that the terminal's Ctrl-C reaches only the
supervisor.
"""

import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import trio
from rich.console import Console
from rich.text import Text

from server.config.file import Config
from server.config.reader import ConfigError
from server.operator.status import ClusterStatus, StatusError, cluster_status, show
from server.telemetry.process import stop_signals

BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
STEADY_S = 10.0
"""A node that ran for so long before it died starts again after the first pause."""
STOP_TIMEOUT_S = 10.0
"""How long a node may take to end by itself."""
UP_TIMEOUT_S = 60.0
"""How long to wait for the table; a cluster that needs longer says in its logs why."""
UP_POLL_S = 0.3
LINE_BYTES_MAX = 64 << 10
"""A longer line is printed in pieces."""
COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_yellow", "bright_green")


def supervise(config: Config, command: Callable[[str], Sequence[str]] | None = None) -> int:
    """Run the nodes of `config` that are on this machine until they are stopped; returns the exit code: 0, or 1 when a
    node had to be killed. `command`: the command line of the node of a name, `redraft serve` when None.

    Raises ConfigError, before anything is started, when no node is on this machine or a port is taken.
    """
    names = local_nodes(config)
    if not names:
        hosts = ", ".join(f"{name} ({node.host})" for name, node in config.nodes.items())
        raise ConfigError(f"{config.source}: none of the nodes is on this machine: {hosts}")
    _check_ports(config, names)
    supervisor = _Supervisor(config, names, command or _serve_command(config))
    return trio.run(supervisor.run)


def local_nodes(config: Config) -> list[str]:
    """Names of the nodes whose host is an address of this machine."""
    return [name for name, node in config.nodes.items() if _is_local(node.host)]


def _is_local(host: str) -> bool:
    """Whether a socket can be bound to `host`. A name that does not resolve is of another machine."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except OSError:
        return False
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.bind(address)
                return True
        except OSError:
            continue
    return False


def _check_ports(config: Config, names: Sequence[str]) -> None:
    """Raise ConfigError when a port that a node will listen on is in use."""
    problems = []
    for name in names:
        node = config.nodes[name]
        ports = {"port": node.port, "peer_port": node.peer_port} if config.clustered else {"port": node.port}
        for key, port in ports.items():
            if error := _listen_error(node.bind, port):
                problems.append(
                    f"{config.source}: nodes.{name}.{key}: can not listen on {node.bind}:{port}: {error}"
                )
    if problems:
        raise ConfigError("\n".join(problems))


def _listen_error(bind: str, port: int) -> str:
    """Why nothing can listen at `bind`:`port`; empty when it can."""
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                probe.listen()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _serve_command(config: Config) -> Callable[[str], Sequence[str]]:
    """The command line of each node, with the interpreter that runs this."""
    return lambda name: [sys.executable, "-m", "server", "serve", config.source, "--node", name]


@dataclass(slots=True)
class _Child:
    """One node and its process."""

    name: str
    process: trio.Process | None = None
    """None while it waits for its next start, or is not to run any more."""


@dataclass(slots=True)
class _Supervisor:
    """The state of one run."""

    config: Config
    names: Sequence[str]
    command: Callable[[str], Sequence[str]]
    """Name of a node to the command line that runs it."""
    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    children: list[_Child] = field(default_factory=list)
    stopping: trio.Event = field(default_factory=trio.Event)
    killed: bool = False
    """A node did not end by itself."""

    async def run(self) -> int:
        """Everything. If cancelled, the nodes are killed."""
        self.children = [_Child(name) for name in self.names]
        with trio.open_signal_receiver(*stop_signals()) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._stop_on_signal, signals)
                nursery.start_soon(self._show_when_up)
                async with trio.open_nursery() as nodes:
                    for child in self.children:
                        nodes.start_soon(self._keep_running, child)
                nursery.cancel_scope.cancel()
            with trio.move_on_after(0.01):  # one Ctrl-C too many, which would end us with a traceback now
                async for _ in signals:
                    pass
        return 1 if self.killed else 0

    async def _keep_running(self, child: _Child) -> None:
        """Start the node, and again whenever it dies, until everything stops."""
        pause_s = BACKOFF_FIRST_S
        while not self.stopping.is_set():
            started_at = trio.current_time()
            code = await self._run_once(child)
            if self.stopping.is_set():
                return
            if code == 0:
                self._say(child.name, "was shut down (exit code 0) and stays down")
                return
            if trio.current_time() - started_at >= STEADY_S:
                pause_s = BACKOFF_FIRST_S
            self._say(child.name, f"died: {_cause(code)}; starts again in {pause_s:g} seconds", "bold red")
            with trio.move_on_after(pause_s):
                await self.stopping.wait()
            pause_s = min(2 * pause_s, BACKOFF_MAX_S)

    async def _run_once(self, child: _Child) -> int:
        """One life of the node's process; returns its exit code, or the negative number of a signal. If cancelled, the
        process is killed."""
        process = await trio.lowlevel.open_process(
            list(self.command(child.name)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        child.process = process
        if self.stopping.is_set():
            process.terminate()
        try:
            assert process.stdout is not None
            await self._relay(child.name, process.stdout)
            return await process.wait()
        finally:
            child.process = None
            if process.returncode is None:
                process.kill()

    async def _relay(self, name: str, stream: trio.abc.ReceiveStream) -> None:
        """Print what the node says, line by line, until it closes its output."""
        rest = b""
        async for chunk in stream:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._say(name, line.decode("utf-8", "replace"))
            if len(rest) > LINE_BYTES_MAX:
                self._say(name, rest.decode("utf-8", "replace"))
                rest = b""
        if rest:
            self._say(name, rest.decode("utf-8", "replace"))

    async def _stop_on_signal(self, signals: AsyncIterator[int]) -> None:
        """Wait for a signal, then end all nodes: gently, and by force after STOP_TIMEOUT_S or at a second signal."""
        await anext(signals)
        self.stopping.set()
        self._say(
            "",
            f"stopping all nodes, which takes up to {STOP_TIMEOUT_S:g} seconds; Ctrl-C again kills them",
        )
        for child in self.children:
            if child.process is not None:
                child.process.terminate()
        with trio.move_on_after(STOP_TIMEOUT_S):
            await anext(signals)
        for child in self.children:
            if child.process is not None:
                self._say(child.name, "did not end in time and is killed", "bold red")
                self.killed = True
                child.process.kill()

    async def _show_when_up(self) -> None:
        """Print the table once all nodes here answer and every group has a leader, or after UP_TIMEOUT_S why not."""
        node = self.config.nodes[self.names[0]]
        password = self.config.redis_parameters()["requirepass"]
        obstacle = "nobody has answered yet"
        with trio.move_on_after(UP_TIMEOUT_S):
            while True:
                try:
                    status = await trio.to_thread.run_sync(
                        cluster_status, node.host, node.port, password, abandon_on_cancel=True
                    )
                    obstacle = self._obstacle(status)
                except StatusError as error:
                    obstacle = str(error)
                if not obstacle:
                    show(status, self.console)
                    return
                await trio.sleep(UP_POLL_S)
        self._say("", f"not everything is up after {UP_TIMEOUT_S:g} seconds: {obstacle}", "bold red")

    def _obstacle(self, status: ClusterStatus) -> str:
        """Why the cluster is not up; empty when it is."""
        for node in status.nodes:
            if node.error and node.name in self.names:
                return node.error
        leaderless = [str(group.group) for group in status.groups if not group.led]
        return f"no leader in shard groups {', '.join(leaderless)}" if leaderless else ""

    def _say(self, name: str, text: str, style: str = "") -> None:
        """Print a line with the node's name, or the supervisor's own, in front."""
        colour = COLOURS[self.names.index(name) % len(COLOURS)] if name else "bold"
        width = max(len("redraft"), *map(len, self.names))
        self.console.print(Text.assemble((f"{name or 'redraft':<{width}} | ", colour), (text, style)))


def _cause(code: int) -> str:
    """An exit code, or a negative signal number, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
