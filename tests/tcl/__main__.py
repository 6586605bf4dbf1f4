"""Runs Redis's own Tcl suite against a standalone node or a cluster: `python -m tests.tcl --help`.

The suite is not ours and not here: the environment variable REDIS_SUITE names a checkout of Redis 7.0.15 with redis-cli
and redis-benchmark in its src/; tclsh 8.6 runs it. The suite drives a server that is there already (its external mode),
one unit after the other. What can not pass stands in tests/tcl-known.md with the reason, in lines

    - unit/type/string: name of the test

and is left out; the tags of whole families of such tests (`tag: needs:repl`) stand there as well. Lines that begin with
`- standalone`, `- cluster` or `- redirect` hold for that way of running alone. Whatever else fails makes the run fail.

How values are encoded is not looked at: Redraft answers as Valkey 9.1 does, and tests/conformance compares with that.

The suite's client knows nothing of MOVED: before a redirecting cluster stands a proxy that follows it (following.py).
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.conformance.harness.servers import HOST, Server, cluster, standalone
from tests.conformance.harness.wire import Connection
from tests.tcl.following import following

KNOWN = Path(__file__).parents[1] / "tcl-known.md"
UNITS = """
printver dump protocol keyspace scan info-command type/string type/incr type/list type/list-2 type/list-3 type/set
type/zset type/hash type/stream type/stream-cgroups sort expire other multi quit latency-monitor pubsub slowlog
scripting functions introspection introspection-2 bitops bitfield geo hyperloglog lazyfree pause querybuf tracking
networking violations replybufsize integration/redis-cli
"""
"""Those that test something in external mode."""
SILENCE_S = 120
"""A test that shows no progress for so long hangs."""
SILENCES_MAX = 15
"""A unit is given up after so many times that long: half an hour, unless --hang says otherwise."""
SPREAD_S = 60
BASE_PORTS = range(12_032, 22_000, 32)
"""The suite takes a port from the 32 below, if the one 10,000 above that is free as well: all of them stand below those
from which the system takes the ports of connections."""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
RESULT = re.compile(r"^\[(ok|err|exception|TIMEOUT)\]:? ?(.*)$", re.MULTILINE)
KNOWN_LINE = re.compile(
    r"^- (?:(standalone|cluster|redirect) )?(?:tag: (\S+)|((?:unit|integration)/\S+): (.*))$"
)


class Known(NamedTuple):
    """What tests/tcl-known.md leaves out of one way of running."""

    tags: list[str]
    tests: dict[str, list[str]]
    """By unit."""


def read_known(mode: str) -> Known:
    """The part of tests/tcl-known.md that holds for `mode`."""
    known = Known([], {})
    for line in KNOWN.read_text().splitlines():
        match = KNOWN_LINE.match(line)
        if match is None or match[1] not in (None, mode):
            continue
        if match[2]:
            known.tags.append(match[2])
        else:
            known.tests.setdefault(match[3], []).append(match[4])
    return known


def run_unit(
    suite: Path, unit: str, port: int, mode: str, known: Known, options: argparse.Namespace
) -> tuple[int, list[str], str]:
    """How many tests passed, what failed, and the whole output."""
    denied = [f"-{tag}" for tag in known.tags] + ([] if options.slow else ["-slow"])
    command = ["./runtest", "--host", "127.0.0.1", "--port", str(port), "--single", unit, "--durable"]
    command += [
        "--no-latency",
        "--ignore-digest",
        "--ignore-encoding",
        "--timeout",
        str(options.hang),
        "--tags",
        " ".join(denied),
    ]
    command += ["--baseport", str(random.choice(BASE_PORTS))]
    if mode != "standalone":
        command.append("--cluster-mode")
    for name in known.tests.get(unit, ()):
        command += ["--skiptest", name]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=suite, stdout=output, stderr=output, start_new_session=True)
        with suppress(subprocess.TimeoutExpired):
            process.wait(SILENCES_MAX * options.hang)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        text = COLOUR.sub("", output.read().decode(errors="replace"))
    body, end, _ = text.partition("                   The End")
    results = RESULT.findall(body)
    failed = [name for status, name in results if status != "ok"]
    if not end and not failed:
        failed.append("the suite ended early")
    return sum(status == "ok" for status, _ in results), failed, text


@contextmanager
def serving(mode: str, directory: Path) -> Iterator[int]:
    """A server of our own in `directory`; gives its port."""
    if mode == "standalone":
        with standalone(directory) as server:
            yield server.port
    elif mode == "cluster":
        with cluster(directory) as server:
            _wait_until_spread(server)
            yield server.port
    else:
        with cluster(directory, "redirect") as server, following(server.ports) as port:
            _wait_until_spread(server)
            yield port


def _wait_until_spread(server: Server) -> None:
    """Until every node leads a group: before that there is nothing to forward, and nobody to redirect to."""
    for port in server.ports:
        with Connection(HOST, port) as connection:
            deadline_s = time.monotonic() + SPREAD_S
            while b"raft_groups_led:0" in connection.ask("INFO", "raft").value:
                assert time.monotonic() < deadline_s, "a node leads nothing"
                time.sleep(0.1)


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.tcl", description="Redis's own Tcl suite.")
    parser.add_argument("units", nargs="*", help="such as type/string; all when none is given")
    parser.add_argument("--mode", choices=("standalone", "cluster", "redirect"), default="standalone")
    parser.add_argument(
        "--port", type=int, help="use the server there, which is emptied, instead of starting one"
    )
    parser.add_argument(
        "--hang",
        type=int,
        default=SILENCE_S,
        metavar="S",
        help="give a test up that shows no progress for so long",
    )
    parser.add_argument("--slow", action="store_true", help="the slow tests too")
    parser.add_argument("--verbose", action="store_true", help="show all that the suite says of what fails")
    options = parser.parse_args()
    if "REDIS_SUITE" not in os.environ:
        parser.error(
            "REDIS_SUITE must name a checkout of Redis 7.0.15; see the head of tests/tcl/__main__.py"
        )
    suite, known = Path(os.environ["REDIS_SUITE"]), read_known(options.mode)
    total = bad = 0
    with tempfile.TemporaryDirectory() as directory:
        for unit in options.units or UNITS.split():
            # A server of its own for each unit, since units leave settings behind.
            name = unit if unit.startswith("integration/") else f"unit/{unit}"
            if options.port:
                passed, failed, text = run_unit(suite, name, options.port, options.mode, known, options)
            else:
                with serving(options.mode, Path(directory) / unit.replace("/", "-")) as port:
                    passed, failed, text = run_unit(suite, name, port, options.mode, known, options)
            print(f"{name:24} {passed:4} passed {len(failed):3} failed", flush=True)
            for failure in failed:
                print(f"    {failure}", flush=True)
            if failed and options.verbose:
                print(text)
            total += passed
            bad += len(failed)
    print(f"{total} passed, {bad} failed")
    return 1 if bad else 0


sys.exit(main())
