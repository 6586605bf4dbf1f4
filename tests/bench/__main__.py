"""The benchmark, by hand: `python -m tests.bench`.

It starts all servers itself, on free loopback ports and with their data in a temporary directory, and ends them.
Parts are measured one after the other; within a part, services are measured alternately (measure.py says why).
Tables go to standard output, progress to standard error. To add a part: a module with `run(options) -> Report`, and
its name in PARTS.

Exit codes: 0 everything asked for was measured, 1 a part failed, 2 a command line that makes no sense.
"""

import json
import os
import platform
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.console import Console

from tests.bench import cluster, failover, idle, size, standalone, types
from tests.bench.options import Options
from tests.bench.progress import Progress
from tests.bench.report import Report, number, show
from tests.bench.servers import ServerFailed, Unavailable
from tests.processes.client import ConnectionLost

PARTS: Mapping[str, Callable[[Options], Report]] = {
    "standalone": standalone.run,
    "types": types.run,
    "cluster": cluster.run,
    "size": size.run,
    "idle": idle.run,
    "failover": failover.run,
}
WIDTH_MIN = 130
"""Columns in which the tables have room."""
fsync_probes = 50
quick = {"rounds": 2, "seconds": 1.0, "keys": 100_000, "connections": 1000}
full = {"rounds": 5, "seconds": 3.0, "keys": 5_000_000, "connections": 10_000}


def fsync_ms(directory: Path) -> float:
    """Median time of appending 4 KiB to a file in `directory` and syncing it: every durable write waits for one."""
    took_ms = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(fsync_probes):
            start_s = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            took_ms.append((time.perf_counter() - start_s) * 1000)
    return statistics.median(took_ms)


def chosen(_context: click.Context, _option: click.Parameter, value: str | None) -> list[str]:
    """The parts named in --only, in their usual order; all without it. Raises click.BadParameter."""
    if value is None:
        return list(PARTS)
    names = {name.strip() for name in value.split(",")}
    if unknown := sorted(names - PARTS.keys()):
        raise click.BadParameter(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return [name for name in PARTS if name in names]


def _terminate(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends this program as Ctrl-C does: servers are ended and data is deleted on the way."""
    raise KeyboardInterrupt


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", metavar="PART[,PART]", callback=chosen, help=f"Of {', '.join(PARTS)}; default: all.")
@click.option(
    "--quick", "is_quick", is_flag=True, help="A minute or two, to see that it works: figures are rough."
)
@click.option(
    "--rounds", type=click.IntRange(1), metavar="N", help="Of each measurement; default 5, quick 2."
)
@click.option(
    "--seconds", type=click.FloatRange(0.1), metavar="S", help="Of each measurement; default 3, quick 1."
)
@click.option(
    "--keys", type=click.IntRange(1), metavar="N", help="That part size loads; default 5000000, quick 100000."
)
@click.option(
    "--connections", type=click.IntRange(1), metavar="N", help="Of part idle; default 10000, quick 1000."
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the data goes, in a directory that is deleted afterwards: on the disk to measure. Default: the system's"
    " temporary directory.",
)
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write all samples there."
)
def main(
    only: list[str],
    is_quick: bool,
    rounds: int | None,
    seconds: float | None,
    keys: int | None,
    connections: int | None,
    directory: Path | None,
    json_path: Path | None,
) -> None:
    """Measure Redraft against Valkey and etcd on this machine, and print ratios."""
    signal.signal(signal.SIGTERM, _terminate)
    default = quick if is_quick else full
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH_MIN)  # a wrapped line says more than a cut one
    base = Path(tempfile.mkdtemp(prefix="redraft-bench-", dir=directory))
    failed = False
    try:
        machine = _machine(base)
        console.print(
            f"{machine['processors']} processors, Python {machine['python']}, {machine['system']};"
            f" a synced write of 4 KiB takes {number(machine['fsync_ms'])} ms\n"
        )
        result: dict[str, Any] = {"machine": machine, "parts": {}}
        for name in only:
            with Progress() as progress:
                options = Options(
                    base / name,
                    rounds or int(default["rounds"]),
                    seconds or default["seconds"],
                    keys or int(default["keys"]),
                    connections or int(default["connections"]),
                    progress,
                )
                try:
                    report = PARTS[name](options)
                except Unavailable as error:
                    report = Report(notes=[f"{name} is not measured: {error}"])
                except (ServerFailed, ConnectionLost, OSError) as error:
                    report = Report(notes=[f"{name} failed: {error}"])
                    failed = True
            show(console, report)
            shutil.rmtree(options.directory, ignore_errors=True)
            result["parts"][name] = {"notes": report.notes, "data": report.data}
        if json_path:
            json_path.write_text(json.dumps(result, indent=2) + "\n")
    finally:
        shutil.rmtree(base, ignore_errors=True)
    sys.exit(1 if failed else 0)


def _machine(directory: Path) -> dict[str, Any]:
    return {
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "fsync_ms": fsync_ms(directory),
        "at": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


if __name__ == "__main__":
    main(prog_name="python -m tests.bench")
