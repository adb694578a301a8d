"""What follows the end of a container: record, release, answer, and only then the slow cleaning.

statistics      read before the cgroup goes
exit record     the state that later commands see
release         whatever others can observe as taken: name (--rm), address, ports, directory
answer          the clients are told the status
clean           cgroup, trash, firewall elements: nobody can observe them
"""

from __future__ import annotations

import os
import time

from crate import cgroup
from crate.engine.monitor import wire
from crate.engine.offspring import exit_code
from crate.engine.recovery.sweeping import sweep
from crate.errors import CrateError
from crate.net import sandbox
from crate.oci import json
from crate.storage import containers, journal
from crate.storage.durable import read_file, write_file
from crate.storage.roots import Roots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from crate.engine.monitor.monitor import Monitor

#: the mark, in the run directory, of a --rm container that is to be started again (restart.py)
KEPT = "kept"


def finish(monitor: Monitor) -> NoReturn:
    """Buries the container of a monitor whose loop has seen its end; the process ends with it."""
    facts, streams = monitor.facts, monitor.streams
    state = facts["state"]
    _, status = os.waitpid(state["pid"], 0)
    if os.access(f"{facts['run_directory']}/amended.json", os.F_OK):
        from crate.engine.amendments import adopt_last

        adopt_last(facts["run_directory"], state)
    group = cgroup.from_record(state["cgroup"])
    if group.pids():
        group.kill()  # in a pid namespace that it shares, the end of its first process ends no other
    streams.drain()
    if facts.get("tracer"):
        from crate.engine import refusals

        facts["diagnosis"] = refusals.end(facts["tracer"], facts["files"])
    if monitor.lean:
        _learn_name(facts)
    ended = {
        "version": 1,
        "status": "exited",
        "pid": 0,
        "exit_code": -1 if facts.get("timed_out") else exit_code(status),
        "oom_killed": group.oom_kills() > 0,
        "started_at": state["started_at"],
        "finished_at": time.time_ns(),
        "error": "",
        "restarts": state.get("restarts", 0),
    }
    if ended["oom_killed"]:
        tell(facts, "oom")
    tell(facts, "died", exit_code=ended["exit_code"])
    if os.access(f"{facts['run_directory']}/settings.json", os.F_OK):
        from crate.engine.monitor import restarting

        seconds = restarting.plan(monitor, ended)
        if seconds is not None:
            restarting.again(monitor, ended, seconds, _give_back)
    bury(monitor, ended)


def _learn_name(facts: dict[str, Any]) -> None:
    """It may have been renamed since this process was given its facts."""
    try:
        facts["name"] = json.loads(read_file(f"{facts['files']}/container.json"))["name"]
    except (OSError, ValueError, KeyError):
        pass  # removed under it


def bury(monitor: Monitor, ended: dict[str, Any]) -> NoReturn:
    """Records the end for good, tells the clients, and cleans up; the process ends with it."""
    facts, streams = monitor.facts, monitor.streams
    try:
        record_and_release(facts, ended)
    except (OSError, CrateError):
        pass  # a full disk: the next command meets a dead monitor's container, and heals it; the clients are answered
    monitor.listener.close()
    if facts.get("diagnosis"):
        streams.tell_diagnosis(facts["diagnosis"])
    streams.tell(wire.ENDED, ended)
    streams.flush_all()
    if facts["rm"]:
        streams.await_followers()
    for client in list(streams.clients):
        client.socket.close()
    clean(facts)
    os._exit(0)


def roots_of(facts: dict[str, Any]) -> Roots:
    """The roots that the container was started with."""
    return Roots(facts["graphroot"], facts["runroot"], facts["rootless"], facts["uid"])


def record_and_release(facts: dict[str, Any], ended: dict[str, Any]) -> None:
    """Writes the exit record and gives back what others can observe as taken."""
    roots = roots_of(facts)
    if facts.get("infra"):
        from crate.engine.pods.end import end_with_sandbox

        end_with_sandbox(roots, facts["id"])
    lease = facts["state"].get("lease")
    if lease:
        try:
            sandbox.release(roots, lease)
        except (OSError, CrateError):
            pass  # a dead owner's lease is free as well
    if facts["rm"] and not os.access(f"{facts['run_directory']}/{KEPT}", os.F_OK):
        if facts["volumes"]:
            from crate.storage.volumes import remove_each

            remove_each(roots, facts["volumes"])  # first: nobody else knows whose they were
        containers.release(roots, facts["id"], facts["name"])
        tell(facts, "remove")
        return
    write_file(None, f"{facts['files']}/exit.json", json.dumps(ended), durable=False)
    for name in ("state.json", "attach.sock"):
        try:
            os.unlink(f"{facts['run_directory']}/{name}")
        except FileNotFoundError:
            pass


def tell(facts: dict[str, Any], action: str, **more: Any) -> None:
    """Records an event of the container."""
    if facts.get("pod"):
        more["pod_id"] = facts["pod"]
    # A monitor of an older crate did not know the last two.
    name, image, labels = facts["name"], facts.get("image", ""), facts.get("labels")
    journal.record(roots_of(facts), "container", action, facts["id"], name, image=image, attributes=labels, **more)


def _give_back(facts: dict[str, Any]) -> None:
    """What a container does not hold while it waits for its restart."""
    lease, steps = facts["state"]["lease"], [cgroup.from_record(facts["state"]["cgroup"]).remove]
    if lease:
        steps = [lambda: sandbox.release(roots_of(facts), lease), lambda: sandbox.discard(lease), *steps]
    for step in steps:
        try:
            step()
        except (OSError, CrateError):
            continue  # the next start meets it, and tells


def clean(facts: dict[str, Any]) -> None:
    """Removes what nobody can observe any more. A failure here leaves it to the next command that sweeps."""
    try:
        if facts.get("pod") and not facts["infra"]:
            from crate.engine.pods.end import end_with_last

            end_with_last(roots_of(facts), facts["pod"])
        if facts["state"].get("cgroup"):
            cgroup.from_record(facts["state"]["cgroup"]).remove()
        if facts["state"].get("lease"):
            sandbox.discard(facts["state"]["lease"])
        if not facts["rm"]:
            containers.sync(containers.paths(roots_of(facts), facts["id"]))
        sweep(roots_of(facts), os.path.dirname(facts["state"]["cgroup"]["path"]), facts["id"])
    except (OSError, CrateError):
        pass
