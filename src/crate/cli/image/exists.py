"""`crate image exists`: tells by its exit status whether an image is there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0 or 1."""
    from crate.cli import existence
    from crate.image import local

    return existence.status(options, lambda engine: local.find(engine.roots, options["image"]))


def declare(app: Typer) -> None:
    from crate.cli import existence

    existence.declare(app, main, "image", "crate image exists alpine || crate pull alpine")
