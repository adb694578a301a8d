"""`crate manifest rm`: removes manifest lists."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints what was untagged and deleted."""
    import crate.engine
    from crate.cli import output
    from crate.image.manifest import list as manifest_list
    from crate.storage import manifest_lists

    engine = crate.engine.open(options["globals"])
    found = [manifest_list.get(engine.roots, name) for name in options["lists"]]
    for one in found:
        for name in manifest_lists.remove(engine.roots, one["id"]):
            output.line(f"Untagged: {name}")
        output.line(f"Deleted: {one['id']}")
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command

    command(
        app,
        "rm",
        main,
        argument("lists", "MANIFEST_LIST [MANIFEST_LIST...]", several=True),
        help="Remove manifest lists",
        description="The images that they list stay.",
        examples="""
            crate manifest rm web:1
        """,
    )
