"""`crate system df`: shows how much disk crate takes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

_COLUMNS = (
    ("Type", "TYPE"),
    ("Total", "TOTAL"),
    ("Active", "ACTIVE"),
    ("Size", "SIZE"),
    ("Reclaimable", "RECLAIMABLE"),
)
_FURTHER = (("TotalCount", "TOTAL"), ("RawSize", "SIZE"), ("RawReclaimable", "RECLAIMABLE"))


def main(options: dict[str, Any]) -> int:
    """Prints a line a kind of object; with --verbose a table a kind."""
    import crate.engine
    from crate.cli import formats, output
    from crate.engine.usage.disk import Usage
    from crate.errors import UsageError

    if options["verbose"] and options["format"]:
        raise UsageError("cannot combine --format and --verbose flags")
    engine = crate.engine.open(options["globals"])
    usage = Usage(engine)
    if options["verbose"]:
        from crate.cli.system.df_tables import verbose

        output.write(verbose(engine, usage))
        return 0
    from crate.build.pruning import summary

    cache = summary(engine.roots)
    rows = [_row(row) for row in [*usage.summary(), *([cache] if cache["total"] else ())]]
    output.write(formats.listing(rows, _COLUMNS, options, further=_FURTHER, objects=lambda: rows))
    return 0


def _row(row: dict[str, Any]) -> dict[str, Any]:
    from crate.cli import human

    share = round(row["reclaimable"] * 100 / row["size"]) if row["size"] else 0
    return {
        "Type": row["type"],
        "Total": row["total"],
        "TotalCount": row["total"],
        "Active": row["active"],
        "Size": human.size(row["size"], 4),
        "RawSize": row["size"],
        "Reclaimable": f"{human.size(row['reclaimable'], 4)} ({share}%)",
        "RawReclaimable": row["reclaimable"],
    }


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, text

    command(
        app,
        "df",
        main,
        text("--format", help='Format output using a Go template, "table TEMPLATE" or "json"', metavar="template"),
        flag("--verbose", "-v", help="Show detailed information on disk usage"),
        help="Show disk usage",
        description="""
            Sizes are those of the files; a layer that several images have counts once. What is reclaimable is taken by
            images and volumes without a container, and by containers that do not run.
        """,
        examples="""
            crate system df
            crate system df -v
        """,
    )
