"""`crate cp`: copies files and directories between containers and the host."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0."""
    import crate.engine
    from crate.engine.files import copying

    engine = crate.engine.open(options["globals"])
    copying.copy(engine, options["source"], options["target"], options)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "cp",
        main,
        argument("source", "[CONTAINER:]SRC|-"),
        argument("target", "[CONTAINER:]DEST|-"),
        flag("--archive", "-a", help="Archive mode (copy all uid/gid information)"),
        flag("--follow-link", "-L", help="Follow symbolic links at the end of SRC (default true)"),
        flag("--overwrite", help="Let files replace directories, and directories files"),
        flag("--quiet", "-q", help="Accepted: crate shows no progress here"),
        flag("--pause", help="Accepted for podman's scripts", hidden=True),
        help="Copy files/folders between a container and the local filesystem",
        description="A '-' as the source is a tar archive on stdin, which is extracted to a directory of the container;"
        " as the destination, the source is written to stdout as a tar archive. Without --archive what is copied"
        " belongs to root of the container, or on the host to whoever copies.",
        examples="""
            crate cp nginx.conf web:/etc/nginx/
            crate cp web:/var/log/. logs
            crate cp one:/data two:/data
            crate cp web:/etc - | tar t
        """,
    )
