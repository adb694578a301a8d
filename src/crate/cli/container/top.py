"""`crate top`: shows the processes of a container."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints a heading and one line a process."""
    import crate.engine
    from crate.cli import targets
    from crate.engine.usage import top

    engine = crate.engine.open(options["globals"])
    words = list(options["words"] or [])
    if options["latest"]:
        words = [*([options["container"]] if options["container"] else []), *words]
        options["container"] = None
    show(top.top(engine, targets.one(engine, options), words))
    return 0


def show(rows: list[list[str]]) -> None:
    """Prints a table."""
    from crate.cli import formats, output

    output.write(formats.table(rows))


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "top",
        main,
        argument("container", "CONTAINER", required=False),
        argument("words", "[DESCRIPTOR...|PS OPTIONS]", required=False, several=True),
        flag("--latest", "-l", help="Act on the container created last"),
        stop_at_argument=True,
        help="Display the running processes of a container",
        description="""
            Descriptors are podman's: user pid ppid pcpu etime tty time args (the default), comm group groups hgroup
            hgroups hpid huser label nice pgid rgroup rss ruser seccomp state stime vsz, capamb capbnd capeff capinh
            capprm, and the AIX ones of ps(1) such as %C. Pids and users are those of the container.

            Options of ps(1), such as -ef, aux or -o pid,user,comm, are docker's way: pids and users are then those of
            the host. No program of the container is run.
        """,
        examples="""
            crate top web
            crate top web user,pid,capeff
            crate top web -o pid,user,comm
        """,
    )
