"""`crate pod logs`: shows what the containers of a pod wrote to their output."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0 at the end of the logs, or of the containers with --follow."""
    import crate.engine
    from crate.cli.container import logs
    from crate.cli.pod import targets
    from crate.errors import NotFoundError

    engine = crate.engine.open(options["globals"])
    (pod,) = targets.found(engine, {**options, "pods": [options["pod"]] if options["pod"] else []})
    chosen, wanted = pod.others, options["container"]
    if wanted:
        chosen = [one for one in chosen if one.name == wanted or one.id.startswith(wanted)]
        if not chosen:
            raise NotFoundError(f'no container "{wanted}" in pod {pod.name}')
    logs.show(engine, chosen, options)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.container import logs
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "logs",
        main,
        argument("pod", "[POD]", required=False),
        text("--container", "-c", help="Show the log of one container, by name or ID", metavar="container"),
        text("--tail", help='Number of lines to show from the end of the logs (default "all")'),
        flag("--names", "-n", help="Show the names of the containers before each line instead of their IDs"),
        flag("--latest", "-l", help="Act on the pod created last"),
        *logs.rows(),
        help="Fetch the logs of the containers of a pod",
        examples="""
            crate pod logs -f --names web
        """,
    )
