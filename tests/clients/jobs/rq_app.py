"""An application with RQ: its jobs. All keys have a hash tag, so that they are in one shard group."""

import os

os.environ["RQ_KEY_PREFIX"] = "{rq}"  # RQ reads it when it is imported

from tests.clients.jobs.ran import at_the_second_try, ran


def add(first: int, second: int) -> int:
    """A job with a result."""
    return first + second


def run(number: int) -> None:
    """A job that says that it ran."""
    ran(number)


def retried(name: str) -> int:
    """A job that fails once."""
    return at_the_second_try(name)


def fails() -> None:
    """A job that fails always."""
    raise ValueError("as it always does")
