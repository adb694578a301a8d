"""`crate healthcheck run`: checks the health of a container now."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0 when the check succeeds, 1 when it fails, 125 when there is none or the container does not run."""
    import crate.engine
    from crate.cli import output
    from crate.engine import containers
    from crate.engine.health import check as health

    engine = crate.engine.open(options["globals"])
    healthy = health.run(engine, containers.find(engine, options["container"]))
    if not healthy:
        output.line("unhealthy")
    return 0 if healthy else 1


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command

    command(
        app,
        "run",
        main,
        argument("container", "CONTAINER"),
        help="Run the health check of a container",
        examples="""
            crate healthcheck run web
        """,
    )
