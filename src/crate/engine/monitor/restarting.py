"""The restart policy: whether a container that has ended begins again, when, and by whom; docs/decisions/0086.

The monitor does it, in three steps, each in a fresh image of the same process (handover.py):

    bury    the end is recorded as `restarting`; network and cgroup are given back
    again   waits, serves attached clients and whoever cancels; then starts the container as `start` does
    resume  lean, as after any start

    <directory>/stopped            a user has stopped it: on the disk, since `unless-stopped` asks after a reboot
    <run directory>/settings.json  the settings in force when it was started or given a policy; without it, no policy
    <run directory>/restart-now    it was killed for to be restarted (--health-on-failure=restart)
"""

from __future__ import annotations

import os
import select
import time

from crate.engine.containers import AMENDED, PAUSED
from crate.engine.monitor import wire
from crate.errors import CrateError, HostError
from crate.oci import json
from crate.storage import journal
from crate.storage.durable import RUN_FILE_MODE, read_file, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.engine.monitor.monitor import Monitor

STOPPED, SETTINGS, NOW = "stopped", "settings.json", "restart-now"
#: docker's: the first wait, the longest, and the life after which the first comes again
_FIRST_SECONDS, _LONGEST_SECONDS, _SETTLED_SECONDS = 0.1, 60.0, 10.0


def prepare(engine: Engine, container: Container) -> None:
    """Before a start of one that has a policy: an earlier stop is forgotten, unless this is a restart."""
    provide(engine, container)
    if "restarts" not in container.record:
        _forget(f"{container.paths.directory}/{STOPPED}", f"{container.paths.run_directory}/{NOW}")


def provide(engine: Engine, container: Container) -> None:
    """Tells the monitor the settings for a restart, and that there is a policy at all."""
    given = {key: list(value) for key, value in engine.settings.given().items()}
    path = f"{container.paths.run_directory}/{SETTINGS}"
    write_file(None, path, json.dumps(given), durable=False, mode=RUN_FILE_MODE)


def stopped_by_user(container: Container) -> bool:
    """Whether a user ended it, after its last start."""
    return os.access(f"{container.paths.directory}/{STOPPED}", os.F_OK)


def end_for_good(engine: Engine, container: Container) -> bool:
    """As kill.end_for_good, of one with a policy. To be called before the signal."""
    _mark(container.paths.directory)
    waited = False
    while container.state(engine, fresh=True)["status"] == "restarting":
        waited = True
        _cancel(container)
    return waited and container.state(engine)["status"] not in ("running", "paused")


def _mark(directory: str) -> None:
    try:
        write_file(None, f"{directory}/{STOPPED}", "", durable=True)
    except FileNotFoundError:
        pass  # it has just been removed


def _forget(*paths: str) -> None:
    for path in paths:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass


def _cancel(container: Container) -> None:
    """Ends the wait of a container that is `restarting`; returns when it has ended, or was faster and runs again."""
    try:
        socket = wire.connect(container.paths.attach_socket)
    except OSError:
        return
    poll = select.poll()
    poll.register(socket.fileno(), select.POLLIN)
    try:
        socket.send(wire.CANCEL)
        while poll.poll(1000) and wire.receive(socket)[:1] not in (b"", wire.ENDED):
            pass
    except OSError:
        pass
    finally:
        socket.close()


def plan(monitor: Monitor, ended: dict[str, Any]) -> float | None:
    """The seconds until the container of this monitor is to begin again; None when it is not."""
    facts = monitor.facts
    try:
        record = json.loads(read_file(f"{facts['files']}/container.json"))
    except (OSError, ValueError):
        return None  # removed under it
    _hear(monitor)
    if facts.get("stopped"):
        _mark(facts["directory"])
    at_once = f"{facts['run_directory']}/{NOW}"
    wanted = _wants(record["restart"], ended["exit_code"], facts["state"].get("restarts", 0))
    if os.access(f"{facts['directory']}/{STOPPED}", os.F_OK) or facts["rm"]:
        return None
    if os.access(at_once, os.F_OK):
        _forget(at_once)
        return 0.0
    if not wanted:
        return None
    lived = (ended["finished_at"] - ended["started_at"]) / 1e9
    last = 0.0 if lived >= _SETTLED_SECONDS else float(facts["state"].get("backoff", 0.0))
    return min(last * 2 or _FIRST_SECONDS, _LONGEST_SECONDS)


def _hear(monitor: Monitor) -> None:
    """What clients had sent when the container ended: that it is not to be restarted may be among it."""
    for client in monitor.streams.clients:
        try:
            while packet := client.socket.recv(wire.CHUNK + 1):
                if packet[:1] == wire.CANCEL:
                    monitor.facts["stopped"] = True
        except OSError:
            continue


def _wants(policy: dict[str, Any], exit_code: int, restarts: int) -> bool:
    if policy["name"] == "on-failure":
        most = policy["maximum_retry_count"]
        return exit_code != 0 and (not most or restarts < most)
    return policy["name"] in ("always", "unless-stopped")


def again(monitor: Monitor, ended: dict[str, Any], seconds: float, release: Callable[[dict[str, Any]], None]) -> None:
    """Goes over to the wait; returns when this process cannot. `release` gives back network and cgroup."""
    facts, streams = monitor.facts, monitor.streams
    facts["state"] = state = facts["state"] | ended
    state |= {"status": "restarting", "start_time": 0, "backoff": seconds, "restarts": state.get("restarts", 0) + 1}
    _write_state(facts)
    _forget(*(f"{facts['run_directory']}/{name}" for name in (PAUSED, AMENDED)))
    release(facts)
    state["lease"] = None
    _write_state(facts)
    for fd in list(streams.output):
        streams.close_output(fd)
    if streams.stdin_fd >= 0:
        os.close(streams.stdin_fd)
    os.close(monitor.pidfd)
    streams.stdin_fd, streams.stdin_pending, monitor.pidfd = -1, [], -1
    from crate.engine.monitor import handover

    handover.execute(monitor, "restart")
    restart(monitor)


def _write_state(facts: dict[str, Any]) -> None:
    write_file(None, f"{facts['run_directory']}/state.json", json.dumps(facts["state"]), durable=False)


def restart(monitor: Monitor) -> NoReturn:
    """Process `crate:monitor` of a container that waits for its restart: starts it, or buries it."""
    from crate.engine.monitor import aftermath

    state = monitor.facts["state"]
    ended = {key: state[key] for key in _ENDED}
    if _wait(monitor, float(state["backoff"])):
        running = _start(monitor, ended)
        if running:
            running.serve()
            aftermath.finish(running)
    aftermath.bury(monitor, ended | {"status": "exited"})


_ENDED = ("version", "pid", "exit_code", "oom_killed", "started_at", "finished_at", "error", "restarts")


def _wait(monitor: Monitor, seconds: float) -> bool:
    """Serves clients until the time has come; False when somebody has cancelled."""
    facts, until = monitor.facts, time.monotonic() + seconds
    while not facts.get("stopped") and not os.access(f"{facts['directory']}/{STOPPED}", os.F_OK):
        left = until - time.monotonic()
        if left <= 0:
            return True
        poll = select.poll()
        poll.register(monitor.listener.fileno(), select.POLLIN)
        monitor.streams.interests(poll)
        for fd, event in poll.poll(left * 1000):
            monitor.handle(fd, event)
    return False


def _start(monitor: Monitor, ended: dict[str, Any]) -> Monitor | None:
    """The monitor of the new run, with the clients of the old one; None, and `ended` says why, when there is none."""
    from crate.engine.containers import load
    from crate.engine.context import Engine
    from crate.engine.monitor import ignition
    from crate.engine.root_mount import mount_root
    from crate.settings import Settings
    from crate.storage.lock import Lock
    from crate.storage.roots import open_roots

    facts, undo = monitor.facts, []  # type: tuple[dict[str, Any], list[Callable[[], object]]]
    ours, theirs = wire.pair()
    try:
        given = json.loads(read_file(f"{facts['run_directory']}/{SETTINGS}"))
        settings = Settings({key: (value, origin) for key, (value, origin) in given.items()})
        engine = Engine(open_roots(facts["graphroot"], facts["runroot"]), settings)
        engine.membership = facts["membership"]
        container = load(engine, facts["id"])
        if container is None:
            return None
        if container.record["options"].get("pod_id"):
            from crate.engine.pods.members import enter

            enter(engine, container)
        with Lock(container.paths.directory):
            if stopped_by_user(container):
                return None
            container.record["restarts"] = facts["state"]["restarts"]
            root_mount_fd = mount_root(engine.roots, container.record, container.paths.directory)
            running = ignition.start(engine, container, theirs, root_mount_fd, _hello(monitor), undo)
    except (CrateError, OSError, ValueError) as error:
        failure = error if isinstance(error, CrateError) else HostError(f"cannot restart the container: {error}")
        ignition.unwind(undo, failure)
        ended |= {"exit_code": failure.exit_status, "error": failure.message}
        ours.close()
        return None
    ours.close()
    _take_over(monitor, running)
    journal.of_container(engine.roots, "restart", container.record)
    return running


def _hello(monitor: Monitor) -> dict[str, Any]:
    """The size of a client's terminal, which the new program has from its first moment on."""
    sizes = [client.hello["size"] for client in monitor.streams.clients if client.hello and client.hello.get("size")]
    return {"size": sizes[0]} if sizes else {}


def _take_over(monitor: Monitor, running: Monitor) -> None:
    """Gives the new run the clients of the old one, and those that knocked at the old door."""
    monitor.listener.setblocking(False)
    while True:
        try:
            monitor.accept()
        except BlockingIOError:
            break
    monitor.listener.close()
    for client in list(running.streams.clients):
        running.streams.clients.remove(client)
        client.socket.close()
    state = running.facts["state"]
    state["backoff"] = monitor.facts["state"]["backoff"]
    packet = wire.RESTARTED + json.dumps({"pid": state["pid"], "start_time": state["start_time"]}).encode()
    for client in monitor.streams.clients:
        running.streams.clients.append(client)
        if client.hello and not client.tell(packet):
            running.streams.drop(client)
