"""Part types: what the commands of each data type do in a second, against Valkey that syncs every write; and whether
writing one element costs the same whatever the number of elements.

The operations are those of redis-benchmark's default set, ranges of 100, sorted sets of a million members, EVAL, and
PUBLISH to a thousand subscribers, who live in a process of their own (subscribers.py). To add one: a line in
OPERATIONS.

Every round of an operation finds the same, however many there were before, and so do the servers, however fast they
are. What is read or overwritten is all there (`_load`). What is popped is put back before the round, as many as it is
going to take, so that no key runs dry. SADD and HSET add: to a key that the round begins, out of so many numbers that
none comes twice. ZADD gives a member that is there another score, as each NUMBER is another.

Cost by size is processor time of the server for an operation, which the noise of a shared machine does not change
much: the same writes into a collection that begins with 1,000 elements and into one of a million. A million loaded at
once leave tables in LevelDB's upper levels, of which it merges one with all that lies under it (a second of a processor
for 100 MB) when a thousand reads have looked into it in vain. That is a cost of the loading, comes once, and would be
many times that of the few writes which are measured; so reads bring it about before (`_read_all_over`).
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import redis

from tests.bench.command_load import NUMBER, RUN, CommandBenchmark, Operation
from tests.bench.measure import Cell, Subject, compare, settle
from tests.bench.options import RANDOM_KEYS, Options
from tests.bench.redis_load import VALUE_BYTES
from tests.bench.report import Figure, Report, comparison_tables, figures_json, figures_table
from tests.bench.servers import (
    HOST,
    ROOT,
    Deployment,
    ServerFailed,
    Unavailable,
    redraft_standalone,
    valkey_always,
)

ALWAYS = "Valkey appendfsync always"
WRITE, READ, RANGE = 0.5, 0.7, 0.3
"""To reach, as multiples of Valkey's throughput."""
VALUE = "x" * VALUE_BYTES
MILLION = 1_000_000
UNIQUE = 2_000_000_000
"""Random numbers below this are hardly ever the same."""
SMALL = 1000
SUBSCRIBERS = 1000
connections = 50
growth_requests = 4000
"""Of one measurement of the cost by size: few against the small collection's elements would be too short to measure."""
growth_max = 1.5
growth_reads = 20_000
"""Several times as many as LevelDB bears before it merges what was loaded."""
growth_reads_pipeline = 50
growth_passes = 2
"""What the first reads have merged into the next level may be merged further."""

OPERATIONS: dict[str, tuple[Operation, float | None]] = {
    "PING": (Operation(("PING",)), None),
    "SET": (Operation(("SET", f"key:{NUMBER}", VALUE)), WRITE),
    "GET": (Operation(("GET", f"key:{NUMBER}")), READ),
    "INCR": (Operation(("INCR", f"counter:{NUMBER}")), WRITE),
    "MSET of 10": (
        Operation(("MSET", *(word for _ in range(10) for word in (f"key:{NUMBER}", VALUE)))),
        WRITE,
    ),
    "LPUSH": (Operation(("LPUSH", "list", VALUE)), WRITE),
    "RPUSH": (Operation(("RPUSH", "list", VALUE)), WRITE),
    "LPOP": (Operation(("LPOP", "list"), refill=("RPUSH", "list", VALUE)), WRITE),
    "RPOP": (Operation(("RPOP", "list"), refill=("RPUSH", "list", VALUE)), WRITE),
    "LINDEX": (Operation(("LINDEX", "list100", "50")), READ),
    "LRANGE of 100": (Operation(("LRANGE", "list100", "0", "99")), RANGE),
    "LRANGE of 600": (Operation(("LRANGE", "list600", "0", "599")), RANGE),
    "SADD": (Operation(("SADD", f"set:{RUN}", f"member:{NUMBER}"), UNIQUE), WRITE),
    "SISMEMBER": (Operation(("SISMEMBER", "set", f"member:{NUMBER}")), READ),
    "SPOP": (Operation(("SPOP", "set"), UNIQUE, ("SADD", "set", f"member:{NUMBER}")), WRITE),
    "HSET": (Operation(("HSET", f"hash:{RUN}", f"field:{NUMBER}", VALUE), UNIQUE), WRITE),
    "HGET": (Operation(("HGET", "hash", f"field:{NUMBER}")), READ),
    "HGETALL of 100": (Operation(("HGETALL", "hash100")), RANGE),
    "ZADD at a million": (Operation(("ZADD", "zset", NUMBER, f"member:{NUMBER}"), MILLION), WRITE),
    "ZSCORE at a million": (Operation(("ZSCORE", "zset", f"member:{NUMBER}"), MILLION), READ),
    "ZRANK at a million": (Operation(("ZRANK", "zset", f"member:{NUMBER}"), MILLION), READ),
    "ZRANGE of 100": (Operation(("ZRANGE", "zset100", "0", "99")), RANGE),
    "ZPOPMIN": (
        Operation(("ZPOPMIN", "zset"), MILLION, ("ZADD", "zset", NUMBER, f"member:{NUMBER}:{NUMBER}")),
        WRITE,
    ),
    "XADD": (Operation(("XADD", "stream", "*", "field", VALUE)), WRITE),
    "XRANGE of 100": (Operation(("XRANGE", "stream", "-", "+", "COUNT", "100")), RANGE),
    "EVAL of a SET": (
        Operation(("EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", "1", f"key:{NUMBER}", VALUE)),
        WRITE,
    ),
    "EVAL of a GET": (
        Operation(("EVAL_RO", "return redis.call('GET', KEYS[1])", "1", f"key:{NUMBER}")),
        READ,
    ),
    "PUBLISH to 1,000": (Operation(("PUBLISH", "channel", "message")), None),
}
"""By name, with what to reach. In this order: ZPOPMIN goes last to the sorted set of a million."""
GROWING = {
    "HSET": ("HSET", "{key}", f"field:{NUMBER}", VALUE),
    "ZADD": ("ZADD", "{key}", NUMBER, f"member:{NUMBER}"),
    "RPUSH": ("RPUSH", "{key}", VALUE),
    "XADD": ("XADD", "{key}", "*", "field", VALUE),
}
READING = {
    "HSET": ("HGET", "{key}", f"field:{NUMBER}"),
    "ZADD": ("ZSCORE", "{key}", f"member:{NUMBER}"),
}
"""What reads what those of GROWING read that begin with a read."""


def run(options: Options) -> Report:
    """Measure. Raises Unavailable, ServerFailed."""
    report = Report()
    cells = [
        Cell(name, connections, targets={} if target is None else {ALWAYS: target})
        for name, (_, target) in OPERATIONS.items()
    ]
    with ExitStack() as stack:
        deployments = [stack.enter_context(redraft_standalone(options.directory))]
        try:
            deployments.append(stack.enter_context(valkey_always(options.directory)))
        except Unavailable as error:
            report.notes.append(f"not compared: {error}")
        options.progress.begin("types", len(cells) * len(deployments) * options.rounds + 2 * len(GROWING))
        operations = {name: operation for name, (operation, _) in OPERATIONS.items()}
        subjects = []
        for each in deployments:
            options.progress.note(f"loading {each.name}")
            _load(each.port)
            stack.enter_context(_subscribers(each))
            settle(each)
            subjects.append(Subject(each.name, each, CommandBenchmark(each.port, operations)))
        comparison = compare(subjects, cells, options.rounds, options.seconds, options.progress)
        growth = _growth(deployments[0], options)
    names = [each.name for each in deployments]
    report.tables = [
        *comparison_tables("types", comparison, names[:1], names[1:]),
        figures_table("processor time of one write, by the number of elements", growth, names[:1]),
    ]
    report.notes.append(
        f"redis-benchmark, {connections} connections, {VALUE_BYTES}-byte values; {SUBSCRIBERS:,} subscribers of PUBLISH"
    )
    report.notes.append(
        "every round finds the same: what is popped has been put back, SADD and HSET add to keys that are new, all"
        " others write and read what is there"
    )
    report.data = {"comparison": comparison.as_json(), "growth": figures_json(growth)}
    return report


def _load(port: int) -> None:
    """What the operations read, overwrite and pop. Raises ServerFailed."""
    with redis.Redis(HOST, port) as client:
        _add(client, "zset", "ZADD", MILLION)
        for key, command in (("set", "SADD"), ("hash", "HSET"), ("list", "RPUSH")):
            _add(client, key, command, RANDOM_KEYS)
        for count in (100, 600):
            client.rpush(f"list{count}", *[VALUE] * count)
        client.hset("hash100", mapping={f"field:{number}": VALUE for number in range(100)})
        client.zadd("zset100", {f"member:{number}": number for number in range(100)})
        for _ in range(100):
            client.xadd("stream", {"field": VALUE})
        with client.pipeline(transaction=False) as pipeline:
            for number in range(RANDOM_KEYS):
                pipeline.set(f"key:{number:012}", VALUE)
                pipeline.set(f"counter:{number:012}", 0)
            pipeline.execute()


def _add(client: "redis.Redis[bytes]", key: str, command: str, count: int) -> None:
    """Make `key` have so many elements, named as the operations name them. Raises ServerFailed."""
    at_once = 100
    if command == "XADD":
        words = [
            "EVAL",
            f"for n = 1, {at_once} do redis.call('XADD', KEYS[1], '*', 'field', ARGV[1]) end",
            1,
            key,
            VALUE,
        ]
    for start in range(0, count, at_once * at_once):
        with client.pipeline(transaction=False) as pipeline:
            for first in range(start, min(count, start + at_once * at_once), at_once):
                numbers = range(first, first + at_once)
                if command == "XADD":
                    pipeline.execute_command(*words)
                elif command == "RPUSH":
                    pipeline.rpush(key, *[VALUE] * at_once)
                elif command == "SADD":
                    pipeline.sadd(key, *[f"member:{number:012}" for number in numbers])
                elif command == "HSET":
                    pipeline.hset(key, mapping={f"field:{number:012}": VALUE for number in numbers})
                else:
                    pipeline.zadd(key, {f"member:{number:012}": number for number in numbers})
            try:
                pipeline.execute()
            except redis.RedisError as error:
                raise ServerFailed(f"loading {key} failed: {error}") from error


def _growth(deployment: Deployment, options: Options) -> list[Figure]:
    """What a write costs the server, by the number of elements of its key, and the ratio."""
    cost_us: dict[tuple[str, int], list[float]] = {}
    with redis.Redis(HOST, deployment.port) as client:
        for size in (SMALL, MILLION):
            for command, words in GROWING.items():
                key = f"{command}:{size}"
                _add(client, key, command, size)
                settle(deployment)
                operation = Operation(tuple(word.format(key=key) for word in words), size)
                driver = CommandBenchmark(deployment.port, {command: operation})
                if command in READING:
                    _read_all_over(deployment, tuple(word.format(key=key) for word in READING[command]), size)
                cell = Cell(command, connections)
                for _ in range(options.rounds):
                    before_s = deployment.cpu_s
                    driver.run_requests(cell, growth_requests)
                    used_us = (deployment.cpu_s - before_s) * 1e6 / growth_requests
                    cost_us.setdefault((command, size), []).append(used_us)
                options.progress.step(f"{command} at {size:,} elements")
                client.unlink(key)
    figures = []
    for command in GROWING:
        small, large = cost_us[command, SMALL], cost_us[command, MILLION]
        for size, values in ((SMALL, small), (MILLION, large)):
            figures.append(Figure(f"{command} at {size:,}", "µs", {deployment.name: values}))
        ratio = [min(large) / min(small)]
        figures.append(
            Figure(f"{command}, one to the other", "", {deployment.name: ratio}, at_most=growth_max)
        )
    return figures


def _read_all_over(deployment: Deployment, words: tuple[str, ...], size: int) -> None:
    """Have LevelDB do what it puts off until somebody reads, of `size` elements. Raises ServerFailed."""
    driver = CommandBenchmark(deployment.port, {words[0]: Operation(words, size)})
    for _ in range(growth_passes):
        driver.run_requests(Cell(words[0], connections, growth_reads_pipeline), growth_reads)
        settle(deployment)


@contextmanager
def _subscribers(deployment: Deployment) -> Iterator[None]:
    """Many clients that listen to one channel, in a process of their own. Raises ServerFailed."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.subscribers", str(deployment.port), str(SUBSCRIBERS), "channel"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:  # its end closes the pipe, upon which the child ends
        assert child.stdout is not None
        if child.stdout.readline() != b"connected\n":
            raise ServerFailed(f"{deployment.name} did not take {SUBSCRIBERS} subscribers")
        yield
