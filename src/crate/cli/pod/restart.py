"""`crate pod restart`: stops and starts the containers of pods."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them could not be restarted."""
    from crate.cli.pod import targets
    from crate.engine.pods import verbs as pod_verbs

    return targets.each(options, lambda engine, pod: pod_verbs.restart(engine, pod, options["timeout"]))


def declare(app: Typer) -> None:
    from crate.cli.options import command, number
    from crate.cli.pod import targets

    command(
        app,
        "restart",
        main,
        *targets.rows("Restart"),
        number("--timeout", "-t", "--time", help="Seconds to wait before killing the containers (default 10)"),
        help="Restart one or more pods",
        examples="""
            crate pod restart web
        """,
    )
