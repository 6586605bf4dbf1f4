"""Reads and writes are linearizable, and nothing acknowledged is lost, whatever happens to nodes and network.

One test for each fault of chaos.py, and a sequence of them drawn from a seed. REDRAFT_CHAOS_ROUNDS=N runs N such
sequences; `python -m tests.processes --rounds N --seed S` does it without pytest.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.chaos import FAULTS, Fault, suffer
from tests.processes.harness import Cluster

rounds = int(os.environ.get("REDRAFT_CHAOS_ROUNDS", "1"))
faults_per_round = 4


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("chaos")) as cluster:
        yield cluster


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_clients_see_one_server_that_never_forgets_through(
    fault: Fault, cluster: Cluster, tmp_path: Path
) -> None:
    with cluster.logs_on_failure():
        cluster.wait_ready()
        suffer(cluster, [fault], 1, fault.__name__, tmp_path)


@pytest.mark.parametrize("seed", range(rounds))
def test_clients_see_one_server_through_a_sequence_of_faults(
    seed: int, cluster: Cluster, tmp_path: Path
) -> None:
    faults = random.Random(seed).sample(FAULTS, faults_per_round)
    with cluster.logs_on_failure():
        cluster.wait_ready()
        suffer(cluster, faults, seed, f"seed{seed}", tmp_path)
