"""For all tests."""

import gc
import os

from hypothesis import HealthCheck, settings

from server.scripting import interpreter

# A machine that has much else to do is no reason to fail, nor is chance: every run tries the same examples.
# REDRAFT_EXPLORE=1 tries others.
settings.register_profile(
    "patient",
    deadline=None,
    derandomize="REDRAFT_EXPLORE" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("patient")


def pytest_unconfigure() -> None:
    """Databases that nobody uses go while Python is whole: plyvel's complain when they go with it. Lua holds what its
    last scripts have used."""
    interpreter._interpreters.clear()
    gc.collect()
