"""`crate load`: takes images out of a tar archive."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the names of what was loaded, or the ID of an image that has none."""
    import os

    import crate.engine
    from crate.cli import output, progress
    from crate.errors import UsageError
    from crate.image import load
    from crate.image.wanted import wanted_platform

    source = options["input"]
    if source is None and os.isatty(0):
        raise UsageError("cannot read from terminal, use command-line redirection or the --input flag")
    engine = crate.engine.open(options["globals"])
    with progress.display(bool(options["quiet"])) as show:
        loaded = load.load(
            engine.roots,
            source,
            wanted=wanted_platform(options),
            signature_policy=options["signature_policy"],
            progress=show,
        )
    for image in loaded:
        for name in image.names or [f"sha256:{image.record['id']}"]:
            output.line(f"Loaded image: {name}")
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, text

    command(
        app,
        "load",
        main,
        text("--input", "-i", help="Read from tar archive file, instead of STDIN", metavar="path"),
        text("--platform", help="Load only the given platform variant", metavar="os/arch[/variant]"),
        text("--signature-policy", help="Signature policy instead of the one in force", metavar="path"),
        flag("--quiet", "-q", help="Suppress the load output"),
        help="Load an image from a tar archive or STDIN",
        examples="""
            crate load -i alpine.tar
            docker save alpine | crate load
        """,
    )
