"""`crate manifest exists`: tells by its exit status whether a manifest list is there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0 or 1."""
    from crate.cli import existence
    from crate.image.manifest import list as manifest_list

    return existence.status(options, lambda engine: manifest_list.find(engine.roots, options["manifest"]))


def declare(app: Typer) -> None:
    from crate.cli import existence

    existence.declare(app, main, "manifest", "crate manifest exists web:1 || crate manifest create web:1")
