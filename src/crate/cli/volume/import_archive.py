"""`crate volume import`: unpacks a tar archive into a volume."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0."""
    import crate.engine
    from crate.engine import volume_files
    from crate.errors import UsageError

    engine, source = crate.engine.open(options["globals"]), options["source"] or "-"
    if source == "-":
        volume_files.bring(engine, options["volume"], 0, "standard input")
        return 0
    try:
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"cannot import {source}: {os.strerror(error.errno or 0)}") from None
    try:
        volume_files.bring(engine, options["volume"], fd, source)
    finally:
        os.close(fd)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command

    command(
        app,
        "import",
        main,
        argument("volume", "VOLUME"),
        argument("source", "[FILE|-]", required=False),
        help="Import a tar archive into a volume",
        description="The volume must be there. Files of the archive replace those of the same name; others stay.",
        examples="""
            crate volume import data data.tar.gz
            crate volume export data | ssh other crate volume import data
        """,
    )
