"""`crate rm`: removes containers."""

from __future__ import annotations

from crate.errors import CrateError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.engine.containers import Container
    from crate.engine.context import Engine


def _status(error: CrateError) -> int:
    """Podman's: 1 for one that is not there; the error itself says 2 for one that runs."""
    if isinstance(error, NotFoundError):
        return 1
    return error.exit_status


def _remove_sandbox(engine: Engine, container: Container, options: dict[str, Any]) -> None:
    """As podman: it goes with its pod, which `rm --all --force` takes along."""
    from crate.engine.pods import pod as pods
    from crate.engine.pods import verbs as pod_verbs

    if not (options["all"] and options["force"]):
        pods.refuse_sandbox(container, "removed")
    pod_verbs.remove(engine, pods.of_container(engine, container), force=True, timeout=options["timeout"])


def _remove_links(options: dict[str, Any]) -> int:
    import crate.engine
    from crate.cli import app, output
    from crate.engine.networks import links

    engine = crate.engine.open(options["globals"])
    status = 0
    for name in options["containers"] or ():
        try:
            links.remove(engine, name)
            output.line(name)
        except CrateError as error:
            app.report(error)
            status = max(status, _status(error))
    return status


def main(options: dict[str, Any]) -> int:
    """0, or the gravest of 1 (no such container), 2 (it runs) and 125."""
    from crate.cli import output, targets
    from crate.engine import remove

    if options["link"]:
        return _remove_links(options)
    if options["force"]:
        options["ignore"] = True  # as docker and podman: what shall be gone is gone
    force, volumes = bool(options["force"]), bool(options["volumes"])

    def act(engine: Engine, container: Container) -> None:
        if container.record["options"].get("infra"):
            _remove_sandbox(engine, container, options)
            return
        for other in remove.dependents(engine, container) if options["depend"] else ():
            remove.remove(engine, other, force=force, volumes=volumes, timeout=options["timeout"])
            output.line(other.id)
        remove.remove(engine, container, force=force, volumes=volumes, timeout=options["timeout"])

    return targets.each(options, act, status_of=_status)


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, many, number

    command(
        app,
        "rm",
        main,
        argument("containers", "CONTAINER [CONTAINER...]", required=False, several=True),
        flag("--force", "-f", help="Force the removal of a running container (uses SIGKILL)"),
        flag("--volumes", "-v", help="Remove anonymous volumes associated with the container"),
        number("--timeout", "-t", "--time", help="Seconds to wait before killing the container (default 10)"),
        flag("--all", "-a", help="Remove all containers"),
        flag("--latest", "-l", help="Act on the container created last"),
        flag("--ignore", "-i", help="Ignore containers that do not exist"),
        flag("--depend", help="Remove the containers that depend on it too"),
        flag("--link", help="Remove links, named CONTAINER/ALIAS, and no containers"),
        many("--cidfile", help="Read the container ID from the file", metavar="path"),
        many("--filter", help="Remove the containers that match", metavar="key=value"),
        help="Remove one or more containers",
        examples="""
            crate rm job
            crate rm -f web db
            crate rm --all --filter status=exited
        """,
    )
