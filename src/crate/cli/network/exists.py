"""`crate network exists`: tells by its exit status whether a network is there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0 or 1."""
    from crate.cli import existence
    from crate.engine.networks import verbs as networks

    return existence.status(options, lambda engine: networks.find(engine, options["network"]))


def declare(app: Typer) -> None:
    from crate.cli import existence

    existence.declare(app, main, "network", "crate network exists podman")
