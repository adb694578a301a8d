"""`crate secret create`: keeps a value for containers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints its id."""
    import crate.engine
    from crate.cli import output
    from crate.engine import secrets

    engine = crate.engine.open(options["globals"])
    output.line(secrets.create(engine, options))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, many, text

    command(
        app,
        "create",
        main,
        argument("name", "NAME"),
        argument("file", "FILE|-"),
        text("--driver", "-d", help='Secret driver: "file" is the only one'),
        many("--driver-opts", help="Options of the driver; file has none", metavar="key=value"),
        flag("--env", help="FILE is the name of an environment variable that holds the value"),
        many("--label", "-l", help="Set metadata for a secret", metavar="key=value"),
        flag("--replace", help="Overwrite a secret of that name"),
        help="Create a secret from a file, standard input or an environment variable",
        description="The value lies in the store, in a file that its owner alone may read.",
        examples="""
            crate secret create token token.txt
            pass show token | crate secret create token -
            crate run --rm --secret token alpine cat /run/secrets/token
        """,
    )
