"""`crate start`: starts containers that were created or have ended."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, or with --attach the exit status of the container's command."""
    import crate.engine
    from crate.cli import output, targets
    from crate.engine import containers, start
    from crate.errors import CrateError, UsageError

    for key in ("checkpoint", "checkpoint_dir"):
        if options[key]:
            raise UsageError(f"--{key.replace('_', '-')} is not supported", "crate makes no checkpoints")
    if options["boot"]:
        return _boot(options)
    if options["all"] and options["containers"]:
        raise UsageError("either start all containers or the container(s) provided in the arguments")
    if options["attach"] or options["interactive"]:
        targets.check(options)
        engine = crate.engine.open(options["globals"], warn=output.warn)
        engine.show_diagnosis = output.diagnosis
        chosen = targets.choose(engine, options)
        if len(chosen) != 1:
            raise UsageError("cannot attach to several containers at once")
        name, known = chosen[0]
        return start.attach(engine, known or containers.find(engine, name), options)
    idle = () if options["all"] is None and not options["filter"] else ("created", "initialized", "exited", "stopped")
    # A command that cannot be started is a failure of `start`, not its status: nobody is attached.
    return targets.each(options, start.start, default_states=idle, status_of=lambda _: CrateError.exit_status)


def _boot(options: dict[str, Any]) -> int:
    import crate.engine
    from crate.cli import app, output
    from crate.engine.recovery import booting
    from crate.errors import CrateError, UsageError

    for key in ("containers", "all", "latest", "filter", "attach", "interactive"):
        if options[key]:
            raise UsageError(f"--boot and {key if key == 'containers' else f'--{key}'} cannot be used together")
    engine = crate.engine.open(options["globals"])
    fine = booting.start_wanted(engine, lambda container: output.line(container.name), app.report)
    return 0 if fine else CrateError.exit_status


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, many, text

    command(
        app,
        "start",
        main,
        argument("containers", "CONTAINER [CONTAINER...]", required=False, several=True),
        flag("--attach", "-a", help="Attach STDOUT/STDERR and forward signals"),
        flag("--interactive", "-i", help="Attach container's STDIN"),
        text("--checkpoint", help="Restore from this checkpoint (refused)", metavar="name"),
        text("--checkpoint-dir", help="Directory of checkpoints (refused)", metavar="path"),
        text("--detach-keys", help="Override the key sequence for detaching a container"),
        flag("--sig-proxy", help="Proxy received signals to the process (default true if attaching)"),
        flag("--all", help="Start all containers"),
        flag("--boot", help="Start what is to run after a boot, by the restart policies"),
        flag("--latest", "-l", help="Act on the container created last"),
        many("--filter", "-f", help="Start the containers that match", metavar="key=value"),
        help="Start one or more stopped containers",
        examples="""
            crate start web db
            crate start -a job
        """,
    )
