"""dramatiq: a worker, delayed jobs, retries, results, pipelines, rate limits.

Everything that dramatiq does is one script: a job is either in its queue or in the worker's set of those that it has
not acknowledged.
"""

from types import ModuleType

import dramatiq
import pytest
from dramatiq.rate_limits import RateLimitExceeded
from dramatiq.results.errors import ResultFailure

from tests.clients.conftest import on
from tests.clients.jobs.failover import Failover
from tests.clients.jobs.workers import PATIENCE_S, Workplace, eventually

WORKER = ("dramatiq", "tests.clients.jobs.dramatiq_app:app", "--processes=1", "--threads=2", "--skip-logging")
WAIT = {"block": True, "timeout": int(PATIENCE_S * 1000)}


@pytest.fixture
def app(workplace: Workplace) -> ModuleType:
    return workplace.application("dramatiq_app")


@on("standalone", "forward")
def test_the_life_of_jobs(workplace: Workplace, app: ModuleType) -> None:
    with workplace.worker(*WORKER):
        app.run.send_with_options(args=("later",), delay=500)
        retried = app.retried.send("retried")
        failed = app.fails.send()
        assert app.add.send(1, 2).get_result(**WAIT) == 3
        assert dramatiq.pipeline([app.add.message(1, 2), app.add.message(4)]).run().get_result(**WAIT) == 7
        many = dramatiq.group([app.add.message(number, 1) for number in range(5)]).run()
        assert list(many.get_results(**WAIT)) == [1, 2, 3, 4, 5]
        with pytest.raises(ResultFailure, match="as it always does"):
            failed.get_result(**WAIT)
        assert retried.get_result(**WAIT) == 2
        eventually(lambda: workplace.runs["later"] == 1, "the delayed job runs")


@on("standalone", "forward")
def test_what_a_program_does_without_a_worker(app: ModuleType) -> None:
    for number in range(3):
        app.run.send(number)
    assert app.app.do_qsize("default") == 3
    app.app.flush_all()
    assert app.app.do_qsize("default") == 0
    with app.one_at_a_time.acquire(), pytest.raises(RateLimitExceeded), app.one_at_a_time.acquire():
        pass


def test_the_leader_is_killed(failover: Failover) -> None:
    with failover.factory.worker(*WORKER):
        failover.make(failover.office.application("dramatiq_app").run.send)
        failover.check()
