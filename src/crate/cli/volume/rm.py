"""`crate volume rm`: removes volumes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or the gravest of 1 (no such volume), 2 (in use) and 125."""
    import crate.engine
    from crate.cli import app, output
    from crate.engine import volumes
    from crate.errors import CrateError, NotFoundError, StateError, UsageError

    names = options["volumes"] or []
    if bool(names) == bool(options["all"]):
        raise UsageError("choose either --all or one or more volumes")
    engine = crate.engine.open(options["globals"])
    if options["all"]:
        names = [record["name"] for record in volumes.listing(engine)]
    status = 0
    for name in names:
        try:
            volumes.remove(engine, name, force=bool(options["force"]), timeout=options["timeout"])
        except NotFoundError as error:
            if not options["force"]:
                app.report(error)
                status = max(status, 1)
        except CrateError as error:
            app.report(error)
            status = max(status, 2 if isinstance(error, StateError) else error.exit_status)
        else:
            output.line(name)
    return status


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, number

    command(
        app,
        "rm",
        main,
        argument("volumes", "VOLUME [VOLUME...]", required=False, several=True),
        flag("--all", "-a", help="Remove all volumes"),
        flag("--force", "-f", help="Remove the containers that use the volume, too; ignore volumes that do not exist"),
        number("--timeout", "-t", "--time", help="Seconds to wait before killing a container (default 10)"),
        help="Remove one or more volumes",
        examples="""
            crate volume rm data
        """,
    )
