"""`crate pod top`: shows the processes of the containers of a pod."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints a heading and one line a process; the sandbox is left out."""
    import crate.engine
    from crate.cli.container.top import show
    from crate.cli.pod import targets
    from crate.engine.usage import top
    from crate.errors import StateError

    engine = crate.engine.open(options["globals"])
    names, words = [options["pod"]] if options["pod"] else [], list(options["words"] or [])
    if options["latest"]:
        names, words = [], [*names, *words]
    (pod,) = targets.found(engine, {"pods": names, "latest": options["latest"]})
    running = [member for member in pod.others if member.state(engine)["status"] in ("running", "paused")]
    if not running:
        raise StateError(f"pod {pod.name} has no running containers", f"crate pod start {pod.name}")
    tables = [top.top(engine, member, words) for member in running]
    show([tables[0][0], *(row for table in tables for row in table[1:])])
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "top",
        main,
        argument("pod", "POD", required=False),
        argument("words", "[DESCRIPTOR...|PS OPTIONS]", required=False, several=True),
        flag("--latest", "-l", help="Act on the pod created last"),
        stop_at_argument=True,
        help="Display the running processes of the containers of a pod",
        description="Descriptors and options are those of crate-top(1).",
        examples="""
            crate pod top web
            crate pod top web pid,user,args
        """,
    )
