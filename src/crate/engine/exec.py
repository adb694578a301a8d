"""`exec`: one more process in a running container, relayed and reaped by the caller itself."""

from __future__ import annotations

import _signal
import os

from crate import cgroup
from crate.engine.attach import Relay, parse_detach_keys, warn_without_terminal, window_size
from crate.engine.monitor import wire
from crate.engine.monitor.streams import Client, Streams
from crate.engine.offspring import drop_inherited, exit_code, failure, make_pipes, own_membership, refuse
from crate.errors import StateError
from crate.linux.process import fork_child, pidfd_send_signal, set_name
from crate.oci import json
from crate.plan.environment import exec_environment
from crate.plan.host import Host
from crate.plan.refusal import refuse_nul
from crate.runtime import exec as runtime
from crate.runtime.identity import keeps_groups
from crate.runtime.user import lookup
from crate.storage import journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Any, NoReturn

    from crate.engine.containers import Container
    from crate.engine.context import Engine

_NO_HELLO = {"stdout": False, "stderr": False}


def exec(engine: Engine, container: Container, options: dict[str, Any]) -> int:
    """The exit status of the command; 0 for a detached one."""
    state = container.state(engine)
    if state["status"] == "paused":
        raise StateError(f"cannot exec in container {container.name}: it is paused", f"crate unpause {container.name}")
    if state["status"] != "running":
        raise StateError(
            f"cannot exec in container {container.name}: it is {state['status']}", f"crate start {container.name}"
        )
    try:
        pidfd = container.pidfd(engine)
    except OSError:
        raise StateError(f"cannot exec in container {container.name}: it has just ended") from None
    keys = options.get("detach_keys")
    detach_keys = parse_detach_keys(keys if keys is not None else container.record["detach_keys"])
    spec = container.spec()
    if container.record.get("secrets"):
        from crate.engine.secret_files import with_variables

        spec = with_variables(container, spec)
    try:
        process = process_of(spec, state["pid"], pidfd, options)
    except ProcessLookupError:
        raise StateError(f"cannot exec in container {container.name}: it has just ended") from None
    interactive = bool(options.get("interactive"))
    detached = bool(options.get("detach"))
    hello = _NO_HELLO if detached else {"stdout": True, "stderr": True, "stdin": interactive, "stdin_once": interactive}
    if process["terminal"] and interactive and not detached:
        warn_without_terminal(engine)
    ours, theirs = wire.pair()

    def child() -> NoReturn:
        ours.close()
        _serve(engine, container, state, spec, process, pidfd, theirs, hello, bool(options.get("diagnose")))

    pid = fork_child(child)
    theirs.close()
    os.close(pidfd)
    kind, data, entered = wire.receive_start(ours)
    if kind != wire.STARTED:
        os.waitpid(pid, 0)
        if not kind:
            raise StateError(f"cannot exec in container {container.name}: it has just ended")
        raise failure(json.loads(data))
    if detached:
        return 0
    relay = Relay(
        ours,
        entered,
        stdin=interactive,
        terminal=bool(process.get("terminal")),
        detach_keys=detach_keys,
        proxy_signals=not process.get("terminal"),
    )
    ended = relay.run()
    if relay.diagnosis is not None and engine.show_diagnosis:
        engine.show_diagnosis(relay.diagnosis)
    return int(ended["exit_code"]) if ended else 0


def _serve(
    engine: Engine,
    container: Container,
    state: dict[str, Any],
    spec: dict[str, Any],
    process: dict[str, Any],
    init_pidfd: int,
    socket: _socket.socket,
    hello: dict[str, Any],
    diagnose: bool,
) -> NoReturn:
    """Process `crate:exec`: forked by the caller, parent and reaper of the process in the container.

    It stays in the host's namespaces and outlives a caller that is killed or detaches; it ends with its child.
    """
    from crate.errors import CrateError

    try:
        os.setsid()
        set_name("crate:exec")
        for number in (_signal.SIGINT, _signal.SIGHUP, _signal.SIGQUIT, _signal.SIGPIPE, _signal.SIGTERM):
            _signal.signal(number, _signal.SIG_IGN)
        drop_inherited(init_pidfd, socket.fileno(), own_membership(engine))
        terminal = bool(process.get("terminal"))
        interactive = bool(hello.get("stdin"))
        tracing = None
        if diagnose:
            from crate.engine import refusals

            tracing = refusals.begin_exec(engine, container, spec, process)
        trace = tracing.seize if tracing else None
        entered, output, stdin_fd = enter(engine, container.id, state, spec, process, init_pidfd, interactive, trace)
    except CrateError as error:
        refuse(socket, error)
    if terminal:
        for fd in (*output, stdin_fd):
            if fd >= 0:
                os.close(fd)
        output, stdin_fd = {entered.terminal_fd: wire.STDOUT}, entered.terminal_fd
    for fd in (*output, stdin_fd):
        if fd >= 0:
            os.set_blocking(fd, False)
    streams = Streams(None, output, stdin_fd, terminal)
    try:
        wire.send_started(socket, entered.pid, entered.pidfd)
        streams.clients.append(Client(socket, hello))
    except OSError:
        pass
    journal.of_container(engine.roots, "exec", container.record)
    streams.pump(entered.pidfd)
    report = refusals.end_exec(tracing) if tracing else None
    _, status = os.waitpid(entered.pid, 0)
    streams.drain()
    journal.of_container(engine.roots, "exec_died", container.record, exit_code=exit_code(status))
    if report:
        streams.tell_diagnosis(report)
    streams.tell(wire.ENDED, {"exit_code": exit_code(status)})
    streams.flush_all()
    os._exit(0)


def enter(
    engine: Engine,
    container_id: str,
    state: dict[str, Any],
    spec: dict[str, Any],
    process: dict[str, Any],
    init_pidfd: int,
    interactive: bool,
    trace: Callable[[int], object] | None = None,
) -> tuple[runtime.Entered, dict[int, bytes], int]:
    """A child of this process in the container, with our ends of its pipes: outputs by stream, stdin or -1.

    `trace` as in crate.runtime.exec.
    """
    output, stdin_fd, theirs = make_pipes(False, interactive)
    wall = None
    if spec.get("annotations"):
        from crate.runtime.landlock import wall_of

        wall = wall_of(spec)
    group = cgroup.from_record(state["cgroup"])
    assert theirs
    entered = runtime.enter(
        state["pid"],
        init_pidfd,
        process,
        stdio=theirs,
        cgroup_tasks=group.join_paths(),
        cgroup_v2=[path for path in (group.v2_path(), group.v2_path_of(state["pid"])) if path],
        seccomp=(spec.get("linux") or {}).get("seccomp"),
        seccomp_cache=f"{engine.roots.graphroot}/cache/seccomp",
        keep_groups=keeps_groups(spec),
        wall=wall,
        container_id=container_id,
        trace=trace,
    )
    for fd in theirs:
        os.close(fd)
    return entered, output, stdin_fd


def process_of(spec: dict[str, Any], init_pid: int, init_pidfd: int, options: dict[str, Any]) -> dict[str, Any]:
    """The OCI `process` of the command: the container's own, changed by the options of exec.

    ProcessLookupError when the container has ended.
    """
    base = spec["process"]
    process = dict(base)
    process["args"] = list(options["command"])
    process["terminal"] = bool(options.get("tty"))
    process.pop("consoleSize", None)
    size = window_size() if process["terminal"] else None
    if size:
        process["consoleSize"] = {"height": size[0], "width": size[1]}
    process["env"] = exec_environment(base.get("env") or [], options, Host())
    if options.get("workdir"):
        process["cwd"] = options["workdir"]
    refuse_nul({"process": process})
    if options.get("user"):
        try:
            root_fd = os.open(f"/proc/{init_pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            raise ProcessLookupError from None
        pidfd_send_signal(init_pidfd, 0)  # it has its number still, so this root is the container's
        process["user"], home = lookup(root_fd, options["user"], [])
        os.close(root_fd)
        process["env"] = [entry for entry in process["env"] if not entry.startswith("HOME=")] + [f"HOME={home}"]
    _fit_capabilities(process, base, bool(options.get("privileged")))
    return process


def _fit_capabilities(process: dict[str, Any], base: dict[str, Any], privileged: bool) -> None:
    """Who is not root has its capabilities in the bounding set only; --privileged gives all that there are."""
    have = dict(base.get("capabilities") or {})
    if privileged:
        from crate.linux.capability import NAMES, bounding

        every = [f"CAP_{name}" for number, name in enumerate(NAMES) if bounding() >> number & 1]
        have = {"bounding": every, "effective": every, "permitted": every}
        process["noNewPrivileges"] = False
    if (process.get("user") or {}).get("uid"):
        have = {**have, "effective": [], "permitted": [], "ambient": []}
    elif not privileged and have.get("bounding"):
        have = {**have, "effective": have["bounding"], "permitted": have["bounding"]}
    process["capabilities"] = have
