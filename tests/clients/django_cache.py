"""A Django cache by django-redis, as an application's settings would describe it.

Its key prefix puts all keys in one shard group: `set_many` is a transaction.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django_redis.cache import RedisCache

if not settings.configured:
    settings.configure(CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}})


@contextmanager
def django_cache(url: str) -> Iterator[RedisCache]:
    """A cache on the server with this address."""
    cache = RedisCache(
        url, {"KEY_PREFIX": "{app}", "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"}}
    )
    try:
        yield cache
    finally:
        cache.client.do_close_clients()
