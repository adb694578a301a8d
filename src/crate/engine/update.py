"""Changing the limits of a container, in its records and, while it runs, in its control groups."""

from __future__ import annotations

from crate import cgroup
from crate.cgroup.lifting import difference
from crate.engine import amendments
from crate.errors import CrateError, NotFoundError, StateError, UsageError
from crate.oci import json
from crate.plan.host import Host
from crate.plan.record import restart_policy
from crate.plan.update import make_update
from crate.storage import containers as store
from crate.storage import journal
from crate.storage.durable import RUN_FILE_MODE, write_file
from crate.storage.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine


def update(engine: Engine, container: Container, given: dict[str, Any]) -> None:
    """Gives it the limits and the restart policy of these options (keys as of `run`; None: as it was).

    First the kernel's files, then the records: what the kernel refuses changes nothing. UsageError, HostError.
    """
    try:
        with Lock(container.paths.directory):
            _update(engine, container, given)
    except FileNotFoundError:
        raise NotFoundError(f"no such container: {container.name}") from None


def _update(engine: Engine, container: Container, given: dict[str, Any]) -> None:
    record = store.read_record(engine.roots, container.id)
    if record is None:
        raise FileNotFoundError
    state = container.state(engine, fresh=True)
    if state["status"] == "removing":
        raise StateError(f"cannot update container {container.name}: it is being removed")
    spec, warnings = container.spec(), []  # type: tuple[dict[str, Any], list[str]]
    before = spec["linux"].get("resources") or {}
    if given.get("restart") is not None:
        policy = {"restart": given["restart"], "rm": record["remove"]}
        record["restart"] = restart_policy(policy, engine.settings)
    given = dict(given)
    if rates := given.pop("network_rate", None):
        from crate.engine.networks import rates as network_rates
        from crate.net import sandbox

        sandbox.enter_home(engine.roots)
        network_rates.update(container, record, state, rates)
    host = Host(engine.roots.rootless)
    record["options"], after = make_update(record["options"], before, given, host, engine.settings, warnings)
    for text in warnings:
        if engine.warn:
            engine.warn(text)
    if state["status"] in ("running", "paused") and after != before:
        _change_group(container, state, before, after)
    spec["linux"]["resources"] = after
    durable = container.paths.files != container.paths.run_directory
    text = json.dumps(spec)
    write_file(None, container.paths.config, text, durable, 0o600 if durable else RUN_FILE_MODE)
    store.write_record(container.paths, record, durable)
    container.record = record
    if given.get("restart") is not None and state["status"] in ("running", "paused", "restarting"):
        from crate.engine.monitor import restarting

        restarting.provide(engine, container)
    journal.of_container(engine.roots, "update", record)


def _change_group(container: Container, state: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> None:
    group = cgroup.from_record(state["cgroup"])
    _refuse_to_kill(group, (after.get("memory") or {}).get("limit", 0))
    known = json.dumps(group.record())
    try:
        group.update(difference(group, before, after))
    except CrateError as error:
        try:
            group.update(difference(group, after, before))
        except CrateError as second:
            error.add_note(f"and while undoing: {second}")
        raise
    finally:
        if json.dumps(group.record()) != known:
            amendments.write(container.paths.run_directory, state, cgroup=group.record())


def _refuse_to_kill(group: cgroup.Cgroup, limit: int) -> None:
    """v1 refuses a limit below what cannot be reclaimed; v2 takes it, and kills."""
    if limit and group.unified and "memory" not in group.groups:
        used = (group.stats()["memory"].get("stat") or {}).get("anon", 0)
        if used > limit:
            raise UsageError(f"memory limit {limit}: {used} bytes are in use and cannot be reclaimed")
