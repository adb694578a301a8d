"""`crate secret rm`: removes secrets."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them does not exist (the others are removed all the same)."""
    import crate.engine
    from crate.cli import app, output
    from crate.engine import secrets
    from crate.errors import CrateError, NotFoundError, UsageError

    names = options["secrets"] or []
    if bool(names) == bool(options["all"]):
        raise UsageError("choose either --all or one or more secrets")
    engine = crate.engine.open(options["globals"])
    if options["all"]:
        names = [record["id"] for record in secrets.listing(engine)]
    status = 0
    for name in names:
        try:
            output.line(secrets.remove(engine, name))
        except CrateError as error:
            if not (options["ignore"] and isinstance(error, NotFoundError)):
                app.report(error)
                status = max(status, error.exit_status)
    return status


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "rm",
        main,
        argument("secrets", "SECRET [SECRET...]", required=False, several=True),
        flag("--all", "-a", help="Remove all secrets"),
        flag("--ignore", "-i", help="Ignore secrets that do not exist"),
        help="Remove one or more secrets",
        description="Containers that were made with a secret keep what they were given.",
        examples="""
            crate secret rm token
        """,
    )
