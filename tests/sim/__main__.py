"""Run seeds of the simulator: `python -m tests.sim --seed 7 --trace`, `python -m tests.sim --seeds 0:5000 --jobs 2`.

A failure prints the command that replays it. The profile follows from the seed unless one is named.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.sim.profiles import PROFILES
from tests.sim.world import Outcome, profile_of, simulate

STEPS = 3_000
LOG_INTERVAL_S = 10.0

Job = tuple[int, str, int]
"""Seed, profile, steps."""


def replay_command(seed: int, profile: str, steps: int) -> str:
    return f"python -m tests.sim --seed {seed} --profile {profile} --steps {steps}"


def _run(job: Job) -> tuple[Job, Outcome | None, str]:
    seed, profile, steps = job
    try:
        return job, simulate(seed, profile, steps), ""
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        place = " < ".join(
            f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in reversed(frames)
        )
        return job, None, f"{type(error).__name__}: {error}\n  at {place}"


def _results(jobs: list[Job], workers: int) -> Iterator[tuple[Job, Outcome | None, str]]:
    if workers == 1:
        yield from map(_run, jobs)
        return
    with ProcessPoolExecutor(workers) as pool:
        try:
            yield from pool.map(_run, jobs, chunksize=4)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _progress(done: int, total: int, steps: int, begun_s: float, failures: int) -> str:
    rate = steps / max(time.monotonic() - begun_s, 1e-9)
    width = 30
    bar = "#" * (width * done // total)
    return f"[{bar:{width}}] {done}/{total} seeds, {steps} steps, {rate:.0f} steps/s, {failures} failed"


def run_many(jobs: list[Job], workers: int, keep_going: bool) -> int:
    """Run `jobs`, report, return the number of failures (at most one unless `keep_going`)."""
    begun_s = told_s = time.monotonic()
    is_terminal = sys.stderr.isatty()
    steps = committed = reads = lease_reads = faults = terms = failures = done = 0
    for (seed, profile, length), outcome, problem in _results(jobs, workers):
        done += 1
        if outcome is None:
            failures += 1
            print(
                f"\nFAILED seed {seed} ({profile})\n  {problem}\n  replay: {replay_command(seed, profile, length)}"
            )
            if not keep_going:
                break
        else:
            steps += outcome.steps
            committed += outcome.committed
            reads += outcome.reads
            lease_reads += outcome.lease_reads
            faults += outcome.faults
            terms += outcome.terms
        now_s = time.monotonic()
        if is_terminal or now_s - told_s >= LOG_INTERVAL_S:
            told_s = now_s
            text = _progress(done, len(jobs), steps, begun_s, failures)
            print(
                f"\r{text}" if is_terminal else text,
                end="" if is_terminal else "\n",
                file=sys.stderr,
                flush=True,
            )
    print(
        f"\n{done} seeds, {failures} failed, {steps} steps in {time.monotonic() - begun_s:.1f} s: {committed} entries "
        f"committed, {reads} reads ({lease_reads} by lease), {terms} terms led, {faults} faults"
    )
    return failures


def run_one(seed: int, profile: str, steps: int, trace: bool) -> int:
    print(f"seed {seed}, profile {profile}, {steps} steps", flush=True)
    try:
        outcome = simulate(seed, profile, steps, print if trace else None)
    except Exception:
        traceback.print_exc()
        print(f"FAILED; replay: {replay_command(seed, profile, steps)}")
        return 1
    print(outcome)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay one seed")
    parser.add_argument("--seeds", help="A:B, run the seeds A to B-1")
    parser.add_argument(
        "--profile", choices=list(PROFILES), help="what may go wrong; by default the seed decides"
    )
    parser.add_argument(
        "--steps", type=int, default=STEPS, help=f"steps with faults per seed (default {STEPS})"
    )
    parser.add_argument("--jobs", type=int, default=1, help="worker processes")
    parser.add_argument("--trace", action="store_true", help="with --seed: print every event")
    parser.add_argument(
        "--keep-going", action="store_true", help="with --seeds: do not stop at the first failure"
    )
    arguments = parser.parse_args()
    if arguments.seed is not None:
        profile = arguments.profile or profile_of(arguments.seed)
        return run_one(arguments.seed, profile, arguments.steps, arguments.trace)
    if arguments.seeds is None:
        parser.error("one of --seed and --seeds is needed")
    first, _, end = arguments.seeds.partition(":")
    seeds = range(int(first), int(end))
    jobs = [(seed, arguments.profile or profile_of(seed), arguments.steps) for seed in seeds]
    return 1 if run_many(jobs, arguments.jobs, arguments.keep_going) else 0


if __name__ == "__main__":
    sys.exit(main())
