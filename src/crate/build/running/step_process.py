"""The process of a RUN: a container without a name, which lives as long as its step.

It is planned as `crate run` plans one, with the options of the build, started by the process of its stage, and dies
with it. What it changes goes to the upper directory of the step's layer; what was made to mount upon goes again.
"""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Any

from crate import cgroup
from crate import plan as planning
from crate.build.records import dataclass, field
from crate.build.running.stubs import Stubs
from crate.cgroup.mounts import mounts_of
from crate.errors import CrateError, HostError, UsageError
from crate.net import etc_files, sandbox
from crate.net import store as network_store
from crate.plan.host import Host
from crate.runtime import create as runtime
from crate.runtime.devices import with_default_rules
from crate.runtime.user import lookup, lower_capabilities
from crate.storage import containers as store
from crate.storage import staging

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from crate.net.dns.resolver import Resolver
    from crate.net.sandbox import Lease
    from crate.plan.shapes import Plan
    from crate.settings import Settings
    from crate.storage.layer_work import LayerWork
    from crate.storage.roots import Roots

#: what a RUN sees as its host's name, as in BuildKit: that of the host, or a new one each time, would get into layers
HOSTNAME = "buildkitsandbox"
_CHUNK = 1 << 16
_GROUP = "build-"


@dataclass
class Step:
    """What a process needs. `options` are those of `run` that the build has for all of them.

    `mounts`: entries of a spec with the descriptor of the detached mount that is to be attached there, or -1.
    """

    argv: Sequence[str]
    environment: Sequence[str]
    directory: str
    user: str
    options: Mapping[str, Any]
    mounts: Sequence[tuple[dict[str, Any], int]] = ()
    hostname: str = HOSTNAME
    groups: list[str] = field(default_factory=list)


class StepProcess:
    """One process in the root `root_fd`; `place` is an empty directory for the files that are mounted into it."""

    def __init__(self, roots: Roots, settings: Settings, root_fd: int, place: str) -> None:
        self._roots = roots
        self._settings = settings
        self._root_fd = root_fd
        self._place = place
        self._undo: list[Callable[[], object]] = []
        self._stubs: Stubs | None = None

    def run(self, step: Step, emit: Callable[[int, bytes], object]) -> int:
        """The exit status of the process; `emit` gets its output as it comes: 1 or 2, and bytes.

        Raises CommandError where the program cannot be executed, HostError, UsageError; nothing is left behind.
        """
        try:
            return self._run(step, emit)
        finally:
            while self._undo:
                try:
                    self._undo.pop()()
                except (OSError, CrateError):
                    pass  # the step has ended; what stays is swept later

    def _run(self, step: Step, emit: Callable[[int, bytes], object]) -> int:
        plan = self._plan(step)
        spec: Any = plan["spec"]
        mount_fds = {}
        for entry, fd in step.mounts:
            if fd >= 0:
                mount_fds[len(spec["mounts"])] = fd
            spec["mounts"].append(entry)
        request: Any = plan["network"]
        lease = sandbox.prepare(self._roots, self._settings, request, plan["record"]["id"])
        self._undo += [lambda: sandbox.discard(lease), lambda: sandbox.release(self._roots, lease)]
        resources = with_default_rules(spec["linux"].get("resources") or {})
        group = cgroup.create(spec["linux"]["cgroupsPath"], resources)
        self._undo.append(group.remove)
        if resources.get("devices") and not group.has_device_rules and not self._roots.rootless:
            _forbid_mknod(spec["process"])
        etc_files.write({"files": plan["files"], "network": plan["network"]}, lease, self._place)
        stubs = Stubs(self._root_fd, [mount["destination"] for mount in spec["mounts"]])
        os.mkdir(f"{self._place}/root", 0o700)
        recorder = None
        if (spec["linux"].get("seccomp") or {}).get("listenerPath"):
            from crate.runtime.owners import recorder_of

            recorder = recorder_of(spec, self._place, f"{self._roots.graphroot}/volumes")
        if recorder:
            self._undo.append(recorder.close)
        output, theirs = _pipes()
        try:
            created = runtime.create(
                plan["record"]["id"],
                self._place,
                spec,
                root_mount_fd=self._root_fd,
                mountpoint=f"{self._place}/root",
                stdio=theirs,
                cgroup=group,
                cgroup_mounts=mounts_of(spec, group),
                bind_devices=self._roots.rootless,
                mount_fds=mount_fds,
                seccomp_cache=f"{self._roots.graphroot}/cache/seccomp",
            )
        finally:
            for fd in theirs:
                os.close(fd)
        self._undo.append(created.abandon)
        self._undo += [lambda: os.close(output[0]), lambda: os.close(output[1])]
        if created.netns_fd >= 0:
            sandbox.connect(lease, created.netns_fd)
            os.close(created.netns_fd)
        created.await_prepared()
        if recorder:
            recorder.begin(created.root_fd, created.pidfd)
        created.start()
        resolver = self._resolver(lease, plan) if lease["dns_fds"] else None
        try:
            _pump(output, created.pidfd, emit, resolver)
        finally:
            if resolver:
                resolver.close()
        _, status = os.waitpid(created.pid, 0)
        os.close(created.pidfd)
        self._undo.pop()()
        self._undo.pop()()
        self._undo.pop()  # there is nothing to abandon any more
        if group.oom_kills():
            raise HostError("the command was killed: its memory limit was reached", "give it more with --memory")
        self._stubs = stubs
        return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def _resolver(self, lease: Lease, plan: Plan) -> Resolver:
        """Answers the DNS questions of the process, on a network with names."""
        from crate.net.dns.resolver import Resolver, resolving

        return Resolver(resolving(lease, network_store.directory(self._roots), plan["files"]["dns"]))

    def clean(self, work: LayerWork) -> None:
        """Takes what was made to mount upon out of the layer, after `run`."""
        if self._stubs:
            with work.open_tree() as (tree_fd, whole):
                self._stubs.remove(tree_fd, whole=whole)

    def _plan(self, step: Step) -> Plan:
        options = {
            **step.options,
            "userns": "host",  # whatever containers have: a layer belongs to whom the image says
            "image": "build",
            "entrypoint": "",
            "command": list(step.argv),
            "workdir": step.directory,
            "user": step.user,
            "hostname": None if step.options.get("network") == "host" else step.hostname,
        }
        image = {"config": {"config": {"Env": list(step.environment)}}, "id": "", "layers": []}
        identifier = store.new_id()
        host = Host(self._roots.rootless)
        plan = planning.make(
            options,
            image,
            host,
            self._settings,
            {"id": identifier, "directory": self._place, "volumes": f"{self._roots.graphroot}/volumes"},
        )
        plan["record"]["id"] = identifier
        if plan["volumes"]:
            raise UsageError("cannot use a named volume in a build", "--volume takes a directory of the host")
        spec: Any = plan["spec"]
        parent = spec["linux"]["cgroupsPath"].rpartition("/")[0]
        spec["linux"]["cgroupsPath"] = f"{parent}/{_GROUP}{staging.owner_name()}.{identifier[:12]}"
        process = spec["process"]
        user, home = lookup(self._root_fd, step.user, step.groups)
        process["user"] = {**process["user"], **user}
        if not any(entry.startswith("HOME=") for entry in process["env"]):
            process["env"].append(f"HOME={home}")
        if user["uid"]:
            lower_capabilities(process["capabilities"], step.options.get("cap_add") or ())
        return plan


def sweep_groups(parent: str) -> None:
    """Removes the cgroups of processes whose build was killed."""
    parent = f"/{parent.strip('/')}"
    for directory in cgroup.find(parent).directories():
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        for name in names:
            if name.startswith(_GROUP) and staging.is_stale(name.removeprefix(_GROUP)):
                try:
                    cgroup.find(f"{parent}/{name}").remove()
                except (OSError, CrateError):
                    pass


def _forbid_mknod(process: dict[str, Any]) -> None:
    process["capabilities"] = {
        name: [one for one in names if one != "CAP_MKNOD"] for name, names in process["capabilities"].items()
    }


def _pipes() -> tuple[list[int], tuple[int, int, int]]:
    stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    out_read, out_write = os.pipe2(os.O_CLOEXEC)
    err_read, err_write = os.pipe2(os.O_CLOEXEC)
    return [out_read, err_read], (stdin, out_write, err_write)


def _pump(
    output: list[int], pidfd: int, emit: Callable[[int, bytes], object], resolver: Resolver | None = None
) -> None:
    """Passes the output on until the process has ended and all of it was read; answers its questions meanwhile."""
    streams = {output[0]: 1, output[1]: 2}
    for fd in streams:
        os.set_blocking(fd, False)
    ended = False
    while streams and not ended:
        poll = select.poll()
        for fd in (*streams, pidfd):
            poll.register(fd, select.POLLIN)
        if resolver:
            resolver.register(poll)
        for fd, _ in poll.poll(resolver.wait() if resolver else None):
            if fd == pidfd:
                ended = True
            elif fd in streams and not _pass_on(fd, streams[fd], emit):
                del streams[fd]
        if resolver:
            resolver.step()
    for fd, stream in list(streams.items()):
        while _pass_on(fd, stream, emit):
            pass


def _pass_on(fd: int, stream: int, emit: Callable[[int, bytes], object]) -> bool:
    try:
        data = os.read(fd, _CHUNK)
    except BlockingIOError:
        return False
    if data:
        emit(stream, data)
    return bool(data)
