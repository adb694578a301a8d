"""`crate search`: looks for images in registries."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

_FIELDS = (("Name", "NAME"), ("Description", "DESCRIPTION"))
_STANDING = (("Stars", "STARS"), ("Official", "OFFICIAL"), ("Automated", "AUTOMATED"))
_FURTHER = (("Index", "INDEX"), ("Tag", "TAG"), *_STANDING)
_FILTERS = ("is-automated", "is-official", "stars")
_DESCRIPTION_MAX = 44


def main(options: dict[str, Any]) -> int:
    """Prints one line a repository, or a tag."""
    import crate.engine
    from crate.cli import filters, formats, output
    from crate.errors import UsageError
    from crate.image import search

    limit = search.LIMIT if options["limit"] is None else options["limit"]
    if not 0 < limit <= search.LIMIT_MAX:
        raise UsageError(f"limit {limit} is outside the range of [1, {search.LIMIT_MAX}]")
    wanted = filters.parse([text if "=" in text else f"{text}=" for text in options["filter"] or ()], _FILTERS)
    settings = crate.engine.open(options["globals"]).settings
    if options["list_tags"]:
        if wanted:
            raise UsageError("filters are not applicable to list tags result")
        name, tags = search.tags(settings, options["term"], limit, options)
        rows = [{"Name": name, "Tag": _line(tag)} for tag in tags]
        objects = [{"Name": name, "Tags": tags}]
        output.write(formats.listing(rows, (("Name", "NAME"), ("Tag", "TAG")), options, objects=lambda: objects))
        return 0
    found = search.search(settings, options["term"], limit, wanted, options)
    rows = [{**row, "Name": _line(row["Name"]), "Description": _line(row["Description"])} for row in found]
    if not options["no_trunc"]:
        for row in rows:
            if len(row["Description"]) > _DESCRIPTION_MAX:
                row["Description"] = row["Description"][:_DESCRIPTION_MAX] + "..."
    fields = (*_FIELDS, *_STANDING) if options["compatible"] else _FIELDS
    output.write(formats.listing(rows, fields, options, further=_FURTHER, objects=lambda: rows))
    return 0


def _line(text: str) -> str:
    """What a stranger wrote, in one line that a terminal does not obey."""
    from crate.cli import output

    return output.one_line(" ".join(text.split()))


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, commas, flag, number, text

    command(
        app,
        "search",
        main,
        argument("term", "TERM"),
        commas("--filter", "-f", help="is-official=true, is-automated=true, stars=3: the least"),
        text("--format", help='Format output using a Go template, "table TEMPLATE" or "json"', metavar="template"),
        number("--limit", help="Number of results of each registry (default 25)"),
        flag("--list-tags", help="List the tags of the repository TERM"),
        flag("--no-trunc", help="Don't truncate output"),
        flag("--compatible", help="Show stars, official and automated as columns"),
        flag("--tls-verify", help="Require HTTPS and verify certificates (default true)"),
        text("--authfile", help="Path of the authentication file", metavar="path"),
        text("--cert-dir", help="Directory with certificates and keys for the registry", metavar="path"),
        text("--creds", help="Name and password for the registry", metavar="name:password"),
        help="Search registries for images",
        description="""
            TERM with a registry before it is looked for there, else in the registries that registries.conf has for
            short names, or at Docker Hub. A registry without a search is asked for its catalogue; `REGISTRY/` shows all
            of it.
        """,
        examples="""
            crate search --limit 3 --filter is-official=true nginx
            crate search registry.example:5000/
            crate search --list-tags docker.io/library/alpine
        """,
    )
