"""`crate image scp`: copies an image to or from another host or user."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints what was loaded there."""
    from crate.cli import apart, output
    from crate.image import scp

    source, target = scp.parse(options["image"], options["target"])
    own = apart.own_words(options["globals"])
    saving = source.command(own, ["save", source.image])
    loading = target.command(own, ["load"])
    printed = scp.copy(saving, loading)
    if not options["quiet"]:
        output.write("".join(f"{output.one_line(line)}\n" for line in printed.splitlines()))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "scp",
        main,
        argument("image", "[HOST::]IMAGE"),
        argument("target", "[HOST::]", required=False),
        flag("--quiet", "-q", help="Suppress the output"),
        help="Copy an image between hosts, or users of one host",
        description="""
            HOST:: is a host that ssh reaches, with USER@ and :PORT if need be; there crate, podman or docker takes the
            image, or gives it. USER@localhost:: is another user of this host: root may name any, and others ask sudo.
        """,
        examples="""
            crate image scp web build.example::
            crate image scp me@build.example:2222::web
            sudo crate image scp root@localhost::web me@localhost::
        """,
    )
