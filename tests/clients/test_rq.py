"""RQ: a worker with its scheduler, and the life of jobs.

RQ's keys have a prefix of ours with a hash tag (rq_app.py). It moves a job by BLMOVE into a list of its own, and
everything after that is in MULTI/EXEC and scripts.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from redis import Redis

from tests.clients.conftest import on
from tests.clients.jobs import rq_app
from tests.clients.jobs.failover import Failover
from tests.clients.jobs.workers import Workplace, eventually

from rq import Queue, Repeat, Retry  # isort: skip  # rq_app tells it the prefix first
from rq.job import Job, JobStatus  # isort: skip

WORKER = ("rq.cli", "worker", "--worker-class", "rq.SimpleWorker", "--with-scheduler", "--url")


@pytest.fixture
def queue(workplace: Workplace) -> Iterator[Queue]:
    with Redis.from_url(workplace.url) as connection:
        yield Queue(connection=connection)


@on("standalone", "forward")
def test_the_life_of_jobs(workplace: Workplace, queue: Queue) -> None:
    with workplace.worker(*WORKER, workplace.url, started="Listening on"):
        later = queue.enqueue_in(timedelta(seconds=1), rq_app.run, "later")
        first = queue.enqueue(rq_app.add, 1, 2)
        after = queue.enqueue(rq_app.add, 3, 4, depends_on=first)
        retried = queue.enqueue(rq_app.retried, "retried", retry=Retry(max=2))
        failed = queue.enqueue(rq_app.fails)
        many = queue.enqueue_many([Queue.prepare_data(rq_app.run, (number,)) for number in range(10)])
        repeated = queue.enqueue(rq_app.run, "repeated", repeat=Repeat(times=2))
        wait_for(JobStatus.FINISHED, first, after, retried, *many)
        wait_for(JobStatus.FAILED, failed)
        assert (first.return_value(), after.return_value(), retried.return_value()) == (3, 7, 2)
        assert "as it always does" in str(failed.latest_result().exc_string)
        assert failed.id in queue.failed_job_registry
        eventually(lambda: workplace.runs["repeated"] == 3, "the job is repeated")
        wait_for(JobStatus.FINISHED, later, repeated)
    assert all(workplace.runs[str(number)] == 1 for number in range(10))
    assert queue.count == 0


@on("standalone", "forward")
def test_jobs_that_nobody_has_taken(queue: Queue) -> None:
    first, second, third = (queue.enqueue(rq_app.add, number, 1) for number in range(3))
    assert queue.job_ids == [first.id, second.id, third.id]
    first.cancel()
    second.delete()
    assert queue.job_ids == [third.id]
    assert Job.fetch(first.id, connection=queue.connection).is_canceled
    assert Job.exists(second.id, connection=queue.connection) is False
    assert queue.empty() == 1


def wait_for(status: JobStatus, *jobs: Job) -> None:
    for job in jobs:
        eventually(lambda job=job: job.get_status() == status, f"{job} is {status}")


def test_the_leader_is_killed(failover: Failover) -> None:
    url = failover.factory.url
    with failover.factory.worker(*WORKER, url, started="Listening on"):
        with Redis.from_url(failover.office.url) as connection:
            queue = Queue(connection=connection)
            failover.make(lambda number: queue.enqueue(rq_app.run, number))
        failover.check()
