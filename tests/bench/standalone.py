"""Part standalone: one node against Valkey, which syncs every write in one comparison and keeps nothing in the
other.

To get to, each as a multiple of Valkey's throughput with the client on the same two cores: see the targets of
`CELLS`.
"""

from contextlib import ExitStack

from tests.bench.measure import Cell, Subject, compare
from tests.bench.options import RANDOM_KEYS, Options
from tests.bench.redis_load import VALUE_BYTES, RedisBenchmark, load_keys
from tests.bench.report import Report, comparison_tables
from tests.bench.servers import Unavailable, redraft_standalone, valkey_always, valkey_in_memory

MEMORY = "Valkey in memory"
ALWAYS = "Valkey appendfsync always"
CELLS = (
    Cell("get", 50, targets={MEMORY: 0.8}),
    Cell("set", 50, targets={ALWAYS: 0.7}),
    Cell("mixed", 50),
    Cell("get", 50, 16, targets={MEMORY: 0.4}),
    Cell("set", 50, 16),
    Cell("mixed", 50, 16),
    Cell("get", 500),
    Cell("set", 500),
    Cell("mixed", 500),
)


def run(options: Options) -> Report:
    """Measure. Raises Unavailable, ServerFailed."""
    report = Report()
    with ExitStack() as stack:
        deployments = [stack.enter_context(redraft_standalone(options.directory))]
        for start in (valkey_always, valkey_in_memory):
            try:
                deployments.append(stack.enter_context(start(options.directory)))
            except Unavailable as error:
                report.notes.append(f"not compared: {error}")
        options.progress.begin("standalone", len(CELLS) * len(deployments) * options.rounds)
        subjects = []
        for each in deployments:
            options.progress.note(f"loading {RANDOM_KEYS:,} keys into {each.name}")
            load_keys(each.port, RANDOM_KEYS)
            subjects.append(Subject(each.name, each, RedisBenchmark(each.port, RANDOM_KEYS)))
        comparison = compare(subjects, CELLS, options.rounds, options.seconds, options.progress)
    names = [each.name for each in deployments]
    report.tables = comparison_tables("standalone", comparison, names[:1], names[1:])
    report.notes += [
        f"redis-benchmark, {VALUE_BYTES}-byte values, {RANDOM_KEYS:,} random keys that all exist; c: connections,"
        " P: commands in a pipeline",
        "mixed: two redis-benchmarks at once, one GETs with half of the connections, one SETs with the other half;"
        " throughput is their sum, p50 and p99 the worse of the two",
    ]
    report.data = comparison.as_json()
    return report
