"""What the calling process may do, for those who ask: python-prctl reads it and knows the names."""

from __future__ import annotations

from crate.linux.capability import NAMES


def effective_capabilities() -> list[str]:
    """The names (`CAP_…`, capabilities(7)) of this process's effective capabilities, those that python-prctl knows."""
    import prctl

    have = prctl.cap_effective
    return [f"CAP_{name}" for name in NAMES if getattr(have, name.lower(), False)]
