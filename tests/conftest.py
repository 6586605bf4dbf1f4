"""For all tests."""

from hypothesis import HealthCheck, settings

# A machine that has much else to do is no reason to fail.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
