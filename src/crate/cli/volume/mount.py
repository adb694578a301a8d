"""`crate volume mount`: tells where the files of a volume are."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the directory. A volume of another type is mounted by its containers only: refused."""
    import crate.engine
    from crate.cli import output
    from crate.engine import volumes
    from crate.errors import UsageError

    record = volumes.find(crate.engine.open(options["globals"]), options["volume"])
    kind = record["options"].get("type")
    if kind:
        raise UsageError(f"volume {record['name']} is a {kind}, which each of its containers mounts for itself")
    output.line(record["mountpoint"])
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command

    command(
        app,
        "mount",
        main,
        argument("volume", "NAME"),
        help="Show the directory of a volume",
        description="Nothing has to be mounted: the files of a volume are always there.",
        examples="""
            crate volume mount data
        """,
    )
