"""`crate image exists`: tells by its exit status whether an image is there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0 or 1."""
    import crate.engine
    from crate.image import local

    engine = crate.engine.open(options["globals"])
    return 0 if local.find(engine.roots, options["image"]) else 1


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command

    command(
        app,
        "exists",
        main,
        argument("image", "IMAGE"),
        help="Check whether an image exists",
        description="The exit status is 0 when it exists, 1 when it does not.",
        examples="""
            crate image exists alpine || crate pull alpine
        """,
    )
