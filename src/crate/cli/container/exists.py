"""`crate container exists`: tells by its exit status whether a container is there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0 or 1."""
    import crate.engine
    from crate.engine import containers
    from crate.errors import NotFoundError

    engine = crate.engine.open(options["globals"])
    try:
        containers.find(engine, options["container"])
    except NotFoundError:
        return 1
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "exists",
        main,
        argument("container", "CONTAINER"),
        flag("--external", help="Accepted for podman's scripts", hidden=True),
        help="Check whether a container exists",
        description="The exit status is 0 when it exists, 1 when it does not.",
        examples="""
            crate container exists web || crate run -d --name web nginx
        """,
    )
