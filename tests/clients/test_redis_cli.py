"""redis-cli and redis-benchmark as they are installed, all their modes that a server has to understand."""

import re
import time

import pytest

from tests.clients.conftest import on
from tests.clients.programs import first_lines, program, run
from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection, encode

everywhere = on("standalone", "forward")
clusters = on("forward", "redirect")


def cli(server: Server, *arguments: str, stdin: str = "", node: int = 0) -> str:
    """What redis-cli prints."""
    port = str(server.ports[node % len(server.ports)])
    return run(program("redis-cli"), "-h", HOST, "-p", port, *arguments, stdin=stdin)


def fill(server: Server, count: int) -> None:
    with Connection(HOST, server.port) as connection:
        replies = connection.ask_all(["SET", f"key:{number}", "v" * (number % 50)] for number in range(count))
        assert not any(reply.is_error for reply in replies)


@everywhere
def test_commands_from_the_command_line(server: Server) -> None:
    assert cli(server, "set", "greeting", "hello world") == "OK\n"
    assert cli(server, "get", "greeting", node=1) == "hello world\n"
    assert cli(server, "--no-raw", "incr", "n", node=2) == "(integer) 1\n"
    assert cli(server, "-3", "--no-raw", "get", "nosuch") == "(nil)\n"
    assert cli(server, "-n", "3", "dbsize") == "0\n"
    assert "wrong number of arguments for 'get' command" in cli(server, "get")


@everywhere
def test_commands_from_a_terminal(server: Server) -> None:
    story = "set k 1\nmulti\nincr k\nget k\nexec\nselect 2\nget k\nnosuch\nhelp get\n"
    printed = cli(server, stdin=story)
    assert printed.split("\n")[:7] == ["OK", "OK", "QUEUED", "QUEUED", "2", "2", "OK"]
    assert "ERR unknown command 'nosuch'" in printed


@everywhere
@pytest.mark.parametrize("protocol", ["-2", "-3"])
def test_value_from_standard_input_and_repeats(server: Server, protocol: str) -> None:
    assert cli(server, protocol, "-x", "set", "k", stdin="from a file") == "OK\n"
    assert cli(server, protocol, "get", "k") == "from a file\n"
    assert cli(server, protocol, "-r", "5", "incr", "n").split() == ["1", "2", "3", "4", "5"]
    assert cli(server, protocol, "--json", "mget", "{t}a", "{t}b") == "[null,null]\n"


@everywhere
def test_mass_insertion_by_pipe(server: Server) -> None:
    requests = b"".join(encode(["SET", f"k{number}", str(number)]) for number in range(5000)).decode()
    printed = cli(server, "--pipe", stdin=requests)
    assert "errors: 0, replies: 5000" in printed
    assert cli(server, "dbsize") == "5000\n"


@everywhere
def test_scan_prints_every_key(server: Server) -> None:
    fill(server, 500)
    assert set(cli(server, "--scan").split()) == {f"key:{number}" for number in range(500)}
    assert set(cli(server, "--scan", "--pattern", "key:1?").split()) == {
        f"key:{number}" for number in range(10, 20)
    }


@everywhere
@pytest.mark.parametrize("report", ["--bigkeys", "--memkeys"])
def test_reports_on_large_keys(server: Server, report: str) -> None:
    fill(server, 300)
    printed = cli(server, report)
    assert "Sampled 300 keys in the keyspace!" in printed
    assert re.search(r"Biggest string found .?key:\d+", printed.replace('"', ""))


@everywhere
def test_the_stat_mode_counts_keys_and_requests(server: Server) -> None:
    fill(server, 20)
    options = ["-h", HOST, "-p", str(server.port), "--stat", "-i", "0.01"]
    *_, line = first_lines(4, program("redis-cli"), *options)
    keys, *_, connections = line.split()
    assert keys.isdecimal()
    assert int(connections) > 0


@everywhere
def test_the_latency_mode_measures(server: Server) -> None:
    low, high, _average, count = cli(server, "--raw", "--latency", "-i", "2").split()
    assert 0 <= int(low) <= int(high)
    assert int(count) > 1


@clusters
def test_cluster_mode_follows_keys(server: Server) -> None:
    for number in range(20):
        assert cli(server, "-c", "set", f"k{number}", str(number), node=number).endswith("OK\n")
    for number in range(20):
        assert cli(server, "-c", "get", f"k{number}", node=number + 1).endswith(f"{number}\n")
    story = "".join(f"incr k{number}\n" for number in range(20))
    assert cli(server, "-c", stdin=story).split()[-1] == "20"


@on("redirect")
def test_without_cluster_mode_a_redirect_is_shown(server: Server) -> None:
    printed = [cli(server, "set", "k", "1", node=node) for node in range(3)]
    assert sorted(text.split()[0] for text in printed) == ["MOVED", "MOVED", "OK"]


@clusters
def test_the_cluster_tools_are_content(server: Server) -> None:
    where = f"{HOST}:{server.port}"
    redis_cli = program("redis-cli")
    for number in range(10):
        cli(server, "-c", "set", f"k{number}", "v")
    checked = run(redis_cli, "--cluster", "check", where)
    assert "[OK] All nodes agree about slots configuration." in checked
    assert "[OK] All 16384 slots covered." in checked
    assert "[ERR]" not in checked
    assert "[WARNING]" not in checked
    told = run(redis_cli, "--cluster", "info", where)
    assert re.search(r"\[OK\] \d+ keys in \d masters?\.", told)
    called = run(redis_cli, "--cluster", "call", where, "ping")
    assert called.count("PONG") == len(server.ports)


def wait_until_all_lead(server: Server) -> None:
    """redis-benchmark takes a cluster for broken in which one node leads everything; leaders spread soon after the
    start."""
    deadline_s = time.monotonic() + 120
    while cli(server, "cluster", "nodes").count("master") < len(server.ports):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


@on("standalone", "forward", "redirect")
@pytest.mark.parametrize("pipeline", ["1", "16"])
def test_redis_benchmark_runs(server: Server, pipeline: str) -> None:
    benchmark = program("redis-benchmark")
    options = ["-h", HOST, "-p", str(server.port), "-t", "get,set", "-n", "1000", "-c", "10", "-P", pipeline]
    if server.name == "redirect cluster":
        wait_until_all_lead(server)
        options.append("--cluster")
    printed = run(benchmark, *options, "--csv")
    assert re.search(r'"SET","[\d.]+"', printed)
    assert re.search(r'"GET","[\d.]+"', printed)
    assert "rror" not in printed
