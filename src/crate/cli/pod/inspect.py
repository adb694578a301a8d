"""`crate pod inspect`: everything about pods, as JSON."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or 125 when one of them does not exist. One pod is one object, as with podman 4; several are an array."""
    import crate.engine
    from crate.cli import inspecting, output
    from crate.cli.pod import targets
    from crate.cli.template import Template
    from crate.engine.pods import inspect as pod_inspect
    from crate.oci import json

    engine = crate.engine.open(options["globals"])
    found = [pod_inspect.inspect(engine, pod) for pod in targets.found(engine, options)]
    form = options["format"]
    if form in (None, "", "json"):
        output.line(json.pretty(found[0] if len(found) == 1 else found))
        return 0
    template = Template(form.replace("\\t", "\t").replace("\\n", "\n"), "inspect")
    for value in found:
        output.line(template.execute(inspecting.with_maps(_named(value))))
    return 0


def _named(value: Any) -> Any:
    """The same under the names that templates use, beside those of the JSON."""
    from crate.engine.pods.inspect import GO_NAMES

    if isinstance(value, dict):
        named = {key: _named(item) for key, item in value.items()}
        return named | {GO_NAMES[key]: item for key, item in named.items() if key in GO_NAMES}
    return [_named(item) for item in value] if isinstance(value, list) else value


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "inspect",
        main,
        argument("pods", "POD [POD...]", required=False, several=True),
        text("--format", "-f", help='Format output using a Go template, or "json"', metavar="template"),
        flag("--latest", "-l", help="Act on the pod created last"),
        help="Display detailed information on one or more pods",
        examples="""
            crate pod inspect web
            crate pod inspect --format '{{.InfraContainerID}}' web
        """,
    )
