"""`crate pod stop`: stops the containers of pods."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them could not be stopped; stopping one that does not run is no failure."""
    from crate.cli.pod import targets
    from crate.engine.pods import verbs as pod_verbs

    return targets.each(options, lambda engine, pod: pod_verbs.stop(engine, pod, options["timeout"]))


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, number
    from crate.cli.pod import targets

    command(
        app,
        "stop",
        main,
        *targets.rows("Stop"),
        flag("--ignore", "-i", help="Ignore pods that do not exist"),
        number("--timeout", "-t", "--time", help="Seconds to wait before killing the containers (default 10)"),
        help="Stop one or more pods",
        examples="""
            crate pod stop -t 2 web
        """,
    )
