"""`crate manifest inspect`: shows a manifest list of the store, or what a registry has under a name."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints JSON."""
    import crate.engine
    from crate.cli import output
    from crate.cli.manifest import registry
    from crate.image.manifest import view as manifest_view
    from crate.oci import json

    engine = crate.engine.open(options["globals"])
    words = options["names"]
    shown = manifest_view.show(
        engine.roots, engine.settings, words[-1], words[0] if len(words) > 1 else None, registry.access(options)
    )
    output.write(json.pretty(shown) + "\n")
    return 0


def declare(app: Typer) -> None:
    from crate.cli.manifest import registry
    from crate.cli.options import argument, command, flag

    command(
        app,
        "inspect",
        main,
        argument("names", "[MANIFEST_LIST] MANIFEST", several=True),
        flag("--verbose", "-v", help="Show the manifests too, with layers and platform"),
        *registry.rows(),
        help="Show a manifest list",
        description="What is no list here is looked for in its registry, where it may be a single image's manifest.",
        examples="""
            crate manifest inspect web:1
            crate manifest inspect docker.io/library/alpine
        """,
    )
