"""`crate volume exists`: tells by its exit status whether a volume is there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0 or 1."""
    from crate.cli import existence
    from crate.engine import volumes

    return existence.status(options, lambda engine: volumes.find(engine, options["volume"]))


def declare(app: Typer) -> None:
    from crate.cli import existence

    existence.declare(app, main, "volume", "crate volume exists data || crate volume create data")
