"""`crate tag`: gives an image further names."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints nothing."""
    import crate.engine
    from crate.image import tag

    engine = crate.engine.open(options["globals"])
    tag.tag(engine.roots, options["image"], options["names"])
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command

    command(
        app,
        "tag",
        main,
        argument("image", "SOURCE_IMAGE[:TAG]"),
        argument("names", "TARGET_IMAGE[:TAG] [TARGET_IMAGE...]", several=True),
        help="Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
        examples="""
            crate tag alpine registry.example/alpine:mine
        """,
    )
