"""One check of a container's health: a command in it, what it found on disk and told, and what follows from it.

Process `crate:health`: a child of the monitor (timer.py) or of `healthcheck run`, parent of the entered command.
It joins no namespace itself, dies with its parent, and ends with 0 (healthy), 1 (it is not) or 125 (nothing was found).
"""

from __future__ import annotations

import _signal
import os
import select
import sys
import time

from crate.engine import exec as entering
from crate.engine.containers import load
from crate.engine.context import Engine
from crate.engine.health import log as health_log
from crate.engine.kill import end_for_good
from crate.engine.logs.lines import timestamp
from crate.engine.offspring import exit_code
from crate.errors import CrateError, StateError
from crate.linux.process import PR_SET_PDEATHSIG, pidfd_send_signal, prctl, set_name
from crate.oci import json
from crate.settings import Settings
from crate.storage import journal
from crate.storage.durable import write_file
from crate.storage.lock import Lock
from crate.storage.roots import open_roots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from crate.engine.containers import Container

_TIMEOUT_SECONDS, _OUTPUT_CHARACTERS = 30.0, 500
_NOTHING = 125


def run(engine: Engine, container: Container) -> bool:
    """`healthcheck run`: whether the check found it healthy. StateError in podman's words."""
    if not container.record["health"]:
        raise StateError(f"container {container.id} has no defined healthcheck")
    if container.state(engine)["status"] != "running":
        raise StateError(f"container {container.id} is not running")
    from crate.engine.health.timer import spawn

    pid = spawn(engine.roots.graphroot, engine.roots.runroot, container.id, asked="asked")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status not in (0, 1):
        raise StateError(f"container {container.id} could not be checked: it was paused, or has just ended")
    return status == 0


def main() -> NoReturn:
    """The process; its arguments are those of health_timer.spawn."""
    graphroot, runroot, container_id, asked = sys.argv[1:5]
    prctl(PR_SET_PDEATHSIG, _signal.SIGKILL)
    set_name("crate:health")
    for number in (_signal.SIGINT, _signal.SIGHUP, _signal.SIGQUIT, _signal.SIGPIPE, _signal.SIGTERM):
        _signal.signal(number, _signal.SIG_DFL if asked else _signal.SIG_IGN)
    status = _NOTHING
    try:
        engine = Engine(open_roots(graphroot, runroot), Settings())
        container = load(engine, container_id)
        if container and container.record["health"]:
            status = _check(engine, container, bool(asked))
    except (CrateError, OSError):
        pass  # it has ended, which others record
    os._exit(status)


def _check(engine: Engine, container: Container, asked: bool) -> int:
    state = container.state(engine)
    if state["status"] != "running":
        return _NOTHING
    record, health = container.record, container.record["health"]
    began = time.time_ns()
    code, output = _run(engine, container, state, (health.get("Timeout") or 0) / 1e9 or _TIMEOUT_SECONDS)
    if container.state(engine, fresh=True)["status"] != "running":
        return _NOTHING  # paused, or it has ended: that says nothing of its health
    log = record.get("health_log") or {}
    size = log.get("size", _OUTPUT_CHARACTERS)
    entry = {
        "Start": timestamp(began),
        "End": timestamp(time.time_ns()),
        "ExitCode": code,
        "Output": output[:size] if size else output,
    }
    young = began - state["started_at"] < (health.get("StartPeriod") or 0)
    with Lock(container.paths.run_directory):
        found = health_log.of_state(container.paths.run_directory, state)
        before = found["Status"]
        health_log.add(found, health, log.get("count"), entry, young)
        health_log.write(container.paths.run_directory, state["started_at"], found)
    if log.get("directory"):
        _copy(container, log["directory"], found)
    if asked or found["Status"] != before:
        journal.of_container(engine.roots, "health_status", record, health_status=found["Status"])
    action = record.get("health_on_failure", "none")
    if found["Status"] == health_log.UNHEALTHY and action != "none":
        _act(engine, container, action)
    return 1 if code else 0


def _copy(container: Container, directory: str, found: dict[str, Any]) -> None:
    """--health-log-destination: podman's file, for whoever watches a directory of the host."""
    write_file(None, f"{directory}/{container.id}-healthcheck.log", json.dumps(found) + "\n", durable=False)


def _run(engine: Engine, container: Container, state: dict[str, Any], seconds: float) -> tuple[int, str]:
    """The status of the command (-1: it took too long) and what it said."""
    words = container.record["health"]["Test"]
    command = ["/bin/sh", "-c", *words[1:]] if words[0] == "CMD-SHELL" else words[1:]
    spec, pidfd = container.spec(), container.pidfd(engine)
    if container.record.get("secrets"):
        from crate.engine.secret_files import with_variables

        spec = with_variables(container, spec)
    process = entering.process_of(spec, state["pid"], pidfd, {"command": command})
    try:
        entered, output, _ = entering.enter(engine, container.id, state, spec, process, pidfd, False)
    except CrateError as error:
        return error.exit_status, error.message
    said, deadline, outputs = b"", time.monotonic() + seconds, set(output)
    for fd in outputs:
        os.set_blocking(fd, False)
    while time.monotonic() < deadline:
        poll = select.poll()
        for fd in (entered.pidfd, *outputs):
            poll.register(fd, select.POLLIN)
        ready = [fd for fd, _ in poll.poll(max(0.0, deadline - time.monotonic()) * 1000)]
        for fd in outputs & set(ready):
            data = os.read(fd, 65536)
            said = (said + data)[: 1 << 20]
            if not data:
                outputs.discard(fd)
        if ready == [entered.pidfd]:
            _, status = os.waitpid(entered.pid, 0)
            return exit_code(status), said.decode("utf-8", "replace")
    os.killpg(entered.pid, _signal.SIGKILL)
    if container.state(engine, fresh=True)["status"] == "running":  # a frozen one would die only when it goes on
        os.waitpid(entered.pid, 0)
    return -1, f"Health check exceeded timeout ({seconds:g}s)"


def _act(engine: Engine, container: Container, action: str) -> None:
    """--health-on-failure. A restart is the monitor's: it is told, and the container ended."""
    from crate.engine.monitor.restarting import NOW

    if action == "restart":
        write_file(None, f"{container.paths.run_directory}/{NOW}", "", durable=False)
    elif action == "stop":
        end_for_good(engine, container)
    seconds = container.record["stop_timeout"] if action != "kill" else 0
    pidfd = container.pidfd(engine)
    if seconds:
        pidfd_send_signal(pidfd, container.record["stop_signal"])
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(seconds * 1000)
    pidfd_send_signal(pidfd, _signal.SIGKILL)
