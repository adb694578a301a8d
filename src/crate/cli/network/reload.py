"""`crate network reload`: puts the firewall's rules in again, after another tool flushed them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the ids of the running containers that were named."""
    import crate.engine
    from crate.cli import output, targets
    from crate.engine import containers
    from crate.engine.networks import verbs as networks

    named = options["containers"] or options["all"] or options["latest"]
    if named:
        targets.check(options)
    engine = crate.engine.open(options["globals"])
    chosen = targets.choose(engine, options, ("running", "paused")) if named else []
    found = [container or containers.find(engine, name) for name, container in chosen]
    networks.reload(engine)
    for container in found:
        output.line(container.id)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "reload",
        main,
        argument("containers", "[CONTAINER...]", required=False, several=True),
        flag("--all", "-a", help="Print the ids of all running containers"),
        flag("--latest", "-l", help="Act on the newest container"),
        help="Put the firewall's rules in again",
        description="The rules of all networks of this host go in at once: no container need be named.",
        examples="""
            crate network reload
            crate network reload --all
        """,
    )
