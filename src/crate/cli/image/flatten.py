"""`crate image flatten`: makes an image of one layer out of one with many."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the ID of the new image."""
    import crate.engine
    from crate.cli import output
    from crate.engine.files.commit import local_name
    from crate.image import flatten

    engine = crate.engine.open(options["globals"])
    names = [local_name(name) for name in options["tag"] or ()]
    made = flatten.flatten(
        engine.roots, options["image"], names, first=options["from_layer"], keep_history=bool(options["keep_history"])
    )
    output.line(made["id"])
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, many, text

    command(
        app,
        "flatten",
        main,
        argument("image", "IMAGE"),
        many("--tag", "-t", help="Name of the new image; without one it has only its ID", metavar="name"),
        text(
            "--from-layer",
            "--from",
            help="Lowest layer to merge: its place (1 is the lowest) or digest",
            metavar="layer",
        ),
        flag("--keep-history", help="Keep the steps of the merged layers in the history"),
        help="Make an image of one layer out of one with many",
        description="""
            Files, owners, attributes and configuration are those of IMAGE, which stays as it is. Layers below --from
            are layers of the new image too. The same image always gives the same digest.
        """,
        examples="""
            crate image flatten -t web:flat web
            crate image flatten --from 2 --keep-history -t web:two web
        """,
    )
