"""Healing of a container whose monitor is gone: killed, or lost with the boot."""

from __future__ import annotations

import time

from crate import cgroup
from crate.engine import amendments
from crate.engine.monitor import aftermath
from crate.engine.recovery.sweeping import sweep_leases
from crate.errors import CrateError
from crate.storage.lock import Lock
from crate.storage.roots import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine


def heal(engine: Engine, container: Container, dead: dict[str, Any]) -> None:
    """Ends what is left of it, and records how it ended. `dead` is the state that its monitor left."""
    from crate.engine.containers import EXIT, _read, is_alive, kill_recorded

    try:
        lock = Lock(container.paths.run_directory)
        lock.acquire()
    except FileNotFoundError:
        return
    try:
        there = _read(container.paths.state)
        if there != dead or is_alive(dead["monitor_pid"], dead["monitor_start"], dead["boot_id"]):
            return  # another command was first
        amendments.adopt_last(container.paths.run_directory, dead)  # networks that it was connected to while it ran
        same_boot, died = dead["boot_id"] == boot_id(), False
        oom_killed = False
        if same_boot:
            group = cgroup.from_record(dead["cgroup"])
            try:
                group.thaw()  # v1 lets a frozen process die only when it is thawed
            except CrateError:
                pass
            kill_recorded(dead)
            try:
                oom_killed = group.oom_kills() > 0
                group.kill()
            except (OSError, CrateError):
                pass
        known = _read(f"{container.paths.files}/{EXIT}")
        if known and known.get("started_at") == dead["started_at"]:
            ended = known  # the monitor was killed between its record and the removal of its state
        else:
            ended = _end_of(dead, same_boot, oom_killed)
            died = dead["status"] != "restarting"
        facts = facts_of(engine, container, dead)
        if died:
            aftermath.tell(facts, "died", exit_code=ended["exit_code"])
        aftermath.record_and_release(facts, ended)
    finally:
        lock.release()
    if same_boot:
        aftermath.clean(facts)
        sweep_leases(engine)


def _end_of(dead: dict[str, Any], same_boot: bool, oom_killed: bool) -> dict[str, Any]:
    text = "its monitor was killed" if same_boot else "the host was restarted"
    if dead["status"] == "restarting":  # it had ended, and only waited
        return {key: dead[key] for key in _KNOWN} | {"status": "exited", "error": text}
    return {
        "version": 1,
        "status": "exited",
        "pid": 0,
        "exit_code": 137 if same_boot else 255,
        "oom_killed": oom_killed,
        "started_at": dead["started_at"],
        "finished_at": time.time_ns(),
        "error": text,
        "restarts": dead.get("restarts", 0),
    }


_KNOWN = ("version", "pid", "exit_code", "oom_killed", "started_at", "finished_at", "restarts")


def facts_of(engine: Engine, container: Container, state: dict[str, Any]) -> dict[str, Any]:
    """What the monitor knew, as far as the aftermath needs it."""
    return {
        "version": 1,
        "id": container.id,
        "name": container.name,
        "graphroot": engine.roots.graphroot,
        "runroot": engine.roots.runroot,
        "rootless": engine.roots.rootless,
        "uid": engine.roots.uid,
        "files": container.paths.files,
        "directory": container.paths.directory,
        "run_directory": container.paths.run_directory,
        "rm": container.record["remove"],
        "image": container.record["image_name"],
        "labels": container.record["labels"],
        "pod": container.record["options"].get("pod_id"),
        "infra": bool(container.record["options"].get("infra")),
        "volumes": container.record["anonymous_volumes"],
        "state": state,
        "log": None,
    }
