"""What this server calls itself."""

from importlib.metadata import PackageNotFoundError, version

from resp import requests

REDIS_VERSION = "7.2.4"
"""The Redis whose commands clients may expect; what Valkey reports as well."""
SERVER_NAME = "redraft"
COMPATIBLE = ("redis", "7.4.0")
"""What HELLO says instead with `extended-redis-compatibility yes`, for clients that ask whom they talk to: Redis 7.4 is
the first that redis-py caches replies of."""

BUILD = "interpreted" if requests.__file__.endswith(".py") else "compiled"
"""Whether the path of a request is native code, see setup.py."""

try:
    REDRAFT_VERSION = version("redraft")
except PackageNotFoundError:
    REDRAFT_VERSION = "0.0.0+source"
    """Run from a source tree that is not installed."""
