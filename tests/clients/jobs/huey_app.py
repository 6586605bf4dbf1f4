"""An application with Huey: one of its Redis storages, whose name is a hash tag."""

import os

from huey import PriorityRedisExpireHuey

from tests.clients.jobs.ran import at_the_second_try, ran
from tests.clients.jobs.workers import PATIENCE_S, URL

url = f"{os.environ[URL]}?socket_timeout={PATIENCE_S}"
app = PriorityRedisExpireHuey("{huey}", url=url, clean_name=False, notify_result=True)


@app.task()
def add(first: int, second: int) -> int:
    """A job with a result."""
    return first + second


@app.task()
def run(number: int) -> None:
    """A job that says that it ran."""
    ran(number)


@app.task(retries=1, retry_delay=0)
def retried(name: str) -> int:
    """A job that fails once."""
    return at_the_second_try(name)


@app.task()
def fails() -> None:
    """A job that fails always."""
    raise ValueError("as it always does")
