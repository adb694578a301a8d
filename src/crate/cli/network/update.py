"""`crate network update`: changes the DNS servers of a network."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints its name."""
    import crate.engine
    from crate.cli import output
    from crate.engine.networks import verbs as networks
    from crate.errors import UsageError

    add, drop = options["dns_add"] or [], options["dns_drop"] or []
    if not add and not drop:
        raise UsageError("nothing to change", "give --dns-add or --dns-drop")
    output.line(networks.update(crate.engine.open(options["globals"]), options["network"], add, drop))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, commas

    command(
        app,
        "update",
        main,
        argument("network", "NETWORK"),
        commas("--dns-add", help="Ask this server, too, for names that no container has", metavar="address"),
        commas("--dns-drop", help="Do not ask this server any more", metavar="address"),
        help="Change the DNS servers of a network",
        examples="""
            crate network update --dns-add 10.0.0.53 back
        """,
    )
