"""An application with arq: `life` is a producer's whole story, `produce COUNT` enqueues so many jobs.

It runs in processes of its own, since arq wants an older redis-py than these tests; its worker's settings are `Worker`.
"""

import asyncio
import os
import sys
from datetime import timedelta
from typing import Any

import pytest
from arq import Retry, create_pool
from arq.connections import RedisSettings
from arq.jobs import JobStatus

from tests.clients.jobs.ran import ran

settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])
Context = dict[Any, Any]


async def add(_: Context, first: int, second: int) -> int:
    """A job with a result."""
    return first + second


async def run(_: Context, number: int) -> None:
    """A job that says that it ran."""
    ran(number)


async def retried(context: Context) -> int:
    """A job that asks to be tried again."""
    if context["job_try"] == 1:
        raise Retry
    return context["job_try"]


async def fails(_: Context) -> None:
    """A job that fails always."""
    raise ValueError("as it always does")


async def lasts(_: Context) -> None:
    """A job that would never end."""
    await asyncio.sleep(1000)


class Worker:
    """What `arq` is given."""

    functions = (add, run, retried, fails, lasts)
    redis_settings = settings
    allow_abort_jobs = True
    poll_delay = 0.05


async def life() -> None:
    """Every job of a worker that runs somewhere."""
    pool = await create_pool(settings)
    later = await pool.enqueue_job("run", "later", _defer_by=timedelta(seconds=3))
    assert await later.status() == JobStatus.deferred
    once = await pool.enqueue_job("add", 1, 2, _job_id="once")
    assert await pool.enqueue_job("add", 1, 2, _job_id="once") is None
    assert await once.result(timeout=100, poll_delay=0.02) == 3
    assert await (await pool.enqueue_job("retried")).result(timeout=100, poll_delay=0.02) == 2
    failed = await pool.enqueue_job("fails")
    with pytest.raises(ValueError, match="as it always does"):
        await failed.result(timeout=100, poll_delay=0.02)
    lasting = await pool.enqueue_job("lasts")
    while await lasting.status() != JobStatus.in_progress:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert await lasting.abort(timeout=100, poll_delay=0.02)
    await later.result(timeout=100, poll_delay=0.02)
    assert {result.function for result in await pool.all_job_results()} == {
        *("add", "retried", "fails", "lasts", "run")
    }
    assert await pool.queued_jobs() == []


async def produce(count: int) -> None:
    """A job every 10 ms."""
    pool = await create_pool(settings)
    for number in range(count):
        await pool.enqueue_job("run", number)
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(life() if sys.argv[1] == "life" else produce(int(sys.argv[2])))
