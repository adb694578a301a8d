"""`crate pod stats`: shows what the containers of pods use, again and again."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.engine.containers import Container


def main(options: dict[str, Any]) -> int:
    """Prints one line a container, once with --no-stream; else until interrupted, or none of those named runs."""
    import crate.engine
    from crate.cli.container import usage
    from crate.cli.pod import targets
    from crate.engine.pods import pod as pods

    engine = crate.engine.open(options["globals"])
    named = bool(options["pods"] or options["latest"])
    chosen = targets.found(engine, options) if named else []

    def find() -> list[Container]:
        found = [pods.load(engine, pod.record) for pod in chosen] if named else pods.listing(engine)
        return [member for pod in found for member in (pod.members if options["all"] else pod.running(engine))]

    usage.stream(
        engine, find, lambda samples, former: usage.pod_text(samples, former, options), options, endless=not named
    )
    return 0


def declare(app: Typer) -> None:
    from crate.cli.container import stats
    from crate.cli.options import argument, command, flag

    command(
        app,
        "stats",
        main,
        argument("pods", "[POD...]", required=False, several=True),
        flag("--all", "-a", help="Show all containers (default shows just running)"),
        flag("--latest", "-l", help="Act on the pod created last"),
        *stats.rows(),
        help="Display a live stream of resource usage statistics for the containers of pods",
        examples="""
            crate pod stats --no-stream web
        """,
    )
