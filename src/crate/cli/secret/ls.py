"""`crate secret ls`: lists secrets."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


_FIELDS = (("ID", "ID"), ("Name", "NAME"), ("Driver", "DRIVER"), ("CreatedAt", "CREATED"), ("UpdatedAt", "UPDATED"))


def main(options: dict[str, Any]) -> int:
    """Prints one line a secret."""
    import crate.engine
    from crate.cli import filters, formats, human, output
    from crate.engine import secrets
    from crate.oci import moment

    engine = crate.engine.open(options["globals"])
    now_ns = time.time_ns()
    found = filters.secrets(options["filter"], secrets.listing(engine))
    rows = [
        {
            "ID": record["id"],
            "Name": record["name"],
            "Driver": "file",
            "CreatedAt": human.ago(moment.created(record["created"]), now_ns),
            "UpdatedAt": human.ago(moment.created(record["updated"]), now_ns),
            "Labels": ",".join(f"{k}={v}" for k, v in sorted(record["labels"].items())),
        }
        for record in found
    ]
    objects = lambda: [secrets.inspect(engine, record["id"]) for record in found]  # noqa: E731
    output.write(formats.listing(rows, _FIELDS, options, quiet="ID", objects=objects))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, many, text

    command(
        app,
        "ls",
        main,
        many("--filter", "-f", help='Provide filter values (e.g. "name=token")', metavar="key=value"),
        text("--format", help='Format output using a Go template, "table TEMPLATE" or "json"', metavar="template"),
        flag("--quiet", "-q", help="Only display ids"),
        flag("--noheading", help="Do not print the column headings"),
        help="List secrets",
        examples="""
            crate secret ls
        """,
    )
