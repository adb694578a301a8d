"""`crate volume ls`: lists volumes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


_FIELDS = (("Driver", "DRIVER"), ("Name", "VOLUME NAME"))


def main(options: dict[str, Any]) -> int:
    """Prints one line a volume."""
    import crate.engine
    from crate.cli import filters, formats, output
    from crate.engine import volumes

    engine = crate.engine.open(options["globals"])
    found = filters.volumes(engine, options["filter"], volumes.listing(engine))
    rows = [
        {
            "Driver": record.get("driver", "local"),
            "Name": record["name"],
            "Mountpoint": record["mountpoint"],
            "Scope": "local",
            "Labels": ",".join(f"{k}={v}" for k, v in sorted((record.get("labels") or {}).items())),
        }
        for record in found
    ]
    objects = lambda: [volumes.inspect(engine, record["name"]) for record in found]  # noqa: E731
    output.write(formats.listing(rows, _FIELDS, options, quiet="Name", objects=objects))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, many, text

    command(
        app,
        "ls",
        main,
        many("--filter", "-f", help='Provide filter values (e.g. "dangling=true")', metavar="key=value"),
        text("--format", help='Format output using a Go template, "table TEMPLATE" or "json"', metavar="template"),
        flag("--quiet", "-q", help="Only display volume names"),
        flag("--noheading", help="Do not print the column headings"),
        help="List volumes",
        examples="""
            crate volume ls
        """,
    )
