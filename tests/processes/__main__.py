"""Long chaos by hand: `python -m tests.processes --rounds N --seed S`.

Each round draws some faults from its seed, one cluster lives through all rounds, and the whole history is
judged after each. The first failure ends it; its directory, with the nodes' logs and data and the history, is
kept and named. `--elements` lets queues, streams, sets and transfers suffer (elements.py) instead of strings. `--judge
FILE` judges a history again that a failed run left behind.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.processes.chaos import FAULTS, suffer, suffer_with_elements
from tests.processes.harness import Cluster
from tests.processes.linearizability import load, smallest_wrong_prefix, wrong_keys
from tests.processes.workload import tell


def judge(path: Path) -> int:
    """Say which keys of a saved history are wrong, and how. Returns the exit code."""
    history = load(path)
    wrong = wrong_keys(history)
    for key in wrong:
        print(f"{key} is not linearizable:")
        print(tell(smallest_wrong_prefix([op for op in history if op.key == key])))
    print(f"{len(history)} operations, {len(wrong)} wrong keys")
    return 1 if wrong else 0


def run(
    rounds: int, seed: int, faults_per_round: int, names: list[str], groups: int, with_elements: bool
) -> int:
    """Rounds of chaos on one cluster. Returns the exit code."""
    faults = [fault for fault in FAULTS if not names or fault.__name__ in names]
    directory = Path(tempfile.mkdtemp(prefix="redraft-chaos-"))
    print(f"logs, data and history: {directory}")
    with Cluster(directory, groups=groups) as cluster:
        for number in range(seed, seed + rounds):
            rng = random.Random(number)
            chosen = [rng.choice(faults) for _ in range(faults_per_round)]
            start_s = time.monotonic()
            told = ", ".join(fault.__name__ for fault in chosen)
            if with_elements:
                elements = suffer_with_elements(cluster, chosen, number, f"seed{number}", directory)
                took_s = time.monotonic() - start_s
                print(f"seed {number}: {told}: {dict(elements.counts)}, {took_s:.0f} s", flush=True)
                continue
            workload = suffer(cluster, chosen, number, f"seed{number}", directory, rest_s=0.3)
            unknown = sum(op.unknown for op in workload.history)
            print(
                f"seed {number}: {told}: {len(workload.history)} operations,"
                f" {unknown} unknown, refused {dict(workload.refused)}, longest time without a write"
                f" {workload.longest_gap_s():.2f} s, {time.monotonic() - start_s:.0f} s",
                flush=True,
            )
    return 0


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.processes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="how many, one seed each")
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    parser.add_argument("--faults", type=int, default=4, help="in each round")
    parser.add_argument("--groups", type=int, default=3, help="shard groups of the cluster")
    parser.add_argument("--only", action="append", default=[], help="draw from these faults (repeatable)")
    parser.add_argument("--elements", action="store_true", help="queues, streams, sets and transfers")
    parser.add_argument("--judge", type=Path, metavar="FILE", help="judge a saved history instead")
    given = parser.parse_args()
    if given.judge:
        return judge(given.judge)
    return run(given.rounds, given.seed, given.faults, given.only, given.groups, given.elements)


if __name__ == "__main__":
    sys.exit(main())
