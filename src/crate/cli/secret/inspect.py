"""`crate secret inspect`: what is known of secrets, as JSON; the value only on request."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them does not exist (what exists is printed all the same)."""
    import crate.engine
    from crate.cli import app, formats, inspecting, output
    from crate.engine import secrets
    from crate.errors import CrateError

    engine = crate.engine.open(options["globals"])
    found, failures = [], []
    for name in options["names"]:
        try:
            found.append(secrets.inspect(engine, name, show=bool(options["showsecret"])))
        except CrateError as error:
            failures.append(error)
    if options["pretty"]:
        output.write("\n".join(formats.indented(value) for value in found))
    else:
        output.write(inspecting.shown(found, options["format"]))
    for failure in failures:
        app.report(failure)
    return max((failure.exit_status for failure in failures), default=0)


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "inspect",
        main,
        argument("names", "SECRET [SECRET...]", several=True),
        text("--format", "-f", help='Format output using a Go template or "json"', metavar="template"),
        flag("--pretty", help="Print the facts as lines for people"),
        flag("--showsecret", help="Show the value, too"),
        help="Display detailed information on one or more secrets",
        examples="""
            crate secret inspect token
            crate secret inspect --showsecret --format '{{.SecretData}}' token
        """,
    )
