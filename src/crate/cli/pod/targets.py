"""Which pods a verb means (names, --all, --latest, --pod-id-file), and doing it to each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crate.errors import CrateError, NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from crate.cli.options import Row
    from crate.engine.context import Engine
    from crate.engine.pods.pod import Pod


def choose(engine: Engine, options: dict[str, Any]) -> list[tuple[str, Pod | None]]:
    """(what was named, the pod, or None where it must still be looked up). UsageError for what does not go together."""
    from crate.engine.pods import pod as pods

    names = list(options.get("pods") or ())
    wide = [f"--{key}" for key in ("all", "latest") if options.get(key)]
    if names and wide:
        raise UsageError(f"{wide[0]} and pods cannot be used together")
    if len(wide) > 1:
        raise UsageError("--all and --latest cannot be used together")
    names += [pods.read_id_file(path) for path in options.get("pod_id_file") or ()]
    if options.get("all"):
        return [(pod.id, pod) for pod in pods.listing(engine)]
    if options.get("latest"):
        newest = latest(engine)
        return [(newest.id, newest)]
    if not names:
        raise UsageError("you must provide at least one pod name or id")
    return [(name, None) for name in names]


def latest(engine: Engine) -> Pod:
    """The pod created last. NotFoundError when there is none."""
    from crate.engine.pods import pod as pods

    every = pods.listing(engine)
    if not every:
        raise NotFoundError("no pods found: no such pod")
    return every[0]


def found(engine: Engine, options: dict[str, Any]) -> list[Pod]:
    """The pods that the options mean. NotFoundError for the first that is not there."""
    from crate.engine.pods import pod as pods

    return [known or pods.find(engine, name) for name, known in choose(engine, options)]


def each(
    options: dict[str, Any],
    act: Callable[[Engine, Pod], object],
    status_of: Callable[[CrateError], int] = lambda error: error.exit_status,
) -> int:
    """Does it to every chosen pod and prints the id of each success; the gravest exit status of the failures."""
    import crate.engine
    from crate.cli import app, output
    from crate.engine.pods import pod as pods

    engine = crate.engine.open(options["globals"], warn=output.warn)
    status = 0
    for name, known in choose(engine, options):
        try:
            pod = known or pods.find(engine, name)
            act(engine, pod)
        except CrateError as error:
            if isinstance(error, NotFoundError) and (options.get("ignore") or known):
                continue  # with --all: another command removed it meanwhile
            app.report(error)
            status = max(status, status_of(error))
        else:
            output.line(pod.id)
    return status


def rows(verb: str) -> list[Row]:
    """The argument and the options that the verbs on pods share; `verb` as in `Start all pods`."""
    from crate.cli.options import argument, flag, many

    return [
        argument("pods", "POD [POD...]", required=False, several=True),
        flag("--all", "-a", help=f"{verb} all pods"),
        flag("--latest", "-l", help="Act on the pod created last"),
        many("--pod-id-file", help="Read the pod ID from the file", metavar="path"),
    ]
