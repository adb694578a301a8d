"""`crate images`, `crate image ls`: lists images."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints one line a name of an image."""
    import crate.engine
    from crate.cli import output
    from crate.cli.image import listing

    engine = crate.engine.open(options["globals"])
    output.write(listing.tree(engine, options) if options["tree"] else listing.text(engine, options))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, many, text

    command(
        app,
        "images",
        main,
        argument("image", "[REPOSITORY[:TAG]]", required=False),
        flag("--all", "-a", help="Show all images"),
        flag("--digests", help="Show digests"),
        many("--filter", "-f", help="Filter output based on conditions provided", metavar="key=value"),
        text("--format", help='Format output using a Go template, "table TEMPLATE" or "json"', metavar="template"),
        flag("--no-trunc", help="Don't truncate output"),
        flag("--quiet", "-q", help="Only show image IDs"),
        flag("--noheading", "-n", help="Do not print the column headings"),
        flag("--history", help="Show all names of each image in one more column"),
        flag("--tree", "-t", help="Draw each image as a tree of its platforms and layers"),
        text("--sort", help="Sort by created, id, repository, size or tag", metavar="field"),
        help="List images",
        examples="""
            crate images
            crate images --tree nginx
            crate images --filter dangling=true -q
        """,
    )
