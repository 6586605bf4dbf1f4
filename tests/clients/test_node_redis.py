"""node-redis: its cluster client with both routings, its plain client and its pool, in RESP2 and RESP3.

node_redis.cjs is the program that uses it.
"""

from pathlib import Path

from tests.clients.conftest import on
from tests.clients.programs import program, run
from tests.conformance.harness.servers import Server


@on("forward", "redirect")
def test_the_cluster_client(server: Server, javascript: Path) -> None:
    run(program("node"), "node_redis.cjs", "cluster", *map(str, server.ports), directory=javascript)


@on("standalone", "forward")
def test_the_plain_client(server: Server, javascript: Path) -> None:
    run(program("node"), "node_redis.cjs", "single", str(server.port), directory=javascript)
