"""`crate wait`: waits until containers have ended and prints their exit statuses."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.engine.containers import Container
    from crate.engine.context import Engine


def main(options: dict[str, Any]) -> int:
    """Prints one exit status a container, in the order of the arguments; with --ignore -1 for one that is not there."""
    from crate.cli import output, targets
    from crate.engine import wait
    from crate.errors import NotFoundError

    interval = wait.POLL_SECONDS if options["interval"] is None else _seconds(options["interval"])

    def act(engine: Engine, container: Container) -> None:
        output.line(str(wait.wait(engine, container, options["condition"] or [], interval)))

    def missing(error: NotFoundError) -> None:
        output.line("-1")

    return targets.each(options, act, quiet=True, missing=missing)


def _seconds(text: str) -> float:
    """Podman's: a duration, or a number of milliseconds."""
    from crate.errors import UsageError
    from crate.oci.moment import duration

    span = duration(f"{text}ms" if text.isascii() and text.isdigit() else text)
    if span is None:
        raise UsageError(f'invalid interval "{text}"', "as 250ms, 5s or a number of milliseconds")
    return max(span / 1e9, 0.001)


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, commas, flag, text

    command(
        app,
        "wait",
        main,
        argument("containers", "CONTAINER [CONTAINER...]", required=False, several=True),
        commas(
            "--condition",
            help='State to wait for ("created", "running", "paused", "stopped", "healthy", "removed", …; '
            'default "stopped")',
            metavar="state",
        ),
        flag("--ignore", help="Print -1 for containers that do not exist"),
        flag("--latest", "-l", help="Act on the container created last"),
        text("--interval", "-i", help="Time between two looks at a state, other than the end (default 100ms)"),
        help="Block until one or more containers stop, then print their exit codes",
        examples="""
            crate wait job
            crate wait --condition running,exited job
        """,
    )
