"""How many examples a property is tried with."""

from __future__ import annotations

import os


def is_exploring() -> bool:
    """Whether new examples are looked for (CRATE_TEST_SEED is set), instead of the same ones in each run."""
    return bool(os.environ.get("CRATE_TEST_SEED"))


def examples(count: int) -> int:
    """All of `count` where new ones are looked for; a third where it would be the same ones again."""
    return count if is_exploring() else -(-count // 3)
