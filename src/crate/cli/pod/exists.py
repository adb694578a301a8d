"""`crate pod exists`: tells by its exit status whether a pod is there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0 or 1."""
    from crate.cli import existence
    from crate.engine.pods import pod as pods

    return existence.status(options, lambda engine: pods.find(engine, options["pod"]))


def declare(app: Typer) -> None:
    from crate.cli import existence

    existence.declare(app, main, "pod", "crate pod exists web || crate pod create web")
