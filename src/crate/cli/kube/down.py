"""`crate kube down`: removes the pods that Kubernetes YAML describes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the ids of the pods."""
    import crate.engine
    from crate.cli import output
    from crate.cli.kube import documents
    from crate.engine.pods import kube

    found = documents.read(options["file"])
    kube.down(crate.engine.open(options["globals"], warn=output.warn), found, bool(options["force"]), output.write)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "down",
        main,
        argument("file", "KUBEFILE|-"),
        flag("--force", help="Remove the volumes of claims, too"),
        help="Remove the pods of Kubernetes YAML",
        examples="""
            crate kube down web.yaml
        """,
    )
