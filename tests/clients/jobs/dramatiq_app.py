"""An application with dramatiq: broker and results, whose namespaces have a hash tag.

Its scripts name one key, the namespace, and touch others.
"""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.rate_limits import ConcurrentRateLimiter
from dramatiq.rate_limits.backends import RedisBackend as RateLimits
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend as ResultsBackend

from tests.clients.jobs.ran import at_the_second_try, ran
from tests.clients.jobs.workers import PATIENCE_S, URL

url = f"{os.environ[URL]}?socket_timeout={PATIENCE_S}"
app = RedisBroker(url=url, namespace="{dramatiq}")
app.add_middleware(Results(backend=ResultsBackend(url=url, namespace="{dramatiq}-results")))
dramatiq.set_broker(app)
one_at_a_time = ConcurrentRateLimiter(RateLimits(url=url), "{dramatiq}-limit", limit=1)


@dramatiq.actor(store_results=True)
def add(first: int, second: int) -> int:
    """A job with a result."""
    return first + second


@dramatiq.actor
def run(number: int) -> None:
    """A job that says that it ran."""
    ran(number)


@dramatiq.actor(store_results=True, max_retries=1, min_backoff=100)
def retried(name: str) -> int:
    """A job that fails once."""
    return at_the_second_try(name)


@dramatiq.actor(store_results=True, max_retries=0)
def fails() -> None:
    """A job that fails always."""
    raise ValueError("as it always does")
