"""Which containers a verb means (names, --all, --latest, --cidfile, --filter) and doing it to each of them."""

from __future__ import annotations

from crate.cli import app, output
from crate.errors import CrateError, NotFoundError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine


def check(options: dict[str, Any]) -> None:
    """Refuses combinations that mean nothing, before anything is touched."""
    wide = [f"--{key}" for key in ("all", "latest", "filter", "cidfile") if options.get(key)]
    if "--all" in wide and "--latest" in wide:
        raise UsageError("--all and --latest cannot be used together")
    if options.get("containers"):
        for key in wide:
            if key in ("--all", "--latest"):
                raise UsageError(f"{key} and containers cannot be used together")
    elif not wide:
        raise UsageError("you must provide at least one name or id of a container")


def choose(
    engine: Engine, options: dict[str, Any], default_states: tuple[str, ...] = ()
) -> list[tuple[str, Container | None]]:
    """What is to be done: (the name to print, the container, or None where the name must still be looked up).

    `default_states` are the states that --all and --filter take in; () for every state.
    """
    from crate.engine import containers

    names = list(options.get("containers") or ())
    for path in options.get("cidfile") or ():
        names.append(_read_id(path, bool(options.get("ignore"))))
    found: list[tuple[str, Container | None]] = [(name, None) for name in names if name]
    if options.get("filter") and found:
        from crate.cli import filters

        named = {name: containers.find(engine, name) for name, _ in found}
        passed = filters.containers(engine, options["filter"], list(named.values()))
        found = [(name, container) for name, container in named.items() if container in passed]
    elif options.get("all") or options.get("filter"):
        listed = containers.listing(engine)
        if options.get("filter"):
            from crate.cli import filters

            listed = filters.containers(engine, options["filter"], listed)
        found += [(c.id, c) for c in listed if not default_states or c.state(engine)["status"] in default_states]
    if options.get("latest"):
        newest = latest(engine)
        found.append((newest.id, newest))
    return found


def latest(engine: Engine) -> Container:
    """The container created last."""
    from crate.engine import containers

    every = containers.listing(engine)
    if not every:
        raise NotFoundError("no containers found")
    return max(every, key=lambda container: container.record["created"])


def one(engine: Engine, options: dict[str, Any], key: str = "container") -> Container:
    """The single container that a command names, or the --latest one."""
    from crate.engine import containers

    name = options.get(key)
    if options.get("latest"):
        if name:
            raise UsageError("--latest and containers cannot be used together")
        return latest(engine)
    if not name:
        raise UsageError("you must provide a name or id of a container")
    return containers.find(engine, name)


def each(
    options: dict[str, Any],
    act: Callable[[Engine, Container], object],
    *,
    default_states: tuple[str, ...] = (),
    status_of: Callable[[CrateError], int] = lambda error: error.exit_status,
    quiet: bool = False,
    prepare: Callable[[Engine, Container], object] | None = None,
    missing: Callable[[NotFoundError], object] = lambda error: None,
) -> int:
    """Does it to every chosen container, prints the name of each success; failures do not stop the others.

    The exit status is the gravest of those that `status_of` gives the errors. `prepare` is done to all of several
    before the first is acted upon; `missing` is told of what --ignore passes over.
    """
    import crate.engine
    from crate.engine import containers

    check(options)
    engine = crate.engine.open(options["globals"])
    status = 0
    chosen = choose(engine, options, default_states)
    if prepare and len(chosen) > 1:
        chosen = [(name, known or _known(engine, name)) for name, known in chosen]
        for _, container in chosen:
            if container:
                prepare(engine, container)
    for name, known in chosen:
        try:
            act(engine, known or containers.find(engine, name))
        except NotFoundError as error:
            if options.get("ignore"):
                missing(error)
                continue
            app.report(error)
            status = max(status, status_of(error))
        except CrateError as error:
            app.report(error)
            status = max(status, status_of(error))
        else:
            if not quiet:
                output.line(name)
    return status


def _known(engine: Engine, name: str) -> Container | None:
    """The container of a name; None for one that `act` is going to complain of."""
    from crate.engine import containers

    try:
        return containers.find(engine, name)
    except CrateError:
        return None


def _read_id(path: str, ignore: bool) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip()
    except FileNotFoundError:
        if ignore:
            return ""
        raise NotFoundError(f"cannot read container ID of {path}: no such file") from None
