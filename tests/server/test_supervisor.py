"""`redraft cluster start`, with small processes in the place of nodes."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO

import pytest
import trio
from rich.console import Console

from server.config.file import Config
from server.config.reader import ConfigError
from server.config.sections import NodeConfig
from server.operator import supervisor
from server.operator.supervisor import _Supervisor, local_nodes, supervise
from tests.ports import free_ports


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine needs its time to start a process, and to end one."""
    for limit in ("STEADY_S", "STOP_TIMEOUT_S", "UP_TIMEOUT_S"):
        monkeypatch.setattr(supervisor, limit, 3600.0)


@pytest.fixture
def config() -> Config:
    ports = free_ports(4)
    nodes = {
        "n1": NodeConfig(port=ports[0], peer_port=ports[2]),
        "n2": NodeConfig(port=ports[1], peer_port=ports[3]),
    }
    return replace(Config(), nodes=nodes, replicas=2, source="test.toml")


def fake_nodes(
    config: Config, extra: Callable[[str], Sequence[str]] = lambda name: []
) -> Callable[[str], Sequence[str]]:
    """Command lines of fake nodes; `extra`: more arguments for the node of a name."""
    pairs = [f"{name}={node.port}" for name, node in config.nodes.items()]
    return lambda name: [sys.executable, "-m", "tests.server.info_node", name, *pairs, *extra(name)]


class Run:
    """A supervisor under test: what it printed, and what it returned."""

    def __init__(self, config: Config, command: Callable[[str], Sequence[str]]) -> None:
        self.output = StringIO()
        console = Console(file=self.output, width=200, highlight=False, soft_wrap=True)
        self.supervisor = _Supervisor(config, list(config.nodes), command, console)
        self.code: int | None = None
        self.ended = trio.Event()

    async def run(self) -> None:
        """Until it ends."""
        self.code = await self.supervisor.run()
        self.ended.set()

    async def says(self, text: str, times: int = 1) -> None:
        """Wait until it has said `text` so many times."""
        while self.output.getvalue().count(text) < times:  # noqa: ASYNC110 - text in a file has no event
            await trio.sleep(0.01)

    def pid(self, name: str) -> int:
        """Of the node's process."""
        (process,) = (child.process for child in self.supervisor.children if child.name == name)
        assert process is not None
        return process.pid


async def test_it_shows_the_cluster_once_it_is_up_and_stops_it_on_a_signal(config, nursery) -> None:
    run = Run(config, fake_nodes(config))
    nursery.start_soon(run.run)
    await run.says("n1      | n1 is ready")
    await run.says("n2      | n2 is ready")
    await run.says("0-16383")
    assert "cluster test, routing forward" in run.output.getvalue()
    os.kill(os.getpid(), signal.SIGTERM)
    await run.ended.wait()
    assert run.code == 0
    assert "died" not in run.output.getvalue()


async def test_a_node_that_is_killed_is_started_again_and_the_cause_told(
    config, nursery, monkeypatch
) -> None:
    monkeypatch.setattr(supervisor, "BACKOFF_FIRST_S", 0.01)
    run = Run(config, fake_nodes(config))
    nursery.start_soon(run.run)
    await run.says("n1 is ready")
    os.kill(run.pid("n1"), signal.SIGKILL)
    await run.says("n1      | died: killed by SIGKILL; starts again in 0.01 seconds")
    await run.says("n1 is ready", times=2)
    os.kill(os.getpid(), signal.SIGINT)
    await run.ended.wait()
    assert run.code == 0


async def test_pauses_between_deaths_in_a_row_double(config, nursery, monkeypatch) -> None:
    monkeypatch.setattr(supervisor, "BACKOFF_FIRST_S", 0.01)
    run = Run(config, fake_nodes(config, lambda name: ["--die", "3"] if name == "n2" else []))
    nursery.start_soon(run.run)
    for pause in ("0.01", "0.02", "0.04"):
        await run.says(f"n2      | died: exit code 3; starts again in {pause} seconds")
    os.kill(os.getpid(), signal.SIGTERM)
    await run.ended.wait()


async def test_a_node_that_was_told_to_end_stays_down(config, nursery) -> None:
    run = Run(config, fake_nodes(config))
    nursery.start_soon(run.run)
    for name in ("n1", "n2"):
        await run.says(f"{name} is ready")
        os.kill(run.pid(name), signal.SIGTERM)
        await run.says(f"{name}      | was shut down (exit code 0) and stays down")
    await run.ended.wait()
    assert run.code == 0


async def test_a_second_signal_kills_what_does_not_end(config, nursery) -> None:
    run = Run(config, fake_nodes(config, lambda name: ["--stubborn"] if name == "n2" else []))
    nursery.start_soon(run.run)
    await run.says("n1 is ready")
    await run.says("n2 is ready")
    os.kill(os.getpid(), signal.SIGINT)
    await run.says("stopping all nodes")
    os.kill(os.getpid(), signal.SIGINT)
    await run.ended.wait()
    assert run.code == 1
    assert "n2      | did not end in time and is killed" in run.output.getvalue()


async def test_a_node_that_needs_too_long_to_end_is_killed(config, nursery, monkeypatch) -> None:
    monkeypatch.setattr(supervisor, "STOP_TIMEOUT_S", 0.05)
    run = Run(config, fake_nodes(config, lambda name: ["--stubborn"]))
    nursery.start_soon(run.run)
    await run.says("n1 is ready")
    await run.says("n2 is ready")
    os.kill(os.getpid(), signal.SIGTERM)
    await run.ended.wait()
    assert run.code == 1


async def test_it_says_what_is_in_the_way_when_the_cluster_does_not_come_up(
    config, nursery, monkeypatch
) -> None:
    monkeypatch.setattr(supervisor, "UP_TIMEOUT_S", 0.2)
    run = Run(config, lambda name: ["sleep", "60"])
    nursery.start_soon(run.run)
    await run.says("not everything is up after 0.2 seconds: 127.0.0.1:")
    os.kill(os.getpid(), signal.SIGTERM)
    await run.ended.wait()


def test_a_port_that_is_taken_is_refused_at_once_and_the_setting_named(config) -> None:
    taken = config.nodes["n2"].peer_port
    with socket.create_server(("127.0.0.1", taken)), pytest.raises(ConfigError) as caught:
        supervise(config)
    assert str(caught.value) == (
        f"test.toml: nodes.n2.peer_port: can not listen on 127.0.0.1:{taken}: Address already in use"
    )


def test_only_nodes_of_this_machine_are_run(config) -> None:
    elsewhere = replace(config.nodes["n2"], host="192.0.2.1", bind="192.0.2.1")
    mixed = replace(config, nodes={**config.nodes, "n2": elsewhere})
    assert local_nodes(mixed) == ["n1"]
    with pytest.raises(ConfigError, match=r"none of the nodes is on this machine: n2 \(192.0.2.1\)"):
        supervise(replace(config, nodes={"n2": elsewhere}))
