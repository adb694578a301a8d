"""`crate image exists`: tells by its exit status whether an image is there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.storage.roots import Roots


def main(options: dict[str, Any]) -> int:
    """0 or 1."""
    from crate.cli import existence

    return existence.status(options, lambda engine: _find(engine.roots, options["image"]))


def _find(roots: Roots, text: str) -> object:
    from crate.image import local
    from crate.image.manifest import list as manifest_list

    return local.find(roots, text) or manifest_list.find(roots, text)


def declare(app: Typer) -> None:
    from crate.cli import existence

    existence.declare(app, main, "image", "crate image exists alpine || crate pull alpine")
