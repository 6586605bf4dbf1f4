"""BullMQ: jobs, priorities, retries, delays, flows, schedulers, deduplication, events.

Everything that it does is a script; what they touch is often not among their keys. bullmq.cjs is the application.
"""

from pathlib import Path

from tests.clients.conftest import on
from tests.clients.jobs.failover import JOBS, Failover
from tests.clients.jobs.workers import Workplace
from tests.clients.programs import program, run


@on("standalone", "forward")
def test_the_life_of_jobs(workplace: Workplace, javascript: Path) -> None:
    run(program("node"), "bullmq.cjs", "life", directory=javascript, environment=workplace.environment)
    assert workplace.runs == {"later": 1, "often": 3, "once": 1}


def test_the_leader_is_killed(failover: Failover, javascript: Path) -> None:
    node = program("node")
    with failover.factory.process(node, "bullmq.cjs", "worker", started="ready", directory=javascript):
        produce = (node, "bullmq.cjs", "produce", str(JOBS))
        with failover.killing():
            run(*produce, directory=javascript, environment=failover.office.environment)
        failover.check()
