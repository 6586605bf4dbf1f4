"""Part cluster: three nodes of Redraft against three members of etcd, all on this machine.

Redraft is measured twice: with a client that knows which node leads which slots, and with a plain one that talks to
one node, which forwards two thirds of the commands. etcd is given its best: its clients talk to its leader.
"""

from contextlib import ExitStack
from pathlib import Path

from tests.bench.grpc_load import H2Load
from tests.bench.measure import Cell, Subject, compare
from tests.bench.options import RANDOM_KEYS, Options
from tests.bench.redis_load import VALUE_BYTES, RedisBenchmark, load_keys
from tests.bench.report import Report, comparison_tables
from tests.bench.servers import (
    Unavailable,
    etcd_cluster,
    etcd_leader,
    need,
    redraft_cluster,
    wait_spread,
)

AWARE = "Redraft, aware client"
FORWARDED = "Redraft, one node"
ETCD = "etcd"
CELLS = (
    Cell("get", 50, targets={ETCD: 4.0}),
    Cell("set", 50, targets={ETCD: 2.0}),
    Cell("get", 500),
    Cell("set", 500),
)
fill_times = 4
"""Random writes for each key there can be; leaves 2 % of them out."""


def run(options: Options) -> Report:
    """Measure. Raises Unavailable, ServerFailed."""
    report = Report()
    with ExitStack() as stack:
        redraft = stack.enter_context(redraft_cluster(options.directory))
        aware = RedisBenchmark(redraft.port, RANDOM_KEYS, redraft)
        subjects = [
            Subject(AWARE, redraft, aware),
            Subject(FORWARDED, redraft, RedisBenchmark(redraft.port, RANDOM_KEYS)),
        ]
        try:
            subjects.append(_etcd(stack, options.directory))
            report.notes.append(
                "etcd: h2load over gRPC to the leader, one call at a time a connection, KV/Put and linearizable"
                " KV/Range of a single key, since h2load sends one body"
            )
        except Unavailable as error:
            report.notes.append(f"etcd is not compared: {error}")
        options.progress.begin("cluster", len(CELLS) * len(subjects) * options.rounds)
        options.progress.note(f"loading {2 * RANDOM_KEYS:,} keys into Redraft")
        led = wait_spread(redraft)
        load_keys(redraft.port, RANDOM_KEYS)
        aware.fill(fill_times)
        comparison = compare(subjects, CELLS, options.rounds, options.seconds, options.progress)
    names = [subject.name for subject in subjects]
    report.tables = comparison_tables("cluster of 3", comparison, names[:2], names[2:])
    report.notes += [
        "aware client: redis-benchmark --cluster, which sends each command to the leader of its slot, and uses one"
        " slot of each node; one node: redis-benchmark through one node, which forwards",
        f"{VALUE_BYTES}-byte values, {RANDOM_KEYS:,} random keys; groups led at the start: "
        + ", ".join(f"{group} by {name}" for group, name in sorted(led.items())),
        "processor and memory are those of all three processes",
    ]
    report.data = comparison.as_json()
    return report


def _etcd(stack: ExitStack, directory: Path) -> Subject:
    """etcd, if it and what loads it are here. Raises Unavailable."""
    need("h2load", "nghttp2-client")
    deployment = stack.enter_context(etcd_cluster(directory / "etcd"))
    driver = H2Load(etcd_leader(deployment).port)
    driver.check()
    return Subject(ETCD, deployment, driver)
