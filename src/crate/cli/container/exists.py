"""`crate container exists`: tells by its exit status whether a container is there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0 or 1."""
    from crate.cli import existence
    from crate.engine import containers

    return existence.status(options, lambda engine: containers.find(engine, options["container"]))


def declare(app: Typer) -> None:
    from crate.cli import existence
    from crate.cli.options import flag

    external = flag("--external", help="Accepted for podman's scripts", hidden=True)
    existence.declare(app, main, "container", "crate container exists web || crate run -d --name web nginx", external)
