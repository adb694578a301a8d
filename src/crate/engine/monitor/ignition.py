"""From a container on disk to a running one, the monitor's part; launch.py draws the whole.

Each effect has its undo; when a step fails they run in reverse and the caller is told the error.
"""

from __future__ import annotations

import os
import stat
import time

from crate import cgroup, hotcore
from crate.cgroup.mounts import mounts_of
from crate.engine.containers import load
from crate.engine.joining import borrow_mounts, resolve
from crate.engine.monitor import monitor, wire
from crate.engine.monitor.streams import Client, Streams
from crate.engine.offspring import make_pipes, refuse
from crate.errors import CrateError, HostError, NotFoundError
from crate.linux.process import start_time
from crate.net import etc_files, sandbox
from crate.oci import json
from crate.plan.quantities import size_bytes
from crate.runtime import create as runtime
from crate.runtime.devices import with_default_rules
from crate.storage import journal
from crate.storage.durable import write_file
from crate.storage.roots import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Any, NoReturn

    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.storage.roots import Roots


def ignite(engine: Engine, socket: _socket.socket, order: dict[str, Any], root_mount_fd: int) -> NoReturn:
    """Starts the container of an order, serves it and buries it. Ends with os._exit.

    `order`: the container's `id`, and `hello`, what its caller wants to see. `root_mount_fd` is its root file system.
    """
    undo: list[Callable[[], object]] = []
    try:
        container = load(engine, order["id"])
        if container is None:
            raise NotFoundError(f"no such container: {order['id']}")
        running = start(engine, container, socket, root_mount_fd, order["hello"], undo)
    except CrateError as error:
        unwind(undo, error)
        refuse(socket, error)
    except OSError as error:
        failure = HostError(f"cannot start the container: {error}")
        unwind(undo, failure)
        refuse(socket, failure)
    # Loaded while the container runs: nothing of it is needed before, and after an upgrade it would be another's.
    hotcore.load("aftermath")
    from crate.engine.monitor import aftermath

    hotcore.learn()
    running.serve()
    aftermath.finish(running)


def unwind(undo: list[Callable[[], object]], error: CrateError) -> None:
    """Undoes the effects of a start that has failed, the last one first."""
    while undo:
        try:
            undo.pop()()
        except (OSError, CrateError) as second:
            error.add_note(f"and while undoing: {second}")


def start(
    engine: Engine,
    container: Container,
    socket: _socket.socket,
    root_mount_fd: int,
    hello: dict[str, Any],
    undo: list[Callable[[], object]],
) -> monitor.Monitor:
    """Starts it; gives its monitor, this process, before it serves. `undo` gets the way back from each effect."""
    spec, record, roots = resolve(engine, container), container.record, engine.roots
    linux = spec.get("linux") or {}
    names = [container.name, container.id[:12], record["hostname"]]
    lease = sandbox.prepare(roots, engine.settings, record["network"], container.id, names=names)
    undo += [lambda: sandbox.discard(lease), lambda: sandbox.release(roots, lease)]  # in reverse
    resources = with_default_rules(linux.get("resources") or {})
    group = _make_group(roots, linux.get("cgroupsPath") or f"/crate/{container.id}", resources)
    undo.append(group.remove)
    options = record["options"]
    if options.get("cgroup_parent") and not options.get("pod_id") and not group.directories():
        raise HostError("cannot use --cgroup-parent: this user has no cgroups here", "leave it away, or use cgroup v2")
    if resources.get("devices") and not group.has_device_rules and not roots.rootless:
        spec = _without_mknod(spec)  # no cgroup says which devices may be opened, so none are to be made

    if record.get("links"):
        from crate.engine.networks import links

        spec, record = links.at_start(engine, container, lease, spec)
    etc_files.write(record, lease, container.paths.directory)
    given: dict[int, int] = {}
    if record.get("secrets"):
        from crate.engine import secret_files

        spec, given = secret_files.at_start(container, spec)

    terminal = bool((spec.get("process") or {}).get("terminal"))
    if terminal and hello.get("size"):
        rows, columns = hello["size"]
        spec = {**spec, "process": {**spec["process"], "consoleSize": {"height": rows, "width": columns}}}
    output, stdin_fd, theirs = make_pipes(terminal, bool(record["interactive"]), hello.pop("streams", None))
    if theirs and record.get("ids") and not hello.get("passthrough"):
        _give_streams(record, spec, theirs)
    recorder = None
    if (linux.get("seccomp") or {}).get("listenerPath"):
        with hotcore.Apart(""):
            from crate.runtime.owners import recorder_of

            recorder = recorder_of(spec, container.paths.directory, f"{roots.graphroot}/volumes")
    if recorder:
        undo.append(recorder.close)
    created = runtime.create(
        container.id,
        container.paths.files,
        spec,
        root_mount_fd=root_mount_fd,
        mountpoint=container.paths.work,
        stdio=theirs,
        cgroup=group,
        cgroup_mounts=mounts_of(spec, group),
        bind_devices=roots.rootless,
        mount_fds={**_mount_fds(engine, container, spec), **given},
        seccomp_cache=f"{roots.graphroot}/cache/seccomp",
    )
    undo.append(created.abandon)
    # While init is as this process is: later it has other ids, and is not dumpable.
    tracer = _trace(engine, container, spec, created.pid) if options.get("diagnose") else 0
    if theirs:
        for fd in theirs:
            os.close(fd)
    os.close(root_mount_fd)
    if created.netns_fd >= 0:
        sandbox.connect(lease, created.netns_fd)
        os.close(created.netns_fd)
        sandbox.publish(lease)
    listener = wire.listen(container.paths.attach_socket)
    undo.append(lambda: os.unlink(container.paths.attach_socket))
    # What can be made while init works is made now.
    own = os.getpid()
    state = {
        "version": 1,
        "status": "running",
        "pid": created.pid,
        "start_time": start_time(created.pid),
        "monitor_pid": own,
        "monitor_start": start_time(own),
        "boot_id": boot_id(),
        "started_at": 0,
        "finished_at": 0,
        "exit_code": 0,
        "restarts": record.get("restarts", 0),
        "cgroup": group.record(),
        "lease": lease,
    }
    facts = {
        "version": 1,
        "id": container.id,
        "name": container.name,
        "graphroot": roots.graphroot,
        "runroot": roots.runroot,
        "rootless": roots.rootless,
        "uid": roots.uid,
        "files": container.paths.files,
        "directory": container.paths.directory,
        "run_directory": container.paths.run_directory,
        "rm": record["remove"],
        "image": record["image_name"],
        "labels": record["labels"],
        "pod": record["options"].get("pod_id"),
        "infra": bool(record["options"].get("infra")),
        "volumes": record["anonymous_volumes"],
        "log": _log(container, spec, record),
        "health": record["health"] if record["options"].get("health_interval") != "disable" else None,
        "state": state,
        "dns": record["files"]["dns"],
        "membership": engine.membership,
        "tracer": tracer,
        "kill_at": _kill_at(record),
    }
    log = monitor.open_log(facts)
    created.await_prepared()
    if recorder:
        recorder.begin(created.root_fd, created.pidfd)
    if terminal:
        output, stdin_fd = {created.terminal_fd: wire.STDOUT}, created.terminal_fd
    state["started_at"] = time.time_ns()
    write_file(None, container.paths.state, json.dumps(state), durable=False)
    undo.append(lambda: os.unlink(container.paths.state))
    if record["restart"]["name"] != "no" or record.get("health_on_failure") == "restart":
        from crate.engine.monitor import restarting

        restarting.prepare(engine, container)
    created.start()
    for fd in [*output, stdin_fd]:
        if fd >= 0:
            os.set_blocking(fd, False)
    streams = Streams(log, output, stdin_fd, terminal)
    try:
        wire.send_started(socket, created.pid, created.pidfd)
        streams.clients.append(Client(socket, hello))
    except OSError:
        socket.close()  # the caller was killed: the container goes on without it
    journal.of_container(roots, "start", record)
    if hello:
        journal.of_container(roots, "attach", record)
    return monitor.Monitor(facts, streams, listener, created.pidfd)


def _make_group(roots: Roots, path: str, resources: dict[str, Any]) -> cgroup.Cgroup:
    """The container's cgroup; where an ordinary user has no right to limits, in a scope that systemd gives."""
    try:
        return cgroup.create(path, resources)
    except HostError:
        if not roots.rootless:
            raise
        from crate.cgroup import scope

        if not scope.enter(roots.uid):
            raise
        return cgroup.create(path, resources)


def _give_streams(record: dict[str, Any], spec: dict[str, Any], fds: tuple[int, int, int]) -> None:
    """The pipes belong to the container's user, who may open them again as /dev/stdout."""
    from crate.engine.user_namespaces import outside

    user = (spec.get("process") or {}).get("user") or {}
    owner = outside(record, user.get("uid", 0), user.get("gid", 0))
    for fd in fds:
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.fchown(fd, *owner)


def _trace(engine: Engine, container: Container, spec: dict[str, Any], pid: int) -> int:
    """Starts what sees the program's refused calls; gives its pid."""
    with hotcore.Apart(""):
        from crate.engine.refusals import begin

        return begin(engine, container, spec, pid)


def _kill_at(record: dict[str, Any]) -> float | None:
    """The moment (CLOCK_MONOTONIC) at which `--timeout` ends the container."""
    seconds = record.get("timeout")
    return time.monotonic() + seconds if seconds else None


def _mount_fds(engine: Engine, container: Container, spec: dict[str, Any]) -> dict[int, int]:
    """The mounts that are not made from the spec alone: place in spec.mounts -> descriptor."""
    made = borrow_mounts(container, spec) if container.record["joins"] else {}
    if container.record.get("image_mounts"):
        from crate.engine.image_mounts import open_all

        made.update(open_all(engine, container, spec))
    return made


def _without_mknod(spec: dict[str, Any]) -> dict[str, Any]:
    process = spec["process"]
    sets = {name: [cap for cap in caps if cap != "CAP_MKNOD"] for name, caps in process["capabilities"].items()}
    return {**spec, "process": {**process, "capabilities": sets}}


def _log(container: Container, spec: dict[str, Any], record: dict[str, Any]) -> dict[str, Any] | None:
    given = record["log"]["options"]
    if record["log"]["driver"] != "json-file" or len(given) > 2:
        from crate.engine.logs.drivers import facts_of

        return facts_of(container, spec)
    size = given.get("max-size", "-1")
    max_bytes = 0 if size == "-1" else size_bytes("log-opt max-size", size, 1000)
    return {"path": container.paths.log, "max_bytes": max_bytes, "max_files": int(given.get("max-file", "1"))}
