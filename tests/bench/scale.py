"""What one operation costs at a thousand elements and at a million: CPU time of the server's process, all threads.

By hand: `python -m tests.bench.scale [--elements N …]`. A standalone node is filled with one hash, set, sorted set,
list and stream of each size; then each operation is done some thousand times, in pipelines, at random elements. CPU
time and not wall time, so that a busy machine does little harm; compactions that go on meanwhile are in it.
tests/server/test_cost.py counts the records that are touched instead, and runs with the other tests.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.processes.client import Client
from tests.processes.harness import Standalone

Request = tuple[str | bytes | int, ...]
CHUNK = 1000
PIPELINE = 50
_TICKS_PER_S = 100


def fill(client: Client, count: int) -> None:
    """One key of each type with `count` elements: h, s, z, l and x with the count behind."""
    order = list(range(count))
    Random(1).shuffle(order)
    for start in range(0, count, CHUNK):
        chunk = order[start : start + CHUNK]
        client.pipeline(
            ("hset", f"h{count}", *(word for number in chunk for word in (f"m{number}", "value"))),
            ("sadd", f"s{count}", *(f"m{number}" for number in chunk)),
            (
                "zadd",
                f"z{count}",
                *(word for number in chunk for word in (str(number * 7 % count), f"m{number}")),
            ),
            ("rpush", f"l{count}", *(f"m{number}" for number in chunk)),
        )
        client.pipeline(*(("xadd", f"x{count}", f"{start + 1}-*", "f", "value") for _ in chunk))


def operations(count: int, rng: Random) -> dict[str, Callable[[int], Request]]:
    """Name to a function that makes the n-th request."""
    return {
        "HSET new": lambda n: ("hset", f"h{count}", f"new{n}", "value"),
        "HSET old": lambda n: ("hset", f"h{count}", f"m{rng.randrange(count)}", "other"),
        "HGET": lambda n: ("hget", f"h{count}", f"m{rng.randrange(count)}"),
        "SADD": lambda n: ("sadd", f"s{count}", f"new{n}"),
        "ZADD new": lambda n: ("zadd", f"z{count}", rng.randrange(count), f"new{n}"),
        "ZADD old": lambda n: ("zadd", f"z{count}", rng.randrange(count), f"m{rng.randrange(count)}"),
        "ZRANK": lambda n: ("zrank", f"z{count}", f"m{rng.randrange(count)}"),
        "RPUSH": lambda n: ("rpush", f"l{count}", "value"),
        "LINDEX": lambda n: ("lindex", f"l{count}", rng.randrange(count)),
        "XADD": lambda n: ("xadd", f"x{count}", "*", "f", "value"),
    }


def cpu_s(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def main() -> None:
    """Fill, measure, print a table of microseconds."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("--elements", type=int, nargs="+", default=[1000, 1_000_000])
    parser.add_argument("--times", type=int, default=6000, help="how often each operation is done")
    given = parser.parse_args()
    found: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="redraft-scale-") as directory,
        Standalone(Path(directory)) as alone,
        alone.node.client(timeout_s=120) as client,
    ):
        for count in given.elements:
            start_s = time.monotonic()
            fill(client, count)
            print(f"{count} elements of each type: filled in {time.monotonic() - start_s:.0f} s", flush=True)
        time.sleep(15)  # what is swept and compacted behind it
        for count in given.elements:
            rng = Random(2)
            for name, make in operations(count, rng).items():
                before_s = cpu_s(alone.node.pid)
                for start in range(0, given.times, PIPELINE):
                    client.pipeline(*(make(start + number) for number in range(PIPELINE)))
                used_us = (cpu_s(alone.node.pid) - before_s) / given.times * 1e6
                found.setdefault(name, []).append(used_us)
    print("µs of CPU for one:", *(f"{count:>10}" for count in given.elements), "   ratio")
    for name, figures in found.items():
        print(f"{name:17}", *(f"{figure:10.1f}" for figure in figures), f"{figures[-1] / figures[0]:8.2f}")


if __name__ == "__main__":
    main()
