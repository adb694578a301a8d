"""`crate manifest add`: adds an image to a manifest list."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the ID of the list."""
    import crate.engine
    from crate.cli import output
    from crate.cli.manifest import registry
    from crate.image.manifest import entries as manifest_entries

    engine = crate.engine.open(options["globals"])
    given = registry.access(options)
    for image in options["images"]:
        found = manifest_entries.add(engine.roots, engine.settings, options["list"], image, given)
    output.line(found["id"])
    return 0


def declare(app: Typer) -> None:
    from crate.cli.manifest import registry
    from crate.cli.options import argument, command, flag

    command(
        app,
        "add",
        main,
        argument("list", "MANIFEST_LIST"),
        argument("images", "IMAGE [IMAGE...]", several=True),
        flag("--all", help="Add every image of an IMAGE that is a list itself, not the one for this host"),
        *registry.told_rows(),
        *registry.rows(),
        help="Add images to a manifest list",
        description="""
            IMAGE is one of the store or of a registry: looked for here first, unless it says docker://. Of an image for
            several platforms --os, --arch and --variant choose; of another they say what it is for.
        """,
        examples="""
            crate manifest add web:1 localhost/web-arm64
            crate manifest add --all web:1 docker://registry.example/web:0
        """,
    )
