"""`crate inspect`: everything about containers, images, networks and volumes, as JSON."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them does not exist (what exists is printed all the same)."""
    from crate.cli import inspecting

    return inspecting.main(options)


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "inspect",
        main,
        argument("names", "NAME|ID [NAME|ID...]", required=False, several=True),
        text(
            "--format", "-f", help='Format output using a Go template, "table TEMPLATE" or "json"', metavar="template"
        ),
        flag("--size", "-s", help="Display total file sizes if the type is container"),
        text(
            "--type",
            "-t",
            help='Only inspect objects of the given type ("container", "image", "network", "pod", "volume")',
        ),
        flag("--latest", "-l", help="Act on the container created last"),
        help="Return low-level information on containers, images, networks and volumes",
        examples="""
            crate inspect web
            crate inspect -f '{{.NetworkSettings.IPAddress}}' web
            crate inspect --type image -f '{{json .Config.Env}}' alpine
        """,
    )
