"""The parent's half of a start: from a spec to an init that waits for its "start" (runtime-spec, Lifecycle 2 to 6)."""

from __future__ import annotations

import _signal
import errno
import os
import resource
from struct import pack, unpack

from crate.errors import HostError, UsageError
from crate.linux import namespace, process
from crate.linux.namespace import KINDS
from crate.ns.idmap import write_maps
from crate.runtime import hooks, init
from crate.runtime.identity import keeps_groups, limit_values
from crate.runtime.init import InitPlan
from crate.runtime.mounts import binds, idmapped_binds
from crate.runtime.seccomp import Filter
from crate.runtime.sync import Channel, SetupError, failure, pair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn, Protocol

    class CgroupLike(Protocol):
        """What the runtime wants of a cgroup."""

        def join_paths(self) -> list[str]: ...

        def v2_path(self) -> str | None: ...


class Created:
    """A container whose init waits: complete, its program not yet executed."""

    __slots__ = ("channel", "netns_fd", "pid", "pidfd", "root_fd", "spec", "state", "terminal_fd")

    def __init__(self, pid: int, pidfd: int, channel: Channel, spec: dict[str, Any], state: dict[str, Any]) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.channel = channel
        self.spec = spec
        self.state = state
        self.terminal_fd = -1
        self.netns_fd = -1
        self.root_fd = -1  # once it is prepared, of a container whose changes of owners are recorded

    def await_prepared(self) -> None:
        """Waits until the root file system is complete; takes the pty. Raises what init reported, init is reaped."""
        try:
            while True:
                name, fields, fd = self.channel.receive()
                if name == "terminal":
                    self.terminal_fd = fd
                elif name == "namespaced":
                    self._proceed()
                elif name == "prepared":
                    self.root_fd = fd
                    return
                else:
                    raise failure(name, fields)
        except BaseException:
            self.abandon()
            raise

    def _proceed(self) -> None:
        linux = self.spec.get("linux") or {}
        if _has_own_users(linux):
            write_maps(self.pid, linux.get("uidMappings") or [], linux.get("gidMappings") or [])
            _grant(self.pid, self.spec.get("process") or {})
        try:
            hooks.run_hooks(self.spec, "prestart", self.state)
            hooks.run_hooks(self.spec, "createRuntime", self.state)
        except SetupError as error:
            raise HostError(error.operation) from None
        self.channel.send("proceed")

    def start(self) -> None:
        """Lets init execute the program; returns once execve(2) succeeded. Raises what init reported."""
        try:
            try:
                self.channel.send("start")
            except OSError as error:
                if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                    raise  # a dead init is told by what follows
            name, fields, fd = self.channel.receive()
            if name == "listener":
                from crate.runtime import seccomp_agent

                seccomp_agent.hand_over(fd, self.spec["linux"]["seccomp"], self.state)
                name, fields, _ = self.channel.receive()
            if name:
                raise failure(name, fields)
            self.channel.close()
        except BaseException:
            self.abandon()
            raise
        try:
            hooks.run_hooks(self.spec, "poststart", self.state)
        except SetupError as error:
            self.abandon()
            raise HostError(error.operation) from None

    def abandon(self) -> None:
        """Kills and reaps an init that will not be started."""
        self.channel.close()
        try:
            process.pidfd_send_signal(self.pidfd, _signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def create(
    container_id: str,
    bundle: str,
    spec: dict[str, Any],
    *,
    root_mount_fd: int = -1,
    mountpoint: str | None = None,
    stdio: tuple[int, int, int] | None = None,
    cgroup: CgroupLike | None = None,
    cgroup_mounts: list[dict[str, Any]] | None = None,
    bind_devices: bool = False,
    mount_fds: dict[int, int] | None = None,
    seccomp_cache: str | None = None,
) -> Created:
    """Clones init for a bundle.

    `root_mount_fd` is a detached mount to use in place of `root.path`; `mountpoint` the directory that it covers in
    the container's mount namespace. `stdio` are the three descriptors of a container without a terminal (None: as
    inherited). `mount_fds` are binds that the caller made, by their place in spec.mounts. The caller connects the
    network and then calls `await_prepared` and `start`.
    """
    linux = spec.get("linux") or {}
    root_path = os.path.join(bundle, (spec.get("root") or {}).get("path") or "rootfs")
    plan = InitPlan()
    plan.spec, plan.bundle = spec, bundle
    plan.state = {"ociVersion": "1.2.0", "id": container_id, "status": "creating", "bundle": bundle}
    if spec.get("annotations"):
        plan.state["annotations"] = spec["annotations"]
    plan.root_mount_fd, plan.root_path = root_mount_fd, root_path
    plan.mountpoint = mountpoint or root_path
    other_users = any(entry["type"] == "user" for entry in linux.get("namespaces") or ())
    plan.stdio, plan.bind_devices = stdio, bind_devices or other_users
    plan.keep_groups = keeps_groups(spec)
    plan.cgroup_tasks = cgroup.join_paths() if cgroup else []
    plan.cgroup_mounts = cgroup_mounts or []
    seccomp = linux.get("seccomp")
    plan.seccomp = Filter(seccomp, seccomp_cache) if seccomp else None
    if plan.seccomp and plan.seccomp.listener_path:
        from crate.runtime import seccomp_agent

        seccomp_agent.look(plan.seccomp)
    plan.made_mounts = {**idmapped_binds(spec), **(mount_fds or {})}
    if other_users:
        # Root of the container may not go where root of the host can: every bind is made here.
        plan.made_mounts.update(binds(spec, plan.made_mounts))
    plan.wall = None
    if spec.get("annotations"):
        from crate.runtime.landlock import wall_of

        plan.wall = wall_of(spec)
    clone_flags = _namespaces(linux, plan)
    hooked = spec.get("hooks") or {}
    plan.handshake = bool(
        other_users or not clone_flags & namespace.CLONE_NEWPID or hooked.get("prestart") or hooked.get("createRuntime")
    )
    return _clone(container_id, plan, clone_flags, cgroup)


def _has_own_users(linux: dict[str, Any]) -> bool:
    """Whether the container gets a new user namespace."""
    return any(entry["type"] == "user" and not entry.get("path") for entry in linux.get("namespaces") or ())


def _grant(pid: int, process_spec: dict[str, Any]) -> None:
    """The limits and the OOM score that root of another user namespace may not give itself; as far as this process may:
    init tries once more, and tells."""
    for limit in process_spec.get("rlimits") or ():
        number = getattr(resource, limit["type"], None)
        if number is not None:
            try:
                resource.prlimit(pid, number, limit_values(limit))
            except (OSError, ValueError):
                pass
    score = process_spec.get("oomScoreAdj")
    if score is not None:
        try:
            fd = os.open(f"/proc/{pid}/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, str(score).encode())
            os.close(fd)
        except OSError:
            pass


def _namespaces(linux: dict[str, Any], plan: InitPlan) -> int:
    """The flags for clone3; what is joined or unshared later goes into the plan."""
    flags, late = 0, 0
    plan.join_fds = []
    for entry in linux.get("namespaces") or []:
        kind = KINDS.get(entry["type"])
        if kind is None:
            raise UsageError(f"unknown namespace type {entry['type']!r} in the spec")
        flag, path = kind[0], entry.get("path")
        if path:
            try:
                plan.join_fds.append((os.open(path, os.O_RDONLY | os.O_CLOEXEC), flag))
            except OSError as error:
                raise HostError(f"cannot open the {entry['type']} namespace {path}: {error.strerror}") from None
        elif flag == namespace.CLONE_NEWCGROUP:
            late |= flag
        else:
            flags |= flag
    # The user namespace is joined last: in it there is no right to join those that it does not own.
    plan.join_fds.sort(key=lambda pair: pair[1] == namespace.CLONE_NEWUSER)
    plan.new_namespaces = flags | late
    if not flags & namespace.CLONE_NEWNS:
        raise UsageError("the spec has no new mount namespace: crate runs containers only in one of their own")
    return flags


def _clone(container_id: str, plan: InitPlan, flags: int, cgroup: CgroupLike | None) -> Created:
    ours, theirs = pair()

    def child() -> NoReturn:
        ours.close()
        init.run(plan, theirs)

    cgroup_fd = -1
    # A pid namespace is for children to come; a joined user namespace owns the new ones, and a new one has no right to
    # join others: those are joined before init is born.
    users = namespace.CLONE_NEWUSER
    all_early = flags & users or any(flag == users for _, flag in plan.join_fds)
    early = [pair for pair in plan.join_fds if all_early or pair[1] == namespace.CLONE_NEWPID]
    plan.join_fds = [pair for pair in plan.join_fds if pair not in early]
    v2 = cgroup.v2_path() if cgroup else None
    try:
        if v2:
            cgroup_fd = os.open(v2, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if early or flags & namespace.CLONE_NEWTIME:
            pid, pidfd = _clone_elsewhere(plan, flags, child, cgroup_fd, early)
        else:
            pid, pidfd = process.clone(flags, child, cgroup_fd)
    except OSError as error:
        hint = "user namespaces may be disabled: see user.max_user_namespaces" if error.errno == errno.ENOSPC else None
        raise HostError(f"cannot create the container's process: {error.strerror}", hint) from None
    finally:
        if cgroup_fd >= 0:
            os.close(cgroup_fd)
    theirs.close()
    for fd, _ in plan.join_fds:
        os.close(fd)
    for fd in (*(fd for fd, _ in early), *plan.made_mounts.values()):
        os.close(fd)
    plan.state["pid"] = pid
    created = Created(pid, pidfd, ours, plan.spec, plan.state)
    if flags & namespace.CLONE_NEWNET:
        try:
            created.netns_fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            created.await_prepared()  # init has ended already, and left word why
            raise
    return created


def _clone_elsewhere(
    plan: InitPlan, flags: int, child: Callable[[], NoReturn], cgroup_fd: int, early: list[tuple[int, int]]
) -> tuple[int, int]:
    """A child of this process that is born in joined namespaces, or in a new time namespace.

    Pid and time namespaces concern the children to come only, and there is no way back from some (setns(2) wants
    CAP_SYS_ADMIN over the host's): so a helper goes there, and the child gets the helper's parent.
    """
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)

    def born() -> NoReturn:
        os.close(write_fd)
        child()

    def helper() -> NoReturn:
        pid, code = 0, 0
        try:
            for fd, flag in early:
                namespace.setns(fd, flag)
            if flags & namespace.CLONE_NEWTIME:
                _enter_time(plan.spec.get("linux") or {})
            pid, _ = process.clone(flags & ~namespace.CLONE_NEWTIME | process.CLONE_PARENT, born, cgroup_fd)
        except OSError as error:
            code = error.errno or errno.EIO
        os.write(write_fd, pack("=ii", pid, code))
        os._exit(0)

    helper_pid = process.fork_child(helper)
    os.close(write_fd)
    answer = os.read(read_fd, 8)
    os.close(read_fd)
    os.waitpid(helper_pid, 0)
    pid, code = unpack("=ii", answer) if answer else (0, errno.EIO)
    if code:
        raise OSError(code, os.strerror(code))
    return pid, process.pidfd_open(pid)


def _enter_time(linux: dict[str, Any]) -> None:
    """A new time namespace for the children to come, with its offsets.

    The offsets of time_namespaces(7) can be written only while the namespace has no process, so clone3 cannot make it.
    """
    namespace.unshare(namespace.CLONE_NEWTIME)
    lines = "".join(
        f"{clock} {offset.get('secs', 0)} {offset.get('nanosecs', 0)}\n"
        for clock, offset in (linux.get("timeOffsets") or {}).items()
    )
    if lines:
        fd = os.open("/proc/self/timens_offsets", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, lines.encode())
        finally:
            os.close(fd)
