"""`crate create`: makes a container without starting it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the ID."""
    import crate.engine
    from crate.cli import output
    from crate.cli.container.run import pull
    from crate.engine import create

    engine = crate.engine.open(options["globals"], pull, output.warn)
    output.line(create.create(engine, options))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.container import run_options
    from crate.cli.options import command

    command(
        app,
        "create",
        main,
        *run_options.rows(),
        stop_at_argument=True,
        help="Create a new container",
        examples="""
            crate create --name job -m 128m alpine sh -c 'echo done'
            crate start -a job
        """,
    )
