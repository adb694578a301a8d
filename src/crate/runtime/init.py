"""The container's first process, from its birth in new namespaces to the execve(2) of the user's program.

Everything it needs was imported and computed by the parent before the clone: after the pivot nothing can be
imported, and nothing is taken from the container's files except the program itself.
"""

from __future__ import annotations

import _signal
import errno
import os

from crate.linux import namespace
from crate.linux.process import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, personality, prctl
from crate.runtime import hooks, identity, rootfs, terminal
from crate.runtime.devices import bind_console
from crate.runtime.paths import make_directory
from crate.runtime.sync import Channel, SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from crate.runtime.landlock import Wall
    from crate.runtime.seccomp import Filter

_PERSONALITIES = {"LINUX": 0, "LINUX32": 8}


class InitPlan:
    """What the parent computed for init: plain values, inherited by the clone."""

    __slots__ = (
        "bind_devices",
        "bundle",
        "cgroup_mounts",
        "cgroup_tasks",
        "handshake",
        "join_fds",
        "keep_groups",
        "made_mounts",
        "mountpoint",
        "new_namespaces",
        "root_mount_fd",
        "root_path",
        "seccomp",
        "spec",
        "state",
        "stdio",
        "wall",
    )

    spec: dict[str, Any]
    state: dict[str, Any]
    bundle: str
    root_mount_fd: int
    root_path: str
    mountpoint: str
    stdio: tuple[int, int, int] | None
    seccomp: Filter | None
    cgroup_tasks: list[str]
    cgroup_mounts: list[dict[str, Any]]
    join_fds: list[tuple[int, int]]
    new_namespaces: int
    handshake: bool
    keep_groups: bool
    made_mounts: dict[int, int]
    bind_devices: bool
    wall: Wall | None


def run(plan: InitPlan, channel: Channel) -> NoReturn:
    """Process `crate:init`: child of the monitor, in the namespaces that clone3 made.

    Talks to its parent on `channel` (sync.py); ends by becoming the container's program, or with status 70 after it
    has told the parent why. It dies with its parent (PR_SET_PDEATHSIG, again after the change of ids, which clears it).
    """
    try:
        _run(plan, channel)
    except SetupError as error:
        channel.fail(error)
    except OSError as error:
        channel.fail(SetupError(str(error.strerror or error), OSError(error.errno, "")))
    except Exception as error:
        channel.fail(SetupError(f"crate's init failed: {type(error).__name__}: {error}"))
    os._exit(70)


def _run(plan: InitPlan, channel: Channel) -> NoReturn:
    spec, process = plan.spec, plan.spec.get("process") or {}
    linux = spec.get("linux") or {}
    prctl(PR_SET_PDEATHSIG, _signal.SIGKILL)
    os.setsid()

    # A cgroup v1 is joined by "0" in its tasks file: a pid in cgroup.procs waits for an RCU grace period.
    # Before the cgroup namespace, whose root is the cgroup at the moment of unshare(2).
    for path in plan.cgroup_tasks:
        _write(path, b"0", "cannot join cgroup")
    for fd, flag in plan.join_fds:
        _join(fd, flag)
    mountpoint_fd = _open_mountpoint(plan.mountpoint)  # as root of the host: that of the container may not get there
    if plan.handshake:
        channel.send("namespaced")
        channel.expect("proceed")
        if any(entry["type"] == "user" for entry in linux.get("namespaces") or ()):
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
    late = plan.new_namespaces & namespace.CLONE_NEWCGROUP
    if late:
        namespace.unshare(late)

    _write_score(process)
    if not plan.new_namespaces & namespace.CLONE_NEWPID:
        # Strangers see this process. After the writes to /proc/self, which would then belong to the host's root, and
        # after the parent has opened what it needs of /proc/PID, which takes the handshake.
        prctl(PR_SET_DUMPABLE, 0)
    rootfs.enter_private_mounts(linux.get("rootfsPropagation") or "")
    root_fd = rootfs.attach_root(plan.root_mount_fd, plan.root_path, mountpoint_fd)
    rootfs.furnish(root_fd, spec, plan.cgroup_mounts, plan.made_mounts, plan.bind_devices)
    hooks.run_hooks(spec, "createContainer", plan.state)
    _make_working_directory(root_fd, process.get("cwd") or "/")
    slave = -1
    if process.get("terminal"):
        master, slave = terminal.open_terminal(root_fd)
        size = process.get("consoleSize") or {}
        if size:
            terminal.resize(master, size.get("height", 0), size.get("width", 0))
        bind_console(root_fd, slave)
        identity.give_terminal(slave, process.get("user") or {})
        channel.send("terminal", fd=master)
        os.close(master)
    rootfs.make_read_only(root_fd, linux.get("readonlyPaths") or [])
    rootfs.mask(root_fd, linux.get("maskedPaths") or [])
    if plan.wall:
        plan.wall.open_proc()
    rootfs.pivot(root_fd, bool((spec.get("root") or {}).get("readonly")), linux.get("rootfsPropagation") or "")
    os.close(root_fd)
    if plan.wall:
        plan.wall.read_mounts()

    if plan.new_namespaces & namespace.CLONE_NEWUTS:
        if spec.get("hostname"):
            namespace.sethostname(spec["hostname"])
        if spec.get("domainname"):
            namespace.setdomainname(spec["domainname"])
    _set_stdio(plan.stdio, slave)
    identity.close_descriptors(channel.fileno())
    rootfs.reopen_null_stdio()
    identity.set_rlimits(process.get("rlimits") or [])
    if linux.get("personality"):
        personality(_PERSONALITIES[linux["personality"]["domain"]])
    identity.leave_keyring()
    cwd = process.get("cwd") or "/"
    is_there = identity.enter_directory_first(cwd)
    program = identity.find_program(process)
    if plan.seccomp and plan.seccomp.records_owners:
        # Its agent must know the root, which /proc/PID/root does not tell of a process that is not dumpable.
        own_root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        channel.send("prepared", fd=own_root)
        os.close(own_root)
    else:
        channel.send("prepared")
    channel.expect("start")
    hooks.run_hooks(spec, "startContainer", plan.state)
    identity.reset_signals()
    if plan.wall:
        plan.wall.restrict()  # after the last mount, while CAP_SYS_ADMIN is there
    identity.become(process, plan.seccomp, channel, plan.keep_groups)
    prctl(PR_SET_PDEATHSIG, _signal.SIGKILL)  # setuid(2) cleared it
    if channel.is_closed():  # the parent died meanwhile: pid 1 of a namespace has no ppid to look at
        os._exit(70)
    if not is_there:
        identity.enter_directory(cwd)
    identity.execute(program, process)


def _open_mountpoint(path: str) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SetupError(f"cannot open {path} to mount the root file system", error) from None


def _write(path: str, data: bytes, action: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        os.write(fd, data)
        os.close(fd)
    except OSError as error:
        raise SetupError(f"{action} {path}", error) from None


def _make_working_directory(root_fd: int, path: str) -> None:
    try:
        os.close(make_directory(root_fd, path))
    except OSError as error:
        raise SetupError(f"cannot make the working directory {path}", error) from None


def _join(fd: int, flag: int) -> None:
    try:
        namespace.setns(fd, flag)
    except OSError as error:
        raise SetupError("cannot join a namespace of the other container", error) from None
    os.close(fd)


def _write_score(process: dict[str, Any]) -> None:
    score = process.get("oomScoreAdj")
    if score is None:
        return
    try:
        _write("/proc/self/oom_score_adj", str(score).encode(), "cannot set the OOM score in")
    except SetupError as error:
        # Lowering it needs CAP_SYS_RESOURCE: without it the caller's own score stays, as rootless engines do.
        if error.error is None or error.error.errno not in (errno.EACCES, errno.EPERM):
            raise


def _set_stdio(stdio: tuple[int, int, int] | None, slave: int) -> None:
    if slave >= 0:
        terminal.take(slave)
    elif stdio is not None:
        for target, fd in enumerate(stdio):
            if fd == target:
                os.set_inheritable(fd, True)
            else:
                os.dup2(fd, target)
