"""Lists and objects as the commands show them: columns, templates, JSON lines, quiet."""

from __future__ import annotations

from typing import Any

import pytest

from crate.cli import formats
from crate.cli.template import TemplateError
from crate.errors import UsageError

FIELDS = (("ID", "CONTAINER ID"), ("Names", "NAMES"))
ROWS = [{"ID": "0123456789ab", "Names": "web"}, {"ID": "abc", "Names": "a longer name"}]


def listing(rows: Any = ROWS, **options: Any) -> str:
    return formats.listing(rows, FIELDS, options, further=(("CreatedAt", "CREATED AT"),))


def test_table() -> None:
    assert listing() == "CONTAINER ID  NAMES\n0123456789ab  web\nabc           a longer name\n"
    assert listing([]) == "CONTAINER ID  NAMES\n"
    assert listing(format="table") == listing()


def test_noheading_and_quiet() -> None:
    assert listing(noheading=True) == "0123456789ab  web\nabc           a longer name\n"
    assert listing([], noheading=True) == ""
    assert listing(quiet=True) == "0123456789ab\nabc\n"
    assert listing(quiet=True, format="{{.Names}}") == "web\na longer name\n"


def test_template() -> None:
    assert listing(format="{{.Names}}:{{.ID}}") == "web:0123456789ab\na longer name:abc\n"
    assert listing(format=r"{{.ID}}\t{{.Names}}") == "0123456789ab\tweb\nabc\ta longer name\n"
    assert listing(format="{{range .}}{{.Names}},{{end}}") == "web,a longer name,"
    assert listing([], format="{{.Names}}") == ""


def test_table_of_a_template() -> None:
    shown = listing(format=r"table {{.Names}}\t{{.ID}}")
    assert shown == "NAMES          CONTAINER ID\nweb            0123456789ab\na longer name  abc\n"
    assert listing([], format="table {{.CreatedAt}} {{.Other}}") == "CREATED AT  OTHER\n"
    blanks = 'table {{.ID}} {{printf "%s x" .Names}}'
    assert listing(ROWS[:1], format=blanks, noheading=True) == "0123456789ab  web x\n"
    assert listing([], format='table {{.Label "com.example.some-thing"}}') == "SOME THING\n"
    assert listing(format="table {{.ID}}", noheading=True) == "0123456789ab\nabc\n"


def test_json_lines() -> None:
    assert listing(format="json") == '{"ID":"0123456789ab","Names":"web"}\n{"ID":"abc","Names":"a longer name"}\n'
    assert listing(format="{{json .}}") == listing(format="json")
    assert listing(format="{{json .Names}}") == '"web"\n"a longer name"\n'


def test_json_array() -> None:
    shown = formats.listing(ROWS, FIELDS, {"format": "json"}, objects=lambda: [{"Id": 1}])
    assert shown == '[\n    {\n        "Id": 1\n    }\n]\n'
    assert formats.listing([], FIELDS, {"format": "json"}, objects=list) == "[]\n"


def test_wrong_template() -> None:
    with pytest.raises(TemplateError, match="unclosed action"):
        listing(format="{{.ID")
    with pytest.raises(TemplateError, match="can't evaluate field Foo"):
        listing(format="{{.Foo}}")


def test_a_row_makes_only_what_is_named() -> None:
    made: list[str] = []

    def maker(name: str) -> Any:
        def make(source: str) -> str:
            made.append(name)
            return f"{source}-{name}"

        return make

    row = formats.Row("x", {name: maker(name) for name in ("ID", "Names", "Size")}, ("ID", "Names"))
    assert listing([row], format="{{.Names}} {{.Names}}") == "x-Names x-Names\n"
    assert made == ["Names"]
    assert listing([row], format="json") == '{"ID":"x-ID","Names":"x-Names"}\n'
    assert listing([row], format="<{{json .}}>") == '<{"ID":"x-ID","Names":"x-Names"}>\n'
    assert listing([row], format="{{if .}}{{.}}{{end}}") == "map[ID:x-ID Names:x-Names]\n"
    with pytest.raises(TemplateError):
        listing([row], format="{{.Foo}}")


def test_one_object() -> None:
    assert formats.one({"A": {"B": [1]}}, "{{.A.B}}") == "[1]\n"
    assert formats.one({"A": 1}, "json") == '{"A":1}\n'
    with pytest.raises(UsageError):
        formats.one({}, "table {{.A}}")


def test_indented() -> None:
    facts = {"host": {"cpus": 2, "empty": {}, "swap": None, "rootless": False}, "files": ["a", {"b": 1}]}
    assert formats.indented(facts) == ("host:\n cpus: 2\n empty:\n swap:\n rootless: false\nfiles:\n a\n b: 1\n")
