"""`exists` of containers, images, networks, pods and volumes: the exit status tells whether one is there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from typer import Typer

    from crate.cli.options import Row
    from crate.engine.context import Engine


def status(options: dict[str, Any], find: Callable[[Engine], object]) -> int:
    """0 when `find` gives an object, 1 when it gives none or raises NotFoundError."""
    import crate.engine
    from crate.errors import NotFoundError

    try:
        return 0 if find(crate.engine.open(options["globals"])) else 1
    except NotFoundError:
        return 1


def declare(app: Typer, main: Callable[[dict[str, Any]], int], kind: str, example: str, *more: Row) -> None:
    """The command `exists` of a kind; its argument's key is the kind."""
    from crate.cli.options import argument, command

    command(
        app,
        "exists",
        main,
        argument(kind, kind.upper()),
        *more,
        help=f"Check whether {'an' if kind[0] in 'aeiou' else 'a'} {kind} exists",
        description="The exit status is 0 when it exists, 1 when it does not.",
        examples=example,
    )
