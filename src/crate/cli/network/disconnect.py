"""`crate network disconnect`: takes a container, running or not, off a network."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0."""
    import crate.engine
    from crate.engine import containers
    from crate.engine.networks import connecting

    engine = crate.engine.open(options["globals"])
    container = containers.find(engine, options["container"])
    connecting.disconnect(engine, container, options["network"], force=bool(options["force"]))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "disconnect",
        main,
        argument("network", "NETWORK"),
        argument("container", "CONTAINER"),
        flag("--force", "-f", help="Also from a network that does not exist any more"),
        help="Disconnect a container from a network",
        examples="""
            crate network disconnect back web
        """,
    )
