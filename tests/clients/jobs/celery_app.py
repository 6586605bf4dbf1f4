"""An application with Celery: broker and results, both with a prefix that has a hash tag.

The transport's intervals are shorter than by default, for the tests' sake.
"""

import os

from celery import Celery
from celery.app.task import Task

from tests.clients.jobs.ran import at_the_second_try, ran
from tests.clients.jobs.workers import URL

url = os.environ[URL]
app = Celery("celery_app", broker=url, backend=url)
options = {"global_keyprefix": "{celery}"}
app.conf.update(
    broker_transport_options={**options, "polling_interval": 0.1},
    result_backend_transport_options=options,
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
)


@app.task
def add(first: int, second: int) -> int:
    """A job with a result."""
    return first + second


@app.task
def total(numbers: list[int]) -> int:
    """What a chord ends in."""
    return sum(numbers)


@app.task(ignore_result=True)
def run(number: int) -> None:
    """A job that says that it ran."""
    ran(number)


@app.task(bind=True, autoretry_for=(ValueError,), default_retry_delay=0.2)
def retried(self: Task, name: str) -> int:
    """A job that fails once."""
    return at_the_second_try(name)


@app.task
def fails() -> None:
    """A job that fails always."""
    raise ValueError("as it always does")
