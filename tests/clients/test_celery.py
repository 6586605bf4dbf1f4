"""Celery: a worker, its broker and its results; groups, chains and chords.

Celery takes a job by BRPOP and notes it as not acknowledged in a second command.
"""

import gc
from collections.abc import Iterator
from types import ModuleType

import pytest
from celery import chain, chord, group
from celery.exceptions import TimeoutError as NotYet

from tests.clients.conftest import on
from tests.clients.jobs.failover import Failover
from tests.clients.jobs.workers import PATIENCE_S, Workplace, eventually

WORKER = (
    *("celery", "-A", "tests.clients.jobs.celery_app", "worker", "--pool=threads", "--concurrency=2"),
    *("--loglevel=INFO", "--without-gossip", "--without-mingle"),
)


@pytest.fixture
def app(workplace: Workplace) -> Iterator[ModuleType]:
    module = workplace.application("celery_app")
    yield module
    gc.collect()  # results say goodbye to their server, which must be there then
    module.app.backend.result_consumer.stop()  # it listens for results
    module.app.close()


@on("standalone", "forward")
def test_the_life_of_jobs(workplace: Workplace, app: ModuleType) -> None:
    with workplace.worker(*WORKER, started=" ready."):
        app.run.apply_async(("later",), countdown=1)
        retried = app.retried.delay("retried")
        failed = app.fails.delay()
        assert app.add.delay(1, 2).get(PATIENCE_S) == 3
        assert chain(app.add.s(1, 2), app.add.s(4))().get(PATIENCE_S) == 7
        assert group(app.add.s(number, 1) for number in range(5))().get(PATIENCE_S) == [1, 2, 3, 4, 5]
        assert chord([app.add.s(number, 1) for number in range(5)], app.total.s())().get(PATIENCE_S) == 15
        with pytest.raises(ValueError, match="as it always does"):
            failed.get(PATIENCE_S)
        assert retried.get(PATIENCE_S) == 2
        eventually(lambda: workplace.runs["later"] == 1, "it runs")
        replies = eventually(lambda: app.app.control.ping(timeout=1.0), "the worker answers")
        assert [list(reply.values()) for reply in replies] == [[{"ok": "pong"}]]


@on("standalone", "forward")
def test_jobs_that_nobody_has_taken(app: ModuleType) -> None:
    app.run.delay(1)
    result = app.add.delay(1, 2)
    with pytest.raises(NotYet):
        result.get(timeout=0.1)
    result.forget()
    assert app.app.control.purge() == 2


def test_the_leader_is_killed(failover: Failover) -> None:
    with failover.factory.worker(*WORKER, started=" ready."):
        failover.make(failover.office.application("celery_app").run.delay)
        failover.check()
