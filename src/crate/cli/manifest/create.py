"""`crate manifest create`: makes a list of images for several platforms."""

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
    found = manifest_entries.create(
        engine.roots, engine.settings, options["list"], options["images"] or [], registry.access(options)
    )
    output.line(found["id"])
    return 0


def declare(app: Typer) -> None:
    from crate.cli.manifest import registry
    from crate.cli.options import argument, command, flag

    command(
        app,
        "create",
        main,
        argument("list", "MANIFEST_LIST"),
        argument("images", "[IMAGE...]", required=False, several=True),
        flag("--all", help="Add every image of an IMAGE that is a list itself"),
        flag("--amend", "-a", help="Add to a list of this name, if there is one"),
        *registry.rows(),
        help="Create a manifest list",
        description="IMAGE is one of the store or of a registry: looked for here first, unless it says docker://.",
        examples="""
            crate manifest create web:1
            crate manifest create web:1 localhost/web-amd64 docker://registry.example/web-arm64
        """,
    )
