"""Templates give what Go's text/template gives, with docker's and podman's functions, and its errors."""
# ruff: noqa: E501

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crate.cli.template import GoMap, Template, TemplateError, render
from crate.cli.template.printf import go_printf
from crate.cli.template.values import floating, json_text
from crate.errors import UsageError
from examples import examples
from unit.cli.template_cases import ERRORS, OUTPUTS

DATA: dict[str, Any] = {
    "Name": "web",
    "Empty": "",
    "Pid": 42,
    "Ratio": 1.5,
    "Running": True,
    "Nothing": None,
    "List": ["a", "b", "c"],
    "None": [],
    "Numbers": [3, 1, 2],
    "State": {"Status": "running", "Pid": 42, "Health": None},
    "Labels": GoMap({"tier": "web", "a.b": "dotted", "z": "", "é": "ü"}),
    "NoLabels": GoMap(),
    "Ports": GoMap({"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "53/udp": None}),
    "Mounts": [{"Type": "bind", "Source": "/a"}, {"Type": "volume", "Source": "v"}],
    "Label": lambda name: {"tier": "web"}.get(name, ""),
}


@pytest.mark.parametrize(("text", "wanted"), OUTPUTS)
def test_without_data(text: str, wanted: str) -> None:
    assert render(text, {}, "version") == wanted


@pytest.mark.parametrize(("text", "wanted"), ERRORS)
def test_error(text: str, wanted: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(text, {}, "version")
    assert caught.value.message == f"template: version:{wanted}"
    assert isinstance(caught.value, UsageError) and caught.value.exit_status == 125


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{.Name}}", "web"),
        ("{{ .Name }}/{{.Pid}}", "web/42"),
        ("{{.State.Status}}", "running"),
        ("{{(.State).Status}}", "running"),
        ("{{.}}", "map[Name:web]"),
        ("{{$.Name}}", "web"),
        ("{{with .State}}{{.Pid}} {{$.Name}}{{end}}", "42 web"),
        ("{{with .Empty}}x{{else}}none{{end}}", "none"),
        ("{{with .Empty}}x{{else with .Name}}{{.}}{{end}}", "web"),
        ("{{with $x := .Name}}{{$x}}{{end}}", "web"),
        ("{{if .Running}}up{{else}}down{{end}}", "up"),
        ("{{if .Nothing}}x{{else if .None}}y{{else}}z{{end}}", "z"),
        ("{{if and .Running (eq .State.Status `running`)}}yes{{end}}", "yes"),
        ("{{range .List}}{{.}};{{end}}", "a;b;c;"),
        ("{{range $i, $v := .List}}{{$i}}{{$v}} {{end}}", "0a 1b 2c "),
        ("{{range $i, $v := .List}}{{if $i}}, {{end}}{{$v}}{{end}}", "a, b, c"),
        ("{{range .None}}x{{else}}empty{{end}}", "empty"),
        ("{{range .Nothing}}x{{else}}empty{{end}}", "empty"),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}},{{end}}", "a.b=dotted,tier=web,z=,é=ü,"),
        ("{{range .Mounts}}{{.Source}}{{println}}{{end}}", "/a\nv\n"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{$n := 0}}{{range .Numbers}}{{if gt . $n}}{{$n = .}}{{end}}{{end}}{{$n}}", "3"),
        ("{{.Labels.tier}} {{.Labels.missing}}|", "web <no value>|"),
        ("{{.NoLabels.a.b}}", "<no value>"),
        ('{{index .Labels "a.b"}}{{index .Labels "missing"}}|', "dotted|"),
        ('{{index .List 1}} {{index .Ports "80/tcp" 0}}', "b map[HostIp:0.0.0.0 HostPort:8080]"),
        ('{{(index (index .Ports "80/tcp") 0).HostPort}}', "8080"),
        ("{{range $p, $c := .Ports}}{{$p}} -> {{range $c}}{{.HostPort}}{{end}};{{end}}", "53/udp -> ;80/tcp -> 8080;"),
        ("{{len .List}} {{len .Labels}} {{len .Name}}", "3 4 3"),
        ("{{slice .List 1}} {{slice .Name 1 2}} {{slice .List 0 2}}", "[b c] e [a b]"),
        ("{{.List}} {{.Labels}} {{.None}} {{.NoLabels}}", "[a b c] map[a.b:dotted tier:web z: é:ü] [] map[]"),
        ("{{.Nothing}} {{.Running}} {{.Ratio}} {{.State}}", "<nil> true 1.5 map[Health:<nil> Pid:42 Status:running]"),
        ("{{json .List}} {{json .State}}", '["a","b","c"] {"Status":"running","Pid":42,"Health":null}'),
        ("{{json .Labels}}", '{"a.b":"dotted","tier":"web","z":"","é":"ü"}'),
        ("{{.List | json | printf `<%s>`}}", '<["a","b","c"]>'),
        ("{{join .List `, `}} {{join .Numbers `-`}} {{join .Nothing `x`}}|", "a, b, c 3-1-2 |"),
        ('{{split "a/b/c" "/"}} {{index (split "a/b/c" "/") 2}}', "[a b c] c"),
        (
            "{{upper .Name}} {{title .Name}} {{lower `ABC`}} {{truncate .Name 2}} {{pad .Name 1 2}}|",
            "WEB Web abc we  web  |",
        ),
        ('{{.Label "tier"}} {{.Label "missing"}}|', "web |"),
        ('{{"tier" | .Label}}', "web"),
        (
            '{{printf "%-5s|%5s|%q|%d|%t|%v" .Name .Name .Name .Pid .Running .List}}',
            'web  |  web|"web"|42|true|[a b c]',
        ),
        ('{{printf "%s %d" .List .Numbers}}', "[a b c] [3 1 2]"),
        ('{{printf "%v %+v %s" .State.Pid .Labels .Empty}}|', "42 map[a.b:dotted tier:web z: é:ü] |"),
        ("a{{- .Name -}} b {{ .Pid -}}\n  c", "awebb 42c"),
        ("{{/* nothing */}}{{.Name}}{{- /* more */ -}}  !", "web!"),
        ('{{define "row"}}<{{.}}>{{end}}{{range .List}}{{template "row" .}}{{end}}', "<a><b><c>"),
        ('{{block "b" .Name}}[{{.}}]{{end}}', "[web]"),
        ("{{range .List}}{{if eq . `b`}}{{continue}}{{end}}{{.}}{{end}}", "ac"),
        ("{{range .List}}{{if eq . `b`}}{{break}}{{end}}{{.}}{{end}}", "a"),
        ("{{eq .Name `web` }} {{ne .Pid 42}} {{eq .Pid 1 2 42}} {{lt .Pid 100}}", "true false true true"),
        ("{{not .Running}} {{or .Empty `default`}} {{and .Running .Pid}}", "false default 42"),
        ("{{html `<b>`}} {{js `'`}} {{urlquery `a b`}}", "&lt;b&gt; \\' a+b"),
        ("no actions\n", "no actions\n"),
        ("", ""),
        ("{{`{{`}} }}", "{{ }}"),
    ],
)
def test_with_data(text: str, wanted: str) -> None:
    data = {"Name": "web"} if text == "{{.}}" else DATA
    assert render(text, data) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{.Foo}}", "1:2: executing \"\" at <.Foo>: can't evaluate field Foo in type map[string]interface {}"),
        ("{{.State.Foo}}", "1:8: executing \"\" at <.State.Foo>: can't evaluate field Foo in type map[string]interface {}"),
        ("{{.Name.Foo}}", "1:7: executing \"\" at <.Name.Foo>: can't evaluate field Foo in type string"),
        ("{{.Nothing.Foo}}", '1:10: executing "" at <.Nothing.Foo>: nil pointer evaluating interface {}.Foo'),
        ("x\n{{.Foo}}", "2:2: executing \"\" at <.Foo>: can't evaluate field Foo in type map[string]interface {}"),
        ("{{index .List 9}}", '1:2: executing "" at <index .List 9>: error calling index: index out of range: 9'),
        ("{{index .Labels 9}}", '1:2: executing "" at <index .Labels 9>: error calling index: value has type int; should be string'),
        ("{{range .Name}}{{end}}", "1:8: executing \"\" at <.Name>: range can't iterate over web"),
        ("{{.Name 1}}", '1:2: executing "" at <.Name>: Name is not a method but has arguments'),
        ("{{.Label}}", '1:2: executing "" at <.Label>: wrong number of args for Label: want 1 got 0'),
        ("{{upper .Pid}}", '1:2: executing "" at <upper .Pid>: error calling upper: wrong type for value; expected string; got int'),
        ("{{define `x`}}{{.Foo}}{{end}}{{template `x` .}}", "1:16: executing \"x\" at <.Foo>: can't evaluate field Foo in type map[string]interface {}"),
        ("{{define `x`}}{{template `x`}}{{end}}{{template `x`}}", '1:25: executing "x" at <{{template `x`}}>: exceeded maximum template depth (100)'),
    ],
)  # fmt: skip
def test_error_with_data(text: str, wanted: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(text, DATA)
    assert caught.value.message == f"template: :{wanted}"


PIECES = st.sampled_from(
    ["{{", "}}", "{{- ", " -}}", ".", ".Name", ".List", "$", "$x", ":=", "=", "|", "(", ")", ",", " ", '"a"', "`b`", "'c'",
     "1", "0x1f", "1.5e3", "-2", "nil", "true", "if ", "else", "end", "range ", "with ", "define ", "template ", "block ",
     "break", "continue", "printf ", '"%d %s"', "index ", "len ", "json ", "and ", "eq ", "/*", "*/", "\\", "\n", "é"]
)  # fmt: skip


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=20).map("".join))
def test_any_text_is_a_template_or_an_error(text: str) -> None:
    try:
        assert isinstance(render(text, DATA), str)
    except TemplateError as error:
        assert error.message.startswith("template: ")


@settings(max_examples=examples(300), deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(list("%+-# 0123456789.*[]vdsxXqTtceEfgGoObpUz")), st.text(max_size=2))).map(
        "".join
    ),
    st.lists(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())), max_size=4
    ),
)
def test_printf_never_fails(pattern: str, values: list[Any]) -> None:
    assert isinstance(go_printf(pattern, *values), str)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_read_back(value: float) -> None:
    assert float(floating(value)) == value


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)


@given(JSON)
def test_json_is_json(value: Any) -> None:
    import json

    assert json.loads(json_text(value)) == value


def test_nesting_has_an_end() -> None:
    for text in ("{{" + "(" * 5000 + "1" + ")" * 5000 + "}}", "{{if 1}}" * 5000 + "{{end}}" * 5000):
        with pytest.raises(TemplateError, match="depth exceeded"):
            Template(text)


def test_a_template_is_used_many_times() -> None:
    template = Template("{{$x := .}}{{$x}}")
    assert [template.execute(value) for value in (1, "a", None)] == ["1", "a", "<nil>"]
