"""`crate completion`: the script that lets a shell complete crate's command lines."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the script of one shell."""
    from crate.cli import completion, output

    output.write(completion.script(options["shell"]))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command

    command(
        app,
        "completion",
        main,
        argument("shell", "SHELL"),
        help="Generate the autocompletion script for bash, zsh or fish",
        examples="""
            crate completion bash > /etc/bash_completion.d/crate
            crate completion zsh > "${fpath[1]}/_crate"
            crate completion fish > ~/.config/fish/completions/crate.fish
        """,
    )
