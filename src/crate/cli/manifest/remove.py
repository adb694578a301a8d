"""`crate manifest remove`: takes an image out of a manifest list."""

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
    output.line(manifest_entries.take_out(engine.roots, options["list"], options["image"])["id"])
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command

    command(
        app,
        "remove",
        main,
        argument("list", "MANIFEST_LIST"),
        argument("image", "IMAGE"),
        help="Take an image out of a manifest list",
        description="IMAGE is the digest of an entry, or a name of its image.",
        examples="""
            crate manifest remove web:1 sha256:0123…
        """,
    )
