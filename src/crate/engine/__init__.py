"""The verbs: create, start, run, exec, stop, remove, logs, inspect; container records; the monitor."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.context import Engine, Pull, Warn


def open(options: dict[str, Any], pull: Pull | None = None, warn: Warn | None = None) -> Engine:
    """The engine of the global options `root`, `runroot` … (None: the defaults). `pull` and `warn`: see context.py."""
    from crate.engine.context import open_engine

    return open_engine(options, pull, warn)
