"""`crate exec`: runs a further command in a running container."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """The exit status of the command, or 0 once it is started with --detach."""
    import crate.engine
    from crate.cli import output
    from crate.engine import containers
    from crate.engine import exec as engine_exec
    from crate.errors import UsageError

    engine = crate.engine.open(options["globals"], warn=output.warn)
    if options["latest"]:
        from crate.cli import targets

        container = targets.latest(engine)
        options["command"] = [options["container"], *(options["command"] or [])]
    else:
        container = containers.find(engine, options["container"])
    if not options["command"]:
        raise UsageError("must provide a command to run in the container", "crate exec CONTAINER COMMAND")
    if options["diagnose"]:
        if options["detach"]:
            raise UsageError("conflicting options: cannot specify both --diagnose and --detach: nobody sees the report")
        engine.show_diagnosis = output.diagnosis
    return engine_exec.exec(engine, container, options)


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, many, number, text

    command(
        app,
        "exec",
        main,
        argument("container", "CONTAINER"),
        argument("command", "COMMAND [ARG...]", required=False, several=True),
        flag("--detach", "-d", help="Detached mode: run command in the background"),
        text("--detach-keys", help="Override the key sequence for detaching a container"),
        many("--env", "-e", help="Set environment variables", metavar="name[=value]"),
        many("--env-file", help="Read in a file of environment variables", metavar="path"),
        flag("--diagnose", help="Report each refused call, the rule that refused it, and what would allow it"),
        flag("--interactive", "-i", help="Keep STDIN open even if not attached"),
        flag("--tty", "-t", help="Allocate a pseudo-TTY"),
        flag("--privileged", help="Give extended privileges to the command"),
        text("--user", "-u", help="Username or UID (format: <name|uid>[:<group|gid>])"),
        text("--workdir", "-w", help="Working directory inside the container", metavar="path"),
        flag("--latest", "-l", help="Act on the container created last"),
        number("--preserve-fds", help="Pass a number of additional file descriptors to the command"),
        stop_at_argument=True,
        help="Execute a command in a running container",
        examples="""
            crate exec -it web sh
            crate exec -u www-data -w /srv web ls -l
            crate exec --diagnose -u www-data web touch /srv/new
        """,
    )
