"""`crate diagnose`: shows what was refused to a container that runs, or ran, with --diagnose."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0; the report goes to standard output."""
    import crate.engine
    from crate.cli import output, refusals, targets
    from crate.engine.refusals import report
    from crate.errors import StateError
    from crate.oci import json

    engine = crate.engine.open(options["globals"])
    container = targets.one(engine, options)
    found = report.read(container.paths.files)
    if found is None:
        raise StateError(
            f"container {container.name} has no diagnosis", "give --diagnose to the run or create that makes it"
        )
    if options["json"]:
        output.line(json.dumps(found))
    else:
        refusals.show(found, 1, runs=container.state(engine)["status"] in ("running", "paused"))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "diagnose",
        main,
        argument("container", "CONTAINER", required=False),
        flag("--json", help="Print the report as JSON"),
        flag("--latest", "-l", help="Act on the container created last"),
        help="Show which calls of a container were refused, and by which rule",
        description="""
            The report of a container that was made with --diagnose: each distinct call that seccomp, a capability, the
            mode of a file, a mount or another rule refused, how often, and the options of which each would allow it.
            While the container runs it is what was seen so far; afterwards that of its last run.
        """,
        examples="""
            crate run -d --diagnose --name web nginx
            crate diagnose web
            crate diagnose --json web
        """,
    )
