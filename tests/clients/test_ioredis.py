"""ioredis, the client of most programs in JavaScript: its Cluster with both routings, and its plain client.

It is installed with npm into a temporary directory; ioredis.cjs is the program that uses it.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import on
from tests.clients.programs import TIMEOUT_S, missing, program, run
from tests.conformance.harness.servers import Server

VERSION = "5"


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where ioredis is installed, next to the program."""
    npm = program("npm")
    where = tmp_path_factory.mktemp("ioredis")
    installed = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", f"ioredis@{VERSION}"],
        cwd=where,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if installed.returncode:
        missing(f"npm can not install ioredis: {installed.stderr[-500:]}")
    shutil.copy(Path(__file__).with_name("ioredis.cjs"), where)
    return where


@on("forward", "redirect")
def test_the_cluster_client(server: Server, directory: Path) -> None:
    run(program("node"), "ioredis.cjs", "cluster", *map(str, server.ports), directory=directory)


@on("standalone", "forward")
def test_the_plain_client(server: Server, directory: Path) -> None:
    run(program("node"), "ioredis.cjs", "single", str(server.port), directory=directory)
