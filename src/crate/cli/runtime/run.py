"""`crate runtime run`: runs an OCI bundle."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """The exit status of the bundle's process."""
    import crate.engine
    from crate.engine import bundle

    engine = crate.engine.open(options["globals"])
    return bundle.run(engine, options["bundle"] or ".", options["id"])


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, text

    command(
        app,
        "run",
        main,
        argument("id", "ID"),
        text("--bundle", "-b", help="The bundle: a directory with config.json (default: here)", metavar="path"),
        help="Run an OCI bundle",
        description="""
            The bundle may be anybody's: it follows version 1 of the OCI runtime specification. The exit status is
            that of its process; 125, 126 and 127 as for `crate run`.
        """,
        examples="""
            crate runtime run --bundle ./bundle test
        """,
    )
