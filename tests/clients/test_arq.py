"""arq: jobs, retries, delays, aborts, results.

Its keys have fixed names, so that a cluster needs a single shard group for it. It wants an older redis-py than the
other libraries: pip installs both into a temporary directory.
"""

import sys
from pathlib import Path

import pytest

from tests.clients.conftest import on
from tests.clients.jobs.failover import JOBS, Failover
from tests.clients.jobs.workers import Workplace
from tests.clients.programs import installed, run

APPLICATION = "tests.clients.jobs.arq_app"
WORKER = ("arq", f"{APPLICATION}.Worker")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where arq is installed."""
    where = tmp_path_factory.mktemp("arq")
    installed(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--upgrade"),
        *("--target", str(where), "arq>=0.26", "redis>=5,<6"),
        directory=where,
    )
    return where


@on("standalone")
def test_the_life_of_jobs(workplace: Workplace, packages: Path) -> None:
    live(workplace, workplace, packages)


def test_the_life_of_jobs_on_a_cluster(failover: Failover, packages: Path) -> None:
    live(failover.office, failover.factory, packages)


def live(office: Workplace, factory: Workplace, packages: Path) -> None:
    office.packages = factory.packages = [packages]
    with factory.worker(*WORKER, started="Starting worker"):
        run(sys.executable, "-m", APPLICATION, "life", environment=office.environment)
    assert factory.runs == {"later": 1}


def test_the_leader_is_killed(failover: Failover, packages: Path) -> None:
    failover.factory.packages = failover.office.packages = [packages]
    produce = (sys.executable, "-m", APPLICATION, "produce", str(JOBS))
    with failover.factory.worker(*WORKER, started="Starting worker"):
        with failover.killing():
            run(*produce, environment=failover.office.environment)
        failover.check()
