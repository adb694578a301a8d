"""`crate pod rm`: removes pods with their containers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or the gravest of 1 (no such pod) and 125."""
    from crate.cli.pod import targets
    from crate.engine.pods import verbs as pod_verbs
    from crate.errors import NotFoundError

    if options["force"]:
        options["ignore"] = True
    return targets.each(
        options,
        lambda engine, pod: pod_verbs.remove(engine, pod, force=bool(options["force"]), timeout=options["timeout"]),
        status_of=lambda error: 1 if isinstance(error, NotFoundError) else error.exit_status,
    )


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, number
    from crate.cli.pod import targets

    command(
        app,
        "rm",
        main,
        *targets.rows("Remove"),
        flag("--force", "-f", help="Remove the containers that run, too (uses SIGKILL)"),
        flag("--ignore", "-i", help="Ignore pods that do not exist"),
        number(
            "--timeout", "-t", "--time", help="With --force: seconds to wait before killing a container (default 0)"
        ),
        help="Remove one or more pods with their containers",
        examples="""
            crate pod rm web
            crate pod rm -fa
        """,
    )
