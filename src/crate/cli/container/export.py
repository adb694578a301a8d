"""`crate export`: writes the file system of a container as a tar archive."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0."""
    import crate.engine
    from crate.cli import destination
    from crate.engine import containers
    from crate.engine.files import export

    engine = crate.engine.open(options["globals"])
    container = containers.find(engine, options["container"])
    destination.write(options["output"], "export", lambda fd: export.export(engine, container, fd))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, text

    command(
        app,
        "export",
        main,
        argument("container", "CONTAINER"),
        text("--output", "-o", help="Write to a file, instead of STDOUT", metavar="path"),
        help="Export a container's filesystem as a tar archive",
        description="What lies in volumes is not part of it.",
        examples="""
            crate export -o web.tar web
            crate export web | tar t
        """,
    )
