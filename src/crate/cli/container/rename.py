"""`crate rename`: gives a container another name."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0; prints nothing."""
    import crate.engine
    from crate.engine import containers, rename

    engine = crate.engine.open(options["globals"])
    rename.rename(engine, containers.find(engine, options["container"]), options["name"])
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command

    command(
        app,
        "rename",
        main,
        argument("container", "CONTAINER"),
        argument("name", "NEW_NAME"),
        help="Rename a container",
        description="A running container too: its hostname stays what it is.",
        examples="""
            crate rename web web-old
        """,
    )
