"""A cluster of real nodes stands random requests of several clients, and its replicas agree afterwards."""

from pathlib import Path

from tests.conformance.harness.servers import cluster
from tests.fuzz.clients import fuzz_servers


def test_three_nodes_stand_random_requests(tmp_path: Path) -> None:
    with cluster(tmp_path) as server:
        fuzz_servers(server.ports, 1, 6000)
