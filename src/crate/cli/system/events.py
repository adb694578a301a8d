"""`crate events`: shows what happens to containers, images, volumes, networks and pods."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0 at the end of what is wanted; a stream without --until has none."""
    import crate.engine
    from crate.cli import output
    from crate.cli.system import event_forms
    from crate.engine import events

    options["stream"] = options["stream"] is None or options["stream"]
    if options["no_stream"]:
        options["stream"] = False
    engine = crate.engine.open(options["globals"])
    form = event_forms.form(options["format"], short=options["no_trunc"] is False)
    for event in events.events(engine, options):
        output.line(form(event))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, many, text

    command(
        app,
        "events",
        main,
        text("--since", help="Show all events created since the timestamp, or so long ago (10m)", metavar="time"),
        text("--until", help="Show events until the timestamp, or so long from now on (10m)", metavar="time"),
        many(
            "--filter",
            "-f",
            help="Show the events that match (container, event, image, type …)",
            metavar="key=value",
        ),
        text("--format", help='Format the output using a Go template, or "json"', metavar="template"),
        flag("--stream", help="Go on with the events that come (default true)"),
        flag("--no-stream", help="Show the events of the past only"),
        flag("--no-trunc", help="Show whole IDs (default true)"),
        help="Show events of containers, images, volumes, networks and pods",
        examples="""
            crate events
            crate events --since 1h --stream=false --filter container=web --filter event=died
            crate events --format '{{.Time}} {{.Name}} {{.Status}}'
        """,
    )
