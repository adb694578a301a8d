"""`crate pod exists`: tells by its exit status whether a pod is there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0 or 1."""
    import crate.engine
    from crate.engine import pods
    from crate.errors import NotFoundError

    engine = crate.engine.open(options["globals"])
    try:
        pods.find(engine, options["pod"])
    except NotFoundError:
        return 1
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command

    command(
        app,
        "exists",
        main,
        argument("pod", "POD"),
        help="Check whether a pod exists",
        examples="""
            crate pod exists web || crate pod create web
        """,
    )
