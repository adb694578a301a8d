"""`crate network connect`: connects a container, running or not, to a network."""

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
    connecting.connect(engine, container, options["network"], options)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, commas, text

    command(
        app,
        "connect",
        main,
        argument("network", "NETWORK"),
        argument("container", "CONTAINER"),
        commas("--alias", help="Add a network-scoped alias for the container", metavar="name"),
        text("--ip", help="IPv4 address on this network", metavar="address"),
        text("--ip6", help="IPv6 address on this network", metavar="address"),
        text("--mac-address", help="MAC address on this network", metavar="address"),
        help="Connect a container to a network",
        examples="""
            crate network connect back web
            crate network connect --ip 10.89.7.20 --alias db lab store
        """,
    )
