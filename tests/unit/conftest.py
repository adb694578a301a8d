"""What the unit tests share: examples of hypothesis that are the same each time, however long each takes."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# CRATE_TEST_SEED, by which other tests draw other places, lets hypothesis look for new examples, too.
settings.register_profile(
    "suite", deadline=None, derandomize=not os.environ.get("CRATE_TEST_SEED"), suppress_health_check=list(HealthCheck)
)
settings.load_profile("suite")
