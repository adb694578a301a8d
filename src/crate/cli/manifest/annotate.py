"""`crate manifest annotate`: changes what a manifest list tells of an image."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the ID of the list."""
    import crate.engine
    from crate.cli import output
    from crate.image.manifest import entries as manifest_entries

    engine = crate.engine.open(options["globals"])
    output.line(manifest_entries.annotate(engine.roots, options["list"], options["image"], options)["id"])
    return 0


def declare(app: Typer) -> None:
    from crate.cli.manifest import registry
    from crate.cli.options import argument, command

    command(
        app,
        "annotate",
        main,
        argument("list", "MANIFEST_LIST"),
        argument("image", "IMAGE"),
        *registry.told_rows(),
        help="Change what a manifest list tells of an image",
        description="IMAGE is the digest of an entry, or a name of its image.",
        examples="""
            crate manifest annotate --arch arm64 --variant v8 web:1 sha256:0123…
        """,
    )
