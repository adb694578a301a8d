"""`crate image trust show`: shows which images are trusted."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

_COLUMNS = ("TRANSPORT", "NAME", "TYPE", "ID", "STORE")


def main(options: dict[str, Any]) -> int:
    """0; where there is no policy everything is accepted, which is shown so."""
    from crate.cli import output
    from crate.image.trust import change, policy

    path = policy.find(options["policypath"])
    if options["raw"]:
        output.write(_raw(path) if path else "")
        return 0
    rows = change.show(path) if path else change.without_policy()
    if options["registry"]:
        rows = [row for row in rows if row["name"] == options["registry"]]
    if options["json"]:
        from crate.oci import json

        output.line(json.dumps([_object(row) for row in rows]))
        return 0
    lines = [(row["transport"], row["name"], row["type"], ", ".join(row["ids"]), row["store"]) for row in rows]
    heading = [] if options["noheading"] else [_COLUMNS]
    widths = [max(10, *(len(line[place]) for line in [_COLUMNS, *lines])) for place in range(len(_COLUMNS))]
    for line in [*heading, *lines]:
        padded = (output.one_line(text).ljust(width) for text, width in zip(line, widths, strict=True))
        output.line("  ".join(padded).rstrip())
    return 0


def _raw(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _object(row: Any) -> dict[str, Any]:
    """A row in podman's JSON."""
    is_default = row["transport"] == "all"
    found = {"transport": row["transport"], "name": "* (default)" if is_default else row["name"]}
    found |= {"repo_name": row["name"], "keys": row["keys"], "sigstore": row["store"], "type": row["type"]}
    found["gpg_id"] = ", ".join(row["ids"])
    return {key: value for key, value in found.items() if value}


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "show",
        main,
        argument("registry", "[REGISTRY]", required=False),
        flag("--json", "-j", help="Show as JSON"),
        flag("--noheading", "-n", help="Do not print the column headings"),
        flag("--raw", help="Print the policy file as it is"),
        text("--policypath", help="The policy file to show", metavar="path", hidden=True),
        help="Show which images are trusted",
        examples="""
            crate image trust show
        """,
    )
