"""The simulator finds nothing in the core, and would if there were something.

Short runs of many seeds here; long ones with `python -m tests.sim --seeds 0:100000 --jobs 8`. A failure names
the command that replays it; add the seed to seeds.txt when the cause is mended.
"""

from pathlib import Path

import pytest

from tests.sim.__main__ import replay_command
from tests.sim.mutants import MUTANTS, Mutant
from tests.sim.profiles import PROFILES
from tests.sim.world import Outcome, simulate

SEEDS_PER_PROFILE = 500
STEPS = 600


def run(seed: int, profile: str, steps: int) -> Outcome:
    """A run whose failure says how to replay it."""
    try:
        return simulate(seed, profile, steps)
    except Exception as error:
        error.add_note(f"replay: {replay_command(seed, profile, steps)} --trace")
        raise


@pytest.mark.parametrize("profile", PROFILES)
def test_no_seed_breaks_an_invariant(profile: str) -> None:
    outcomes = [run(seed, profile, STEPS) for seed in range(SEEDS_PER_PROFILE)]
    # The runs must have been worth something: writes and reads answered, most leaders elected among faults.
    assert sum(outcome.acknowledged for outcome in outcomes) > SEEDS_PER_PROFILE
    assert sum(outcome.reads for outcome in outcomes) > SEEDS_PER_PROFILE
    assert sum(outcome.lease_reads for outcome in outcomes) > 0
    assert sum(outcome.terms for outcome in outcomes) > SEEDS_PER_PROFILE
    assert sum(outcome.faults for outcome in outcomes) > 0


def known_seeds() -> list[tuple[int, str, int]]:
    seeds: list[tuple[int, str, int]] = []
    for line in Path(__file__).with_name("seeds.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            seed, profile, steps = line.split()[:3]
            seeds.append((int(seed), profile, int(steps)))
    return seeds


@pytest.mark.parametrize(("seed", "profile", "steps"), known_seeds())
def test_a_seed_that_once_failed_passes(seed: int, profile: str, steps: int) -> None:
    run(seed, profile, steps)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_seed_replays_exactly(profile: str) -> None:
    traces: list[list[str]] = [[], []]
    outcomes = [simulate(11, profile, STEPS, trace.append) for trace in traces]
    assert traces[0] == traces[1]
    assert outcomes[0] == outcomes[1]


def test_different_seeds_are_different_runs() -> None:
    assert simulate(1, "calm", STEPS) != simulate(2, "calm", STEPS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_core_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.install(monkeypatch)
    found = mutant.hunt()
    assert found is not None, f"{mutant.name} survived {mutant.seeds_max} seeds of {mutant.profile}"
    seed, rule = found
    assert rule in mutant.rules, f"{mutant.name}: seed {seed} of {mutant.profile} broke another rule"
