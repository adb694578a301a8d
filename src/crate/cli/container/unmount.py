"""`crate unmount`: takes the mounts of `crate mount` away."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.engine.containers import Container
    from crate.engine.context import Engine


def main(options: dict[str, Any]) -> int:
    """0; one that is not mounted is none of the failures."""
    import crate.engine
    from crate.cli import output, targets
    from crate.engine.files import mounting

    def act(engine: Engine, container: Container) -> None:
        mounting.check_place(engine, "unmount")
        mounting.unmount_container(engine, container)

    if options["all"]:
        targets.check(options)
        engine = crate.engine.open(options["globals"])
        for container, _ in mounting.mounted_containers(engine):
            act(engine, container)
            output.line(container.id)
        return 0
    return targets.each(options, act)


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "unmount",
        main,
        argument("containers", "CONTAINER [CONTAINER...]", required=False, several=True),
        flag("--all", "-a", help="Unmount all containers"),
        flag("--force", "-f", help="Accepted: a mount is always taken away"),
        flag("--latest", "-l", help="Act on the container created last"),
        help="Unmount a container's root filesystem",
        examples="""
            crate unmount web
            crate umount --all
        """,
    )
