"""How commands show what they found: columns, Go templates (`--format`), JSON lines, indented facts."""

from __future__ import annotations

from crate.cli.output import one_line
from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    Fields = Sequence[tuple[str, str]]  # (name for templates, heading)

_GAP, _NARROWEST = 2, 12  # podman's: between columns, and of a column with its gap


class Row(dict):  # type: ignore[type-arg]
    """One line of a list, for templates: what a field costs is paid when it is named.

    `makers` maps names to functions of `source`; only those in `shown` are part of `{{json .}}`.
    """

    def __init__(self, source: Any, makers: Mapping[str, Any], shown: Iterable[str]) -> None:
        super().__init__()
        self._source = source
        self._makers = makers
        self._shown = shown

    def __missing__(self, name: str) -> Any:
        value = self._makers[name](self._source)
        self[name] = value
        return value

    def complete(self) -> dict[str, Any]:
        """The fields that JSON output has."""
        return {name: self[name] for name in self._shown}

    def items(self) -> Any:
        return self.complete().items()

    def __bool__(self) -> bool:
        return True


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lines of columns as wide as their widest cell; nothing follows the last cell of a line.

    Cells quote images and containers: what a terminal would obey is shown instead.
    """
    rows = [[cell if cell.isprintable() else one_line(cell) for cell in row] for row in rows]
    widths: list[int] = []
    for row in rows:
        for column, cell in enumerate(row[:-1]):
            if column == len(widths):
                widths.append(_NARROWEST)
            widths[column] = max(widths[column], len(cell) + _GAP)
    lines = []
    for row in rows:
        padded = [cell.ljust(widths[column]) for column, cell in enumerate(row[:-1])]
        lines.append("".join([*padded, *row[-1:]]).rstrip(" ") + "\n")
    return "".join(lines)


def listing(
    rows: Sequence[Any],
    fields: Fields,
    options: Mapping[str, Any],
    quiet: str = "ID",
    further: Fields = (),
    objects: Callable[[], list[dict[str, Any]]] | None = None,
) -> str:
    """A list as the options want it: `fields` are the columns of the default table, `further` has headings for others.

    `objects` makes what `--format json` prints, podman's objects in one array; `{{json .}}` is docker's, a row a line.
    Raises UsageError for a template that is wrong.
    """
    form = options.get("format")
    if options.get("quiet") and not form:
        return "".join(f"{row[quiet]}\n" for row in rows)
    if form is None or form == "table":
        cells = [[str(row[name]) for name, _ in fields] for row in rows]
        heading = [] if options.get("noheading") else [[title for _, title in fields]]
        return table([*heading, *cells])
    if form == "json" and objects:
        from crate.oci import json

        return json.pretty(objects()) + "\n"
    if form in ("json", "{{json .}}", "{{ json . }}"):
        from crate.cli.template.values import json_text

        return "".join(json_text(row) + "\n" for row in rows)
    from crate.cli.template import Template

    text = form.replace("\\t", "\t").replace("\\n", "\n")
    if text.startswith("table"):
        template = Template(_columns(text[5:].strip(" ")))
        titles = _headings(fields, further)
        lines = [] if options.get("noheading") else [template.execute(titles)]
        lines += [template.execute(row) for row in rows]
        return table([cells.split("\t") for line in lines for cells in line.split("\n")])
    if text.lstrip("{ -").startswith("range"):  # podman's way: the whole list at once
        return Template(text).execute(list(rows))
    template = Template(text)
    return "".join(template.execute(row) + "\n" for row in rows)


def _columns(text: str) -> str:
    """A template of a table with tabs for the blanks between its actions: each begins a column, as in podman."""
    pieces = text.split("{{")
    inside = [(action, end, rest) for action, end, rest in (piece.partition("}}") for piece in pieces[1:])]
    return pieces[0].replace(" ", "\t") + "".join("{{" + a + end + rest.replace(" ", "\t") for a, end, rest in inside)


class _Headings(dict):  # type: ignore[type-arg]
    """What the heading of `table {{.Field}}` is made of: a field without a title shows itself."""

    def __missing__(self, name: str) -> str:
        return name.upper()


def _headings(fields: Fields, further: Fields) -> dict[str, Any]:
    titles = _Headings((*further, *fields))
    titles["Label"] = lambda name: name.rpartition(".")[2].replace("-", " ").replace("_", " ").upper()
    return titles


def one(value: Any, form: str, name: str = "") -> str:
    """One object through a template, or as JSON."""
    from crate.cli.template import Template
    from crate.cli.template.values import json_text

    if form == "json":
        return json_text(value) + "\n"
    if form.startswith("table"):
        raise UsageError("a single object is no table", "leave the word table away")
    return Template(form.replace("\\t", "\t").replace("\\n", "\n"), name).execute(value) + "\n"


def indented(value: Any, indent: int = 0) -> str:
    """Facts as `Key: value` lines, what is nested one step further in."""
    pad, lines = " " * indent, []
    for key, item in value.items() if isinstance(value, dict) else ():
        if isinstance(item, dict) and item:
            lines.append(f"{pad}{key}:\n{indented(item, indent + 1)}")
        elif isinstance(item, list) and item:
            lines.append(f"{pad}{key}:\n" + "".join(_entry(entry, indent + 1) for entry in item))
        else:
            lines.append(f"{pad}{key}: {_plain(item)}".rstrip() + "\n")
    return "".join(lines)


def _entry(item: Any, indent: int) -> str:
    return indented(item, indent) if isinstance(item, dict) else f"{' ' * indent}{_plain(item)}\n"


def _plain(item: Any) -> str:
    if item is None or item in ([], {}):
        return ""
    return str(item).lower() if isinstance(item, bool) else str(item)
