"""The command `redraft` as a shell sees it: words, and exit codes."""

import json
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from server.config.file import Config
from server.operator import cli, status
from server.telemetry.process import stop_signals
from tests.server.info_node import info_raft, serve

ROOT = Path(__file__).parents[2]


def redraft(*words: str) -> Result:
    """Run the command with these arguments."""
    return CliRunner().invoke(cli.main, list(words), prog_name="redraft")


@pytest.fixture
def served(monkeypatch):
    """What `redraft serve` would have run: a list of (config, node name)."""
    calls: list[tuple[Config, str]] = []

    def run(config: Config, node_name: str) -> int:
        calls.append((config, node_name))
        return 0

    monkeypatch.setitem(sys.modules, "server.app", SimpleNamespace(run=run))
    return calls


@pytest.fixture
def cluster_file(tmp_path) -> str:
    path = tmp_path / "cluster.toml"
    path.write_text("[nodes.n1]\nport = 7001\n[nodes.n2]\nport = 7002\n[nodes.n3]\nport = 7003\n")
    return str(path)


def test_serve_alone_runs_the_default_node(served) -> None:
    assert redraft("serve").exit_code == 0
    ((config, name),) = served
    assert (name, config.node(name).port, config.node(name).data) == ("standalone", 6379, "./redraft-data")


def test_serve_takes_port_and_data_from_the_command_line(served) -> None:
    assert redraft("serve", "--port", "7777", "--data", "elsewhere").exit_code == 0
    ((config, name),) = served
    assert (config.node(name).port, config.node(name).data) == (7777, "elsewhere")


def test_serve_runs_one_node_of_a_cluster(served, cluster_file) -> None:
    assert redraft("serve", cluster_file, "--node", "n2").exit_code == 0
    ((config, name),) = served
    assert (name, config.node(name).port) == ("n2", 7002)


def test_the_exit_code_of_serve_is_that_of_the_node(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "server.app", SimpleNamespace(run=lambda config, node: 1))
    assert redraft("serve").exit_code == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--node", "n4"), "has no node n4; it has n1, n2, n3"),
        ((), "has the nodes n1, n2, n3: say with --node which one to run"),
        (("--node", "n1", "--port", "5"), "--port is for a standalone node"),
        (("--node", "n1", "--data", "/dev/null/x"), "/dev/null is not a directory"),
    ],
)
def test_what_an_operator_got_wrong_is_one_sentence_and_exit_code_1(
    served, cluster_file, words, says
) -> None:
    result = redraft("serve", cluster_file, *words)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("redraft: ")
    assert says in line
    assert not served


@pytest.mark.parametrize(
    "words", [("serve", "--port", "0"), ("serve", "--portt", "1"), ("cluster", "start"), ("nonsense",)]
)
def test_a_command_line_that_makes_no_sense_is_exit_code_2(words) -> None:
    assert redraft(*words).exit_code == 2


def test_config_check_says_what_a_good_file_is(cluster_file) -> None:
    result = redraft("config", "check", cluster_file)
    assert result.exit_code == 0
    assert (
        "cluster redraft, nodes n1, n2, n3, shard groups: 1, replicas of each: 3, routing: forward"
        in result.stdout
    )


def test_config_check_lists_every_mistake(tmp_path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("a = 1\nb = 2\n")
    result = redraft("config", "check", str(path))
    assert result.exit_code == 1
    assert [line.split(":")[2] for line in result.stderr.splitlines()] == ["1", "2"]


def test_config_check_looks_at_the_data_directories_of_this_machine(tmp_path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(
        '[nodes.a]\nport = 1\ndata = "/dev/null/a"\n[nodes.b]\nhost = "192.0.2.1"\ndata = "/dev/null/b"\n'
    )
    result = redraft("config", "check", str(path))
    assert result.exit_code == 1
    assert "nodes.a.data: /dev/null is not a directory" in result.stderr
    assert "nodes.b" not in result.stderr


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('users = "user ann +nosuch"', "acl.users:1: Error in applying operation '+nosuch'"),
        ('file = "/nowhere/at.all"', "acl.file: /nowhere/at.all can not be read: No such file or directory"),
    ],
)
def test_config_check_reads_the_users(tmp_path, line: str, problem: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(f"[acl]\n{line}\n")
    result = redraft("config", "check", str(path))
    assert result.exit_code == 1
    assert f"redraft: {path}: {problem}" in result.stderr


@pytest.mark.parametrize(("under_nohup", "heeded"), [(False, True), (True, False)])
def test_a_closed_terminal_stops_what_nohup_does_not_guard(
    monkeypatch, under_nohup: bool, heeded: bool
) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_IGN if under_nohup else signal.SIG_DFL)
    assert (signal.SIGHUP in stop_signals()) == heeded
    assert {signal.SIGTERM, signal.SIGINT} <= set(stop_signals())


def test_status_speaks_json(monkeypatch) -> None:
    patient = partial(status.cluster_status, timeout_s=120.0)
    monkeypatch.setattr(status, "cluster_status", patient)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    threading.Thread(target=serve, args=(listener, info_raft("n1", {"n1": port})), daemon=True).start()
    result = redraft("status", "--port", str(port), "--json")
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    assert shown["cluster"] == "test"
    assert shown["nodes"] == [{"number": 1, "name": "n1", "host": "127.0.0.1", "port": port, "error": ""}]
    assert shown["groups"][1]["replicas"][0] | {"lag": None} == {
        "node": "n1",
        "role": "leader",
        "leader": "n1",
        "term": 4,
        "first": 1,
        "last": 10,
        "commit": 10,
        "applied": 10,
        "log_bytes": 2048,
        "lag": None,
    }
    assert "group" in redraft("status", "--port", str(port)).stdout


def test_status_of_nobody_is_exit_code_1() -> None:
    result = redraft("status", "--port", "1")
    assert result.exit_code == 1
    assert result.stderr == "redraft: 127.0.0.1:1 can not be reached: Connection refused\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_what_can_not_be_written_is_one_sentence(cluster_file) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "server", "config", "check", cluster_file],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "redraft: standard output: No space left on device"
    assert "Traceback" not in done.stderr


def test_the_version_is_told() -> None:
    assert redraft("--version").stdout.startswith("redraft, version ")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--data", "d"], "Address already in use: is another process using {bind} port {port}?"),
        (["--data", "/proc/none"], "/proc/none: No such file or directory"),
        (
            ["unknown.toml"],
            "nosuch.invalid is the name of no machine, set host and bind to addresses of this one",
        ),
        (["--data", ""], "nodes.standalone.data: there is no name: give a directory"),
    ],
)
def test_a_start_that_the_system_refuses_says_what_was_refused(tmp_path, words, sentence) -> None:
    (tmp_path / "unknown.toml").write_text(
        '[nodes.alone]\nhost = "nosuch.invalid"\nbind = "nosuch.invalid"\n'
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = subprocess.run(
            [sys.executable, "-P", "-m", "server", "serve", "--port", str(port), *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,  # a name that nobody knows takes its time
            check=False,
        )
    assert found.returncode == 1
    assert "Traceback" not in found.stderr
    assert sentence.format(bind="127.0.0.1", port=port) in found.stderr
