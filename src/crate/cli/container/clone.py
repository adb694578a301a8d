"""`crate container clone`: makes a copy of a container's configuration."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

_OWN = ("container", "new_name", "image", "name", "run", "destroy", "force", "globals", "pod")


def main(options: dict[str, Any]) -> int:
    """Prints the ID of the new container."""
    import crate.engine
    from crate.cli import output
    from crate.cli.container.run import pull
    from crate.engine import cloning, containers
    from crate.errors import UsageError

    if options["name"] and options["new_name"]:
        raise UsageError("cannot use --name together with a name as the second argument")
    engine = crate.engine.open(options["globals"], pull, output.warn)
    container = containers.find(engine, options["container"])
    changes = {key: value for key, value in options.items() if key not in _OWN}
    if options["pod"]:
        changes["pod"] = options["pod"]
    made = cloning.clone(
        engine,
        container,
        changes,
        name=options["name"] or options["new_name"] or "",
        image=options["image"] or "",
        run=bool(options["run"]),
        destroy=bool(options["destroy"]),
        force=bool(options["force"]),
    )
    output.line(made)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.container.run_options import limits
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "clone",
        main,
        argument("container", "CONTAINER"),
        argument("new_name", "[NAME]", required=False),
        argument("image", "[IMAGE]", required=False),
        *limits(),
        flag("--destroy", help="Remove the original container"),
        flag("--force", "-f", help="With --destroy: remove the original even while it runs"),
        text("--name", help="Name of the new container (default CONTAINER-clone)"),
        text("--pod", help="Pod of the new container"),
        flag("--run", help="Start the new container"),
        help="Clone an existing container",
        description="The files that the container wrote are not copied, its volumes are shared.",
        examples="""
            crate container clone --run -m 512m web web2
            crate container clone --destroy --force web web-new nginx:2
        """,
    )
