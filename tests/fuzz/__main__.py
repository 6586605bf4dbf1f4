"""Fuzzing by hand: `python -m tests.fuzz --rounds N --seed S --commands M`; `--servers` talks to real ones.

The first failure ends it and names its seed.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.conformance.harness.servers import cluster, standalone
from tests.fuzz.clients import fuzz_servers
from tests.fuzz.machine import Found, Fuzz


def run(rounds: int, seed: int, commands: int) -> int:
    """Rounds in this process. Returns the exit code."""
    for number in range(seed, seed + rounds):
        directory = Path(tempfile.mkdtemp(prefix="redraft-fuzz-"))
        fuzz = Fuzz(directory, number)
        start_s = time.monotonic()
        try:
            fuzz.run(commands)
        except Found as found:
            print(found)
            return 1
        finally:
            fuzz.close()
            shutil.rmtree(directory)
        slowest = f"; slowest: {fuzz.slow[0]}"[:200] if fuzz.slow else ""
        print(
            f"seed {number}: {fuzz.done.total()} commands in {time.monotonic() - start_s:.1f} s{slowest}",
            flush=True,
        )
    return 0


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="how many, one seed each")
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    parser.add_argument("--commands", type=int, default=20_000, help="in each round")
    parser.add_argument("--servers", choices=("standalone", "cluster"), help="through sockets, to these")
    given = parser.parse_args()
    if not given.servers:
        return run(given.rounds, given.seed, given.commands)
    directory = Path(tempfile.mkdtemp(prefix="redraft-fuzz-"))
    print(f"logs and data: {directory}")
    with (standalone if given.servers == "standalone" else cluster)(directory) as server:
        for number in range(given.seed, given.seed + given.rounds):
            print(f"seed {number}: {fuzz_servers(server.ports, number, given.commands)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
