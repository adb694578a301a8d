"""`crate untag`: takes names away from an image."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints nothing; without names all names are taken away."""
    import crate.engine
    from crate.image import tag

    engine = crate.engine.open(options["globals"])
    tag.untag(engine.roots, options["image"], options["names"] or [])
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command

    command(
        app,
        "untag",
        main,
        argument("image", "IMAGE"),
        argument("names", "[NAME...]", required=False, several=True),
        help="Remove a name from a local image",
        examples="""
            crate untag registry.example/alpine:mine
        """,
    )
