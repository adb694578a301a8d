"""`crate network rm`: removes networks."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or the gravest of 1 (no such network), 2 (in use) and 125."""
    import crate.engine
    from crate.cli import app, output
    from crate.engine.networks import verbs as networks
    from crate.errors import CrateError, NotFoundError, StateError

    engine = crate.engine.open(options["globals"])
    status = 0
    for name in options["networks"]:
        try:
            output.line(networks.remove(engine, name, force=bool(options["force"]), timeout=options["timeout"]))
        except NotFoundError as error:
            if not options["force"]:
                app.report(error)
                status = max(status, 1)
        except CrateError as error:
            app.report(error)
            status = max(status, 2 if isinstance(error, StateError) else error.exit_status)
    return status


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, number

    command(
        app,
        "rm",
        main,
        argument("networks", "NETWORK [NETWORK...]", required=True, several=True),
        flag(
            "--force", "-f", help="Remove the containers that use the network, too; ignore networks that do not exist"
        ),
        number("--timeout", "-t", "--time", help="Seconds to wait before killing a container (default 10)"),
        help="Remove one or more networks",
        examples="""
            crate network rm back
        """,
    )
