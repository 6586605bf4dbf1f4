"""Loading what speaks Redis: redis-benchmark for throughput, and a loader that writes every key once.

redis-benchmark takes a number of requests and not a time, so `prepare` finds out the rate with a short run and
`run` asks for as many as will take so long. It has no mixture of commands: mixed means two of them at once, one
that reads with half of the connections and one that writes with the other half, each with as many requests as it
does in the time. The throughput is then the sum; a percentile is the worse of the two.

With --cluster it is a cluster-aware client: it asks for the slots and sends each command to the node that leads them,
with one thread for each node. Its keys are `key:{tag}:NUMBER`, with one tag, so one slot, for each node that leads any.
With threads it looks only four times a second whether it is done, spins until then and counts that time too. So the
time for which the servers did nothing at its end, seen by their processor clock, is taken off again.
"""

import csv
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tests.bench.measure import Cell, Load
from tests.bench.servers import HOST, Deployment, ServerFailed, need

VALUE_BYTES = 64
CLUSTER_SLOTS = 16384
probe_requests = 4000
probe_requests_pipelined = 40000
window_commands = 200
"""Commands on the way on each connection of the loader: 20 kB, some milliseconds of work."""
answer_timeout_s = 60.0
spin_s_max = 0.25
"""How long redis-benchmark with threads can take to see that it is done."""
watch_s = 0.02
busy_share = 0.4
"""Of one processor, of all servers together: between what they use under load and what keeping in touch takes."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of redis-benchmark --csv."""

    test: str
    throughput_per_s: float
    p50_ms: float
    p99_ms: float


def parse_csv(text: str) -> list[Row]:
    """The results in what redis-benchmark --csv printed; other lines, such as warnings, are passed over.

    Raises ValueError when there is no heading.
    """
    lines = [line for line in text.splitlines() if line.startswith('"')]
    rows = list(csv.reader(lines))
    if not rows or "rps" not in rows[0]:
        raise ValueError("redis-benchmark printed no table")
    at = {name: number for number, name in enumerate(rows[0])}
    return [
        Row(
            row[at["test"]],
            float(row[at["rps"]]),
            float(row[at["p50_latency_ms"]]),
            float(row[at["p99_latency_ms"]]),
        )
        for row in rows[1:]
    ]


def combine(rows: Sequence[Row], operations: int) -> Load:
    """What several clients at the same time saw together."""
    return Load(
        operations,
        sum(row.throughput_per_s for row in rows),
        max(row.p50_ms for row in rows),
        max(row.p99_ms for row in rows),
    )


class RedisBenchmark:
    """redis-benchmark against one port, with keys out of `keys`."""

    def __init__(self, port: int, keys: int, cluster: Deployment | None = None) -> None:
        """`cluster`: be a cluster-aware client of these servers, for cells of one command. Raises Unavailable."""
        self._program = need("redis-benchmark", "redis-tools")
        self._port = port
        self._keys = keys
        self._cluster = cluster
        self._key_range = keys // len(cluster.servers) if cluster else keys
        self._rates: dict[tuple[str, str], float] = {}

    def prepare(self, cell: Cell) -> None:
        """Find out the rate of each of the cell's commands. Raises ServerFailed."""
        requests = probe_requests_pipelined if cell.pipeline > 1 else probe_requests
        commands = _commands(cell)
        rows = self._run(cell, [max(requests, 4 * cell.connections)] * len(commands))
        for command, row in zip(commands, rows, strict=True):
            self._rates[cell.name, command] = row.throughput_per_s

    def refill(self, cell: Cell, seconds: float) -> bool:
        """Nothing is taken away."""
        return False

    def run(self, cell: Cell, seconds: float) -> Load:
        """Load the service for about so long. Raises ServerFailed."""
        commands = _commands(cell)
        requests = [max(cell.connections, int(self._rates[cell.name, one] * seconds)) for one in commands]
        rows = self._run(cell, requests)
        for command, row in zip(commands, rows, strict=True):
            self._rates[cell.name, command] = row.throughput_per_s
        return combine(rows, sum(requests))

    def fill(self, times: int) -> None:
        """Write random keys, `times` as many as there can be. Raises ServerFailed."""
        self._run(Cell("set", 50, 16), [times * self._keys])

    def _run(self, cell: Cell, requests: Sequence[int]) -> list[Row]:
        """One process for each command of the cell, at the same time; gives a row of each."""
        commands = _commands(cell)
        processes = []
        try:
            for command, number in zip(commands, requests, strict=True):
                arguments = [self._program, "-h", HOST, "-p", str(self._port), "--csv", "--precision", "3"]
                arguments += ["-t", command, "-n", str(number), "-c", str(cell.connections // len(commands))]
                arguments += ["-P", str(cell.pipeline), "-d", str(VALUE_BYTES), "-r", str(self._key_range)]
                arguments += ["--cluster"] if self._cluster else []
                processes.append(
                    subprocess.Popen(
                        arguments,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT,
                        text=True,
                        errors="replace",
                    )
                )
            if self._cluster is None:
                return [_row(process.communicate()[0], process.returncode) for process in processes]
            (process,) = processes
            idle_s = _idle_end_s(process, self._cluster)
            row = _row(process.communicate()[0], process.returncode)
            return [without_idle_end(row, requests[0], idle_s)]
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
                    process.wait()


def without_idle_end(row: Row, requests: int, idle_s: float) -> Row:
    """The result of so many requests, had the client not counted `idle_s` in which there was nothing to do."""
    took_s = requests / row.throughput_per_s
    return replace(row, throughput_per_s=requests / max(took_s - min(idle_s, spin_s_max), took_s / 2))


def _idle_end_s(process: subprocess.Popen[str], servers: Deployment) -> float:
    """Wait for the end of a client. Returns for how long it left the servers idle before; precise to `watch_s`."""
    busy_at_s, used_s = time.monotonic(), servers.cpu_s
    while process.poll() is None:
        time.sleep(watch_s)
        before_s, used_s = used_s, servers.cpu_s
        if used_s - before_s > busy_share * watch_s:
            busy_at_s = time.monotonic()
    return time.monotonic() - busy_at_s


def _commands(cell: Cell) -> list[str]:
    return ["get", "set"] if cell.command == "mixed" else [cell.command]


def run_benchmark(arguments: Sequence[str]) -> Row:
    """Run redis-benchmark, which measures one command; what it found. Raises ServerFailed."""
    done = subprocess.run(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    return _row(done.stdout, done.returncode)


def _row(output: str, exit_code: int) -> Row:
    try:
        rows = parse_csv(output)
    except ValueError:
        rows = []
    if exit_code != 0 or len(rows) != 1:
        raise ServerFailed(f"redis-benchmark ended with {exit_code}:\n{output[-1000:]}")
    return rows[0]


def key_name(number: int) -> bytes:
    """A key as redis-benchmark writes it without --cluster."""
    return b"key:%012d" % number


def _batches(keys: int) -> Iterator[tuple[bytes, int]]:
    """SET of every key from 0 on, as bytes with the number of commands in them."""
    form = b"*3\r\n$3\r\nSET\r\n$16\r\n%b\r\n$" + b"%d\r\n%b\r\n" % (VALUE_BYTES, b"x" * VALUE_BYTES)
    for start in range(0, keys, window_commands):
        count = min(window_commands, keys - start)
        yield b"".join([form % key_name(start + number) for number in range(count)]), count


def load_keys(port: int, keys: int, connections: int = 8) -> None:
    """Write every key once, through pipelines on some connections at the same time. Raises ServerFailed, OSError."""
    sockets = [socket.create_connection((HOST, port), timeout=answer_timeout_s) for _ in range(connections)]
    due = [0] * connections
    try:
        for turn, (data, count) in enumerate(_batches(keys)):
            number = turn % connections
            _receive_ok(sockets[number], due[number])
            sockets[number].sendall(data)
            due[number] = count
        for each, count in zip(sockets, due, strict=True):
            _receive_ok(each, count)
    finally:
        for each in sockets:
            each.close()


def _receive_ok(connection: socket.socket, count: int) -> None:
    """Read so many replies, which must be OK."""
    expected = b"+OK\r\n" * count
    received = b""
    while len(received) < len(expected) and expected.startswith(received):
        data = connection.recv(65536)
        if not data:
            raise ServerFailed("the server closed the connection of the loader")
        received += data
    if received != expected:
        at = received.find(b"-")
        raise ServerFailed(f"a SET of the loader failed: {received[at : at + 200]!r}")
