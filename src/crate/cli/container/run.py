"""`crate run`: creates a container, starts it, and stays with it or lets it go."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.engine.context import Engine


def main(options: dict[str, Any]) -> int:
    """The exit status of the container's command, or 0 once it is started with --detach."""
    import crate.engine
    from crate.cli import output
    from crate.engine import run

    engine = crate.engine.open(options["globals"], pull, output.warn)
    if options["diagnose"]:
        from crate.cli import refusals

        refusals.prepare(engine, options)
    if not options["rmi"]:
        return run.run(engine, options, output.line)
    if options["detach"]:
        from crate.errors import UsageError

        raise UsageError("conflicting options: cannot specify both --rmi and --detach", "remove the image with rmi")
    status = run.run(engine, {**options, "rm": True}, output.line)
    _remove_image(engine, options["image"])
    return status


def _remove_image(engine: Engine, name: str) -> None:
    """After the container: the image too, unless another one needs it, which is said and is no failure."""
    from crate.cli import output
    from crate.cli.image.users import users
    from crate.image import remove

    for failure in remove.remove(engine.roots, [name], users(engine), ignore=True)[1]:
        output.warn(f"the image stays: {failure}")


def pull(engine: Engine, options: dict[str, Any]) -> str:
    """How `run` and `create` get an image that is missing: as `crate pull`. Gives its id."""
    from crate.cli.image.pull import fetch

    return fetch(engine, options["image"], options, options["pull"])["id"]


def declare(app: Typer) -> None:
    from crate.cli.container import run_options
    from crate.cli.options import command, flag

    command(
        app,
        "run",
        main,
        *run_options.rows(),
        flag("--detach", "-d", help="Run container in background and print container ID"),
        flag("--rmi", help="Remove the image after the container (implies --rm), unless others use it"),
        stop_at_argument=True,
        help="Create and run a new container from an image",
        description="""
            The exit status is that of the command in the container; 125 when crate itself fails, 126 when the
            command cannot be invoked, 127 when it is not found, 128+n when signal n killed it.
        """,
        examples="""
            crate run --rm -it alpine sh
            crate run --rm --cpuset-cpus 0,1 -m 128m alpine cat /sys/fs/cgroup/memory.max
            crate run -d -p 8080:80 --name web nginx
            crate run --rm --security-opt landlock -v ./data:/data:ro alpine ls /data
            crate run --rm --diagnose alpine unshare -r true
        """,
    )
