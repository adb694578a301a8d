"""`crate volume export`: writes the files of a volume as a tar archive."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0."""
    import crate.engine
    from crate.cli import destination
    from crate.engine import volume_files

    engine = crate.engine.open(options["globals"])
    destination.write(options["output"], "export", lambda fd: volume_files.export(engine, options["volume"], fd))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, text

    command(
        app,
        "export",
        main,
        argument("volume", "VOLUME"),
        text("--output", "-o", help="Write to a file, instead of STDOUT", metavar="path"),
        help="Export the files of a volume as a tar archive",
        description="Containers may use the volume meanwhile; what they change then is in the archive or not.",
        examples="""
            crate volume export -o data.tar data
            crate volume export data | ssh other crate volume import data
        """,
    )
