"""`crate attach`: joins the streams of a container that runs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """The exit status of the container's command, or 0 after the detach keys."""
    import crate.engine
    from crate.cli import output, targets
    from crate.engine import attach

    engine = crate.engine.open(options["globals"], warn=output.warn)
    engine.show_diagnosis = output.diagnosis
    return attach.attach(engine, targets.one(engine, options), options)


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "attach",
        main,
        argument("container", "CONTAINER", required=False),
        text("--detach-keys", help="Override the key sequence for detaching a container"),
        flag("--no-stdin", help="Do not attach STDIN"),
        flag("--sig-proxy", help="Proxy all received signals to the process (default true)"),
        flag("--latest", "-l", help="Act on the container created last"),
        help="Attach local standard input, output, and error streams to a running container",
        description="""
            Shows what the container writes from now on, and passes on what is typed. ctrl-p ctrl-q leaves it, where
            the container has a terminal; it goes on. Otherwise the exit status is that of the container's command.
        """,
        examples="""
            crate attach web
            crate attach --no-stdin --sig-proxy=false web
        """,
    )
