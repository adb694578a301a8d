"""`crate logout`: forgets credentials."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints what was forgotten."""
    import crate.engine
    from crate.cli import output
    from crate.errors import UsageError
    from crate.registry import credentials, logins

    if options["all"]:
        if options["registry"]:
            raise UsageError("--all takes no arguments")
        logins.remove_all(options["authfile"])
        output.line("Removed login credentials for all registries")
        return 0
    crate.engine.open(options["globals"])
    registry = logins.registry_of(options["registry"] or logins.default_registry())
    name = logins.key_of(registry)
    if logins.remove(registry, options["authfile"]):
        output.line(f"Removed login credentials for {name}")
        return 0
    if not options["authfile"] and credentials.find(registry):
        where = " or ".join(credentials.files()[1:])
        output.line(f"Not logged into {name} with current tool. Existing credentials were established via {where}")
        return 0
    raise UsageError(f"not logged into {name}")


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "logout",
        main,
        argument("registry", "[REGISTRY]", required=False),
        flag("--all", "-a", help="Forget the credentials of all registries"),
        text("--authfile", help="Path of the authentication file", metavar="path"),
        help="Log out from a registry",
        examples="""
            crate logout quay.io
            crate logout --all
        """,
    )
