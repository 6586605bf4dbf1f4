"""ioredis, the client of most programs in JavaScript: its Cluster with both routings, and its plain client.

Its newest version, and the one before it. ioredis.cjs is the program that uses it.
"""

from pathlib import Path

import pytest

from tests.clients.conftest import on
from tests.clients.programs import program, run
from tests.conformance.harness.servers import Server

pytestmark = pytest.mark.parametrize("package", ["ioredis", "ioredis5"])


@on("forward", "redirect")
def test_the_cluster_client(server: Server, javascript: Path, package: str) -> None:
    ports = map(str, server.ports)
    run(program("node"), "ioredis.cjs", package, "cluster", *ports, directory=javascript)


@on("standalone", "forward")
def test_the_plain_client(server: Server, javascript: Path, package: str) -> None:
    run(program("node"), "ioredis.cjs", package, "single", str(server.port), directory=javascript)
