"""Part idle: what connections that do nothing cost: memory, processor time, and latency of those that do something.

The connections belong to a child process (idle_clients.py), so that their descriptors are not this one's. Every one
has sent a PING once: a server may put off what it allocates until then.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

from tests.bench.measure import percentile
from tests.bench.options import Options
from tests.bench.report import Figure, Report, figures_json, figures_table
from tests.bench.servers import (
    ROOT,
    Deployment,
    ServerFailed,
    Unavailable,
    redraft_standalone,
    valkey_in_memory,
)
from tests.processes.client import Client

spare_descriptors = 200
"""What a server needs besides one for each client."""
settle_s = 1.0
"""After a start, for what it leaves to do."""
pings_per_second = 1000
"""A guess, for the number of PINGs that are sent."""
Found = Callable[[Deployment, str, str, float], None]


def raise_descriptor_limit() -> int:
    """Allow this process and its children as many descriptors as they may have. Returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def run(options: Options) -> Report:
    """Measure. Raises Unavailable, ServerFailed."""
    report = Report()
    connections = min(options.idle_connections, raise_descriptor_limit() - spare_descriptors)
    if connections < options.idle_connections:
        report.notes.append(
            f"only {connections:,} connections: the limit of open files (ulimit -Hn) allows no more"
        )
    figures: dict[tuple[str, str], dict[str, list[float]]] = {}

    def found(deployment: Deployment, name: str, unit: str, value: float) -> None:
        figures.setdefault((name, unit), {}).setdefault(deployment.name, []).append(value)

    with ExitStack() as stack:
        clients_max = connections + spare_descriptors // 2
        deployments = [stack.enter_context(redraft_standalone(options.directory, clients_max))]
        try:
            deployments.append(stack.enter_context(valkey_in_memory(options.directory, clients_max)))
        except Unavailable as error:
            report.notes.append(f"not compared: {error}")
        options.progress.begin("idle", len(deployments) * options.rounds)
        for number in range(options.rounds):
            for each in deployments:
                if number:  # a new process: what the last round left behind would hide what connections cost
                    each.restart(each.servers[0])
                _measure(each, connections, options.seconds, found)
                options.progress.step(f"{each.name}, round {number + 1}")
    rows = [Figure(name, unit, values) for (name, unit), values in figures.items()]
    names = [each.name for each in deployments]
    report.tables = [figures_table(f"{connections:,} idle connections", rows, names)]
    report.notes.append(
        "one client sends PINGs one after the other, written in Python: the latencies have its own time in them"
    )
    report.data = figures_json(rows)
    return report


def _measure(deployment: Deployment, connections: int, seconds: float, found: Found) -> None:
    (server,) = deployment.servers
    time.sleep(settle_s)
    before_bytes = server.rss_bytes
    _pings(deployment, "without them", seconds / 2, found)
    start_s, start_cpu_s = time.monotonic(), server.cpu_s
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.idle_clients", str(server.port), str(connections)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:  # its end closes the pipe, upon which the child ends
        assert child.stdout is not None
        if child.stdout.readline() != b"connected\n":
            raise ServerFailed(
                f"{deployment.name} did not take {connections} connections:\n{server.log_end()}"
            )
        found(deployment, "connecting", "s", time.monotonic() - start_s)
        found(
            deployment,
            "connecting, processor",
            "µs/connection",
            (server.cpu_s - start_cpu_s) * 1e6 / connections,
        )
        used_bytes = server.rss_bytes
        found(deployment, "memory with them", "MiB", used_bytes / (1 << 20))
        found(deployment, "memory they cost", "bytes/connection", (used_bytes - before_bytes) / connections)
        start_cpu_s = server.cpu_s
        time.sleep(seconds / 2)
        used_ms = (server.cpu_s - start_cpu_s) * 1000
        found(deployment, "processor while all are idle", "ms/s", used_ms / (seconds / 2))
        _pings(deployment, "with them", seconds / 2, found)


def _pings(deployment: Deployment, when: str, seconds: float, found: Found) -> None:
    (server,) = deployment.servers
    latencies_ms = []
    start_cpu_s = server.cpu_s
    with Client(server.port) as client:
        for _ in range(max(1, int(pings_per_second * seconds))):
            start_s = time.perf_counter()
            client.call("PING")
            latencies_ms.append((time.perf_counter() - start_s) * 1000)
    for percent in (50, 99):
        found(deployment, f"PING p{percent} {when}", "ms", percentile(latencies_ms, percent))
    used_us = (server.cpu_s - start_cpu_s) * 1e6
    found(deployment, f"PING {when}, processor", "µs", used_us / len(latencies_ms))
