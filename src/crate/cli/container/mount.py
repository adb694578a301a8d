"""`crate mount`: mounts the root file systems of containers on the host."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints where each container is mounted; without containers, those that are."""
    import crate.engine
    from crate.cli import mounting as shown
    from crate.cli import output, targets
    from crate.engine import containers
    from crate.engine.files import mounting
    from crate.errors import UsageError

    shown.check_format(options["format"])
    if sum(map(bool, (options["all"], options["latest"], options["containers"]))) > 1:
        raise UsageError("--all, --latest and containers cannot be used together")
    engine = crate.engine.open(options["globals"])
    chosen = [containers.find(engine, name) for name in options["containers"] or ()]
    if options["latest"]:
        chosen = [targets.latest(engine)]
    if options["all"]:
        chosen = containers.listing(engine)
    if chosen or not options["all"]:
        mounting.check_place(engine, "mount")
    if not chosen:
        output.write(shown.containers(mounting.mounted_containers(engine), options, False))
        return 0
    found = [(container, mounting.mount_container(engine, container)) for container in chosen]
    output.write(shown.containers(found, options, not options["all"]))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "mount",
        main,
        argument("containers", "[CONTAINER...]", required=False, several=True),
        flag("--all", "-a", help="Mount all containers"),
        flag("--latest", "-l", help="Act on the container created last"),
        flag("--no-trunc", "--notruncate", help="Do not truncate output"),
        text("--format", help="Print the mounted containers in specified format (json)"),
        help="Mount a container's root filesystem",
        description="Without containers, those that are mounted are listed. An ordinary user mounts inside of 'crate"
        " unshare'.",
        examples="""
            crate mount web
            crate mount
        """,
    )
