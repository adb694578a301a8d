"""`crate pod clone`: makes a pod like another one, with its containers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the id of the new pod."""
    import sys

    import crate.engine
    from crate.cli import output
    from crate.cli.container.run import pull
    from crate.engine.pods import clone as pod_clone
    from crate.engine.pods import pod as pods
    from crate.errors import UsageError

    source, name = options.pop("pod"), options.pop("new_name")
    if name and options["name"] and name != options["name"]:
        raise UsageError("cannot specify --name and a name of the new pod")
    options["name"] = options["name"] or name
    options["create_command"] = ["crate", *sys.argv[1:]]
    engine = crate.engine.open(options["globals"], pull, output.warn)
    output.line(pod_clone.clone(engine, pods.find(engine, source), options).id)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text
    from crate.cli.pod.create import shared_rows

    command(
        app,
        "clone",
        main,
        argument("pod", "POD"),
        argument("new_name", "[NAME]", required=False),
        text("--name", "-n", help="Assign a name to the new pod (default: the other's name with -clone)"),
        flag("--start", help="Start the new pod"),
        flag("--destroy", help="Remove the original pod afterwards"),
        *shared_rows(),
        help="Create a copy of an existing pod",
        description="""
            The new pod has the options of the other one, except for those that are given, and a container with the
            options of each of its containers. Files that a container wrote are not copied.
        """,
        examples="""
            crate pod clone --name web2 -p 8081:80 web
        """,
    )
