"""`crate unshare`: a command in the user namespace of this user's containers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Becomes the command; 126 or 127 where that cannot be."""
    import os

    import crate.engine
    from crate.errors import CommandError, CommandNotFound, UsageError

    if not os.geteuid():
        raise UsageError("please use unshare with rootless", "root's containers are in the namespace that root is in")
    engine = crate.engine.open(options["globals"])
    os.set_inheritable(engine.membership, True)  # the namespace stays that of this user's containers
    if options["rootless_netns"]:
        from crate.engine.networks import verbs as networks

        for fd in networks.enter(engine):
            os.set_inheritable(fd, True)
    command = options["command"] or [os.environ.get("SHELL") or "/bin/sh"]
    roots = {"CONTAINERS_GRAPHROOT": engine.roots.graphroot, "CONTAINERS_RUNROOT": engine.roots.runroot}
    try:
        os.execvpe(command[0], command, {**os.environ, **roots})
    except OSError as error:
        # A directory of PATH that is closed to this user hides nothing that could be run.
        places = [command[0]] if "/" in command[0] else [f"{place}/{command[0]}" for place in os.get_exec_path()]
        if not any(os.access(place, os.F_OK) for place in places):
            raise CommandNotFound(f"cannot run {command[0]}: no such program") from None
        raise CommandError(f"cannot run {command[0]}: {error.strerror}") from None


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "unshare",
        main,
        argument("command", "[COMMAND [ARG...]]", required=False, several=True),
        flag("--rootless-netns", help="Run it where the bridges of this user's networks are"),
        stop_at_argument=True,
        help="Run a command in the user namespace of an ordinary user's containers",
        description="""
            There this user is root, and the subordinate ids are files' owners as containers see them. Without a command
            it is $SHELL. With --rootless-netns its network is the namespace of the user's own networks, which is made
            when no container has done so. CONTAINERS_GRAPHROOT and CONTAINERS_RUNROOT say where crate keeps its things.
        """,
        examples="""
            crate unshare cat /proc/self/uid_map
            crate unshare rm -r ~/data-of-a-container
            crate unshare --rootless-netns ip addr
        """,
    )
