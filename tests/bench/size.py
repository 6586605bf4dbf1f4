"""Part size: many keys. How long loading takes, what it takes on disk and in memory, how fast reading is then, and
how long a start takes.

Valkey with appendfsync always is measured beside it. Each key is written once, in order, through 8 connections with
200 commands on the way on each; GET is measured alternately once both are loaded.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack

from tests.bench.measure import Cell, Subject, compare
from tests.bench.options import Options
from tests.bench.redis_load import VALUE_BYTES, RedisBenchmark, load_keys
from tests.bench.report import Figure, Report, comparison_tables, figures_json, figures_table
from tests.bench.servers import Deployment, Unavailable, directory_bytes, redraft_standalone, valkey_always

CELLS = (Cell("get", 50), Cell("get", 50, 16))
settle_s = 3.0
"""For compactions that the load has left behind."""


def run(options: Options) -> Report:
    """Measure. Raises Unavailable, ServerFailed."""
    report = Report()
    figures: dict[tuple[str, str], dict[str, list[float]]] = {}

    def found(deployment: Deployment, name: str, unit: str, value: float) -> None:
        figures.setdefault((name, unit), {}).setdefault(deployment.name, []).append(value)

    with ExitStack() as stack:
        deployments = [stack.enter_context(redraft_standalone(options.directory))]
        try:
            deployments.append(stack.enter_context(valkey_always(options.directory)))
        except Unavailable as error:
            report.notes.append(f"not compared: {error}")
        steps = len(deployments) * (2 + len(CELLS) * options.rounds)
        options.progress.begin("size", steps)
        for each in deployments:
            _load(each, options, found)
        subjects = [Subject(each.name, each, RedisBenchmark(each.port, options.keys)) for each in deployments]
        comparison = compare(subjects, CELLS, options.rounds, options.seconds, options.progress)
        for each in deployments:
            found(each, "memory after the reads", "MiB", sum(each.rss_bytes) / (1 << 20))
            _restart(each, options, found)
    names = [each.name for each in deployments]
    rows = [Figure(name, unit, values) for (name, unit), values in figures.items()]
    title = f"{options.keys:,} keys"
    report.tables = [
        figures_table(title, rows, names),
        *comparison_tables(f"reading {title}", comparison, names[:1], names[1:]),
    ]
    report.notes.append(
        f"16-byte keys, {VALUE_BYTES}-byte values, each written once in order; GET of random ones"
    )
    report.data = {"figures": figures_json(rows), "comparison": comparison.as_json()}
    return report


Found = Callable[[Deployment, str, str, float], None]


def _load(deployment: Deployment, options: Options, found: Found) -> None:
    (server,) = deployment.servers
    keys = options.keys
    options.progress.note(f"loading {keys:,} keys into {deployment.name}")
    found(deployment, "memory before", "MiB", server.rss_bytes / (1 << 20))
    start_s, start_cpu_s = time.monotonic(), server.cpu_s
    load_keys(server.port, keys)
    took_s, used_s = time.monotonic() - start_s, server.cpu_s - start_cpu_s
    time.sleep(settle_s)
    disk_bytes = directory_bytes(server.directory)
    found(deployment, "loading", "s", took_s)
    found(deployment, "loading", "keys/s", keys / took_s)
    found(deployment, "loading, processor", "µs/key", used_s * 1e6 / keys)
    found(deployment, "disk", "MiB", disk_bytes / (1 << 20))
    found(deployment, "disk", "bytes/key", disk_bytes / keys)
    found(deployment, "memory after loading", "MiB", server.rss_bytes / (1 << 20))
    options.progress.step(f"{deployment.name}: {keys / took_s:,.0f} keys/s")


def _restart(deployment: Deployment, options: Options, found: Found) -> None:
    (server,) = deployment.servers
    start_s = time.monotonic()
    deployment.restart(server)
    found(deployment, "start after kill -9", "s", time.monotonic() - start_s)
    found(deployment, "start after kill -9, processor", "s", server.cpu_s)
    options.progress.step(f"{deployment.name} has started again")
