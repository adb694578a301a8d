"""`crate image trust set`: says what images of a registry have to show."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints nothing."""
    from crate.image.trust import change

    path = options["policypath"] or change.place_to_write()
    change.set_scope(path, options["registry"], options["type"] or "signedBy", options["pubkeysfile"] or ())
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, commas, text

    command(
        app,
        "set",
        main,
        argument("registry", "REGISTRY[/REPOSITORY[:TAG]]"),
        text("--type", "-t", help="accept, reject, signedBy (default) or sigstoreSigned"),
        commas("--pubkeysfile", "-f", help="Absolute path of a public key, any of which will do", metavar="path"),
        text("--policypath", help="The policy file to change", metavar="path", hidden=True),
        help="Set what images of a registry have to show to be taken in",
        description="""
            Changes the policy file in force, ~/.config/containers/policy.json or /etc/containers/policy.json. The
            scope `default` means all images that no other scope is for.
        """,
        examples="""
            crate image trust set -t reject default
            crate image trust set -f /etc/pki/example.gpg registry.example.com
        """,
    )
