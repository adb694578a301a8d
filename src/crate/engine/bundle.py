"""Running an OCI bundle as it lies there: no image, no name, no record; its process ends with this one's status."""

from __future__ import annotations

import _signal
import os

from crate import cgroup
from crate.cgroup.explain import ignored
from crate.cgroup.mounts import mounts_of
from crate.engine.attach import Relay
from crate.engine.monitor import wire
from crate.engine.monitor.streams import Client, Streams
from crate.engine.offspring import exit_code, failure, refuse
from crate.errors import UsageError, notice
from crate.linux.netlink import NETLINK_ROUTE, netlink_in
from crate.linux.process import fork_child, pidfd_send_signal
from crate.net.netlink.route import link_up
from crate.oci import json
from crate.oci.runtime_spec import check_supported
from crate.plan.refusal import refuse_nul
from crate.runtime import create as runtime
from crate.runtime import hooks
from crate.runtime.devices import with_default_rules
from crate.storage.durable import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from crate.engine.context import Engine

_FORWARDED = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM, _signal.SIGUSR1, _signal.SIGUSR2)


def run(engine: Engine, bundle: str, container_id: str) -> int:
    """The exit status of the bundle's process (runtime-spec, Lifecycle, all steps in one)."""
    bundle = os.path.abspath(bundle)
    spec = load(bundle)
    linux = spec.get("linux") or {}
    path = linux.get("cgroupsPath") or f"/crate/{container_id}"
    group = cgroup.create(path, with_default_rules(linux.get("resources") or {}))
    try:
        for text in ignored(group, linux.get("resources") or {}):
            notice(f"WARNING: {text}")
        if (spec.get("process") or {}).get("terminal"):
            return _with_terminal(engine, bundle, container_id, spec, group)
        created = _create(engine, bundle, container_id, spec, group)
        _finish_start(created)
        _forward(created.pidfd)
        return _reap(created, spec)
    finally:
        group.kill()
        group.remove()


def load(bundle: str) -> dict[str, Any]:
    """config.json of a bundle, checked to ask for nothing that crate knows and does not have."""
    path = f"{bundle}/config.json"
    try:
        spec = json.loads(read_file(path))
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", "name a bundle: a directory with config.json"
        ) from None
    except ValueError as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    if not isinstance(spec, dict):
        raise UsageError(f"cannot read {path}: not a JSON object")
    check_supported(spec)
    refuse_nul(spec)
    return spec


def _create(
    engine: Engine, bundle: str, container_id: str, spec: dict[str, Any], group: cgroup.Cgroup
) -> runtime.Created:
    return runtime.create(
        container_id,
        bundle,
        spec,
        cgroup=group,
        cgroup_mounts=mounts_of(spec, group),
        bind_devices=engine.roots.rootless,
        seccomp_cache=f"{engine.roots.graphroot}/cache/seccomp",
    )


def _finish_start(created: runtime.Created) -> None:
    if created.netns_fd >= 0:
        with netlink_in(created.netns_fd, NETLINK_ROUTE) as route:
            route.request([link_up(1)])
        os.close(created.netns_fd)
    created.await_prepared()
    created.start()


def _forward(pidfd: int) -> None:
    def forward(number: int, _frame: object) -> None:
        try:
            pidfd_send_signal(pidfd, number)
        except OSError:
            pass  # it has just ended

    for number in _FORWARDED:
        _signal.signal(number, forward)


def _reap(created: runtime.Created, spec: dict[str, Any]) -> int:
    _, status = os.waitpid(created.pid, 0)
    created.state["status"] = "stopped"
    hooks.run_hooks(spec, "poststop", created.state)
    return exit_code(status)


def _with_terminal(engine: Engine, bundle: str, container_id: str, spec: dict[str, Any], group: cgroup.Cgroup) -> int:
    """The same with a pty: a child owns it, as a monitor would, and this process relays the user's terminal."""
    ours, theirs = wire.pair()

    def child() -> NoReturn:
        from crate.errors import CrateError

        ours.close()
        os.setsid()
        try:
            created = _create(engine, bundle, container_id, spec, group)
            _finish_start(created)
        except CrateError as error:
            refuse(theirs, error)
        master = created.terminal_fd
        os.set_blocking(master, False)
        streams = Streams(None, {master: wire.STDOUT}, master, True)
        wire.send_started(theirs, created.pid, created.pidfd)
        streams.clients.append(Client(theirs, {"stdout": True, "stdin": True}))
        streams.pump(created.pidfd)
        status = _reap(created, spec)
        streams.drain()
        streams.tell(wire.ENDED, {"exit_code": status})
        streams.flush_all()
        os._exit(0)

    pid = fork_child(child)
    theirs.close()
    kind, data, pidfd = wire.receive_start(ours)
    if kind != wire.STARTED:
        os.waitpid(pid, 0)
        raise failure(json.loads(data))
    relay = Relay(ours, pidfd, stdin=True, terminal=True, detach_keys=b"", proxy_signals=False)
    ended = relay.run()
    return int(ended["exit_code"]) if ended else 0
