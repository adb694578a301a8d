"""What the kernel gives to nobody but root: the tests that `--rootless` skips, each with the reason."""

from __future__ import annotations

#: a test file, or one test of it -> the reason
REASONS: dict[str, str] = {}


def why_not(test: str) -> str | None:
    """The reason why an ordinary user cannot pass a test (`cli/test_x.py::test_y[z]`), or None where it can."""
    file, _, name = test.partition("::")
    plain = name.partition("[")[0]
    for key in (test, f"{file}::{plain}", file, file.partition("/")[0]):
        if key in REASONS:
            return REASONS[key]
    return None
