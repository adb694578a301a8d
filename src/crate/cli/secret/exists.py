"""`crate secret exists`: tells by its exit status whether a secret is there."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0 or 1."""
    from crate.cli import existence
    from crate.engine import secrets

    return existence.status(options, lambda engine: secrets.inspect(engine, options["secret"]))


def declare(app: Typer) -> None:
    from crate.cli import existence

    existence.declare(app, main, "secret", "crate secret exists token || crate secret create token token.txt")
