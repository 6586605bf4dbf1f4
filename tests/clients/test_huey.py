"""Huey: a consumer with two threads, priorities, results, locks and schedules.

Huey takes a job by BZPOPMIN, and it is gone then.
"""

from datetime import timedelta
from types import ModuleType

import pytest
from huey.exceptions import TaskException, TaskLockedException

from tests.clients.conftest import on
from tests.clients.jobs.failover import Failover
from tests.clients.jobs.workers import PATIENCE_S, Workplace, eventually

WORKER = (
    *("huey.bin.huey_consumer", "tests.clients.jobs.huey_app.app", "--workers=2", "--scheduler-interval=1"),
    *("--delay=0.05", "--max-delay=0.2"),
)


@pytest.fixture
def app(workplace: Workplace) -> ModuleType:
    return workplace.application("huey_app")


@on("standalone", "forward")
def test_the_life_of_jobs(workplace: Workplace, app: ModuleType) -> None:
    with workplace.worker(*WORKER, started="Huey consumer started"):
        later = app.run.schedule(("later",), delay=timedelta(seconds=1))
        retried = app.retried("retried")
        failed = app.fails()
        assert app.add(1, 2).get(blocking=True, timeout=PATIENCE_S) == 3
        chained = app.app.enqueue(app.add.s(1, 2).then(app.add, 4))
        assert chained.get(blocking=True, timeout=PATIENCE_S) == [3, 7]
        assert app.add.map([(number, 1) for number in range(5)]).get(blocking=True) == [1, 2, 3, 4, 5]
        with pytest.raises(TaskException, match="as it always does"):
            failed.get(blocking=True, timeout=PATIENCE_S)
        assert retried.get(blocking=True, timeout=PATIENCE_S) == 2
        eventually(lambda: workplace.runs["later"] == 1, f"{later} runs")


@on("standalone", "forward")
def test_jobs_that_nobody_has_taken(app: ModuleType) -> None:
    with app.app.lock_task("mine"), pytest.raises(TaskLockedException), app.app.lock_task("mine"):
        pass
    low, high = app.add(1, 1), app.add(2, 2)
    app.app.enqueue(app.add.s(3, 3, priority=50))
    assert [task.args for task in app.app.pending()] == [(3, 3), (1, 1), (2, 2)]
    low.revoke()
    assert low.is_revoked()
    assert not high.is_revoked()
    app.app.flush()
    assert len(app.app) == 0


def test_the_leader_is_killed(failover: Failover) -> None:
    with failover.factory.worker(*WORKER, started="Huey consumer started"):
        failover.make(failover.office.application("huey_app").run)
        failover.check()
