"""The commands of one connection are done in their order, each once or certainly not, whatever happens to leaders."""

import random
import time
from collections.abc import Iterator

import pytest

from tests.processes.chaos import FAULTS, Fault
from tests.processes.harness import Cluster
from tests.processes.pipelines import Pipelines

faults = [
    fault
    for fault in FAULTS
    if fault.__name__ in ("kill_leader", "pause_leader", "mute_leader", "cut_connections")
]
rest_s = 0.5


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("pipelines")) as cluster:
        yield cluster


@pytest.mark.parametrize("fault", faults, ids=lambda fault: fault.__name__)
def test_pipelines_see_one_server_through(fault: Fault, cluster: Cluster) -> None:
    seed = 1
    rng = random.Random(seed)
    with cluster.logs_on_failure():
        cluster.wait_ready()
        with Pipelines(cluster.servers, seed, f"{fault.__name__}{seed}") as pipelines:
            time.sleep(rest_s)
            for _ in range(2):
                fault(cluster, rng)
                cluster.wait_ready()
                time.sleep(rest_s)
        assert not pipelines.problems, f"seed {seed}: {pipelines.problems[:3]}"
        assert pipelines.done
