"""What the unit tests share: examples of hypothesis that are the same each time, however long each takes."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from examples import examples, is_exploring

settings.register_profile(
    "suite",
    max_examples=examples(100),
    deadline=None,
    derandomize=not is_exploring(),
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("suite")
