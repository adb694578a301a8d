"""`crate info`: what crate found on this host, and the configuration in force."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the facts as indented text, or through a template."""
    import crate.engine
    from crate.cli import formats, inspecting, output
    from crate.engine import info

    engine = crate.engine.open(options["globals"])
    facts = info.info(engine)
    if options["format"] is None:
        settings = facts["settings"]
        facts["settings"] = {key: _shown(entry["value"], entry["origin"]) for key, entry in settings.items()}
        output.write(formats.indented(facts))
    else:
        complete = inspecting.with_maps(info.with_docker(engine, facts))
        output.write(formats.one(complete, options["format"]))
    return 0


def _shown(value: Any, origin: str) -> str:
    """A value and where it comes from on one line."""
    if isinstance(value, list):
        value = ",".join(value)
    elif isinstance(value, dict):
        value = ",".join(f"{name}={'|'.join(items)}" for name, items in value.items())
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"{text} ({origin})".lstrip()


def declare(app: Typer) -> None:
    from crate.cli.options import command, text

    command(
        app,
        "info",
        main,
        text(
            "--format", "-f", help='Format output using a Go template, "table TEMPLATE" or "json"', metavar="template"
        ),
        help="Display system-wide information",
        examples="""
            crate info
            crate info -f '{{.Host.CgroupVersion}}'
        """,
    )
