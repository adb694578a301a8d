"""One more process in a running container: joined from the outside, launched, and left to its caller to reap."""

from __future__ import annotations

import errno
import os
from _signal import SIGKILL

from crate.errors import HostError, StateError
from crate.linux import namespace, process
from crate.linux.process import PR_SET_DUMPABLE, prctl
from crate.runtime import identity, terminal
from crate.runtime.seccomp import Filter
from crate.runtime.sync import Channel, SetupError, failure, pair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from crate.oci.runtime_spec import LinuxSeccomp
    from crate.runtime.landlock import Wall

_JOINED = ("ipc", "uts", "network", "cgroup", "mount", "time")


class Entered:
    """A process in the container: its pid (as the host sees it), its pidfd, and its terminal's master or -1."""

    __slots__ = ("pid", "pidfd", "terminal_fd")

    def __init__(self, pid: int, pidfd: int, terminal_fd: int) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.terminal_fd = terminal_fd


def enter(
    init_pid: int,
    init_pidfd: int,
    spec_process: dict[str, Any],
    *,
    stdio: tuple[int, int, int],
    cgroup_tasks: list[str],
    cgroup_v2: list[str],
    seccomp: LinuxSeccomp | None,
    seccomp_cache: str | None = None,
    keep_groups: bool = False,
    wall: Wall | None = None,
    container_id: str = "",
    trace: Callable[[int], object] | None = None,
) -> Entered:
    """Starts `spec_process` (an OCI `process`) in the namespaces and the cgroup of the process `init_pidfd` means.

    The calling process afterwards has its children born in the container's pid namespace: it is for one exec only.
    `cgroup_v2` are directories of cgroups v2, the first that takes a process is joined. `keep_groups` as in init.
    `trace` is called with the pid of the new process, which waits for that before it does anything.
    `wall` is what runtime.landlock says of the container; its id is for the agent of a filter (seccomp_agent.py).
    Raises CommandNotFound (127) and CommandError (126) as init told them.
    """
    confined = Filter(seccomp, seccomp_cache) if seccomp else None
    if confined and confined.listener_path:
        from crate.runtime import seccomp_agent

        seccomp_agent.look(confined)
    flags = _flags_to_join(init_pid)
    ours, theirs = pair()

    def child() -> NoReturn:
        ours.close()
        if trace:
            theirs.expect("start")
        _enter(init_pidfd, flags, spec_process, stdio, cgroup_tasks, confined, keep_groups, wall, theirs)

    cgroup_fd = -1
    try:
        namespace.setns(init_pidfd, namespace.CLONE_NEWPID)
        while True:
            if cgroup_v2:
                cgroup_fd = os.open(cgroup_v2[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                pid, pidfd = process.clone(0, child, cgroup_fd)
                break
            except OSError as error:
                # A container that has made groups beneath its own (systemd does) can have no process there.
                if error.errno != errno.EBUSY or len(cgroup_v2) < 2:
                    raise
                os.close(cgroup_fd)
                cgroup_v2 = cgroup_v2[1:]
    except ProcessLookupError:
        raise StateError("the container is not running") from None
    except OSError as error:
        if error.errno == errno.ENOMEM:  # fork(2) into a pid namespace whose init is gone
            raise StateError("the container has just ended") from None
        raise HostError(f"cannot enter the container: {error.strerror}") from None
    finally:
        if cgroup_fd >= 0:
            os.close(cgroup_fd)
    theirs.close()
    if trace:
        trace(pid)
        ours.send("start")
    terminal_fd = -1
    while True:
        name, fields, fd = ours.receive()
        if name == "listener":
            assert seccomp
            state = {"ociVersion": "1.2.0", "id": container_id, "status": "running", "pid": pid, "bundle": ""}
            try:
                seccomp_agent.hand_over(fd, seccomp, state)
            except HostError:
                # It goes on by itself, and nobody would answer its calls.
                process.pidfd_send_signal(pidfd, SIGKILL)
                os.waitpid(pid, 0)
                raise
            continue
        if name != "terminal":
            break
        terminal_fd = fd
    ours.close()
    if name:
        os.waitpid(pid, 0)
        raise failure(name, fields)
    return Entered(pid, pidfd, terminal_fd)


def _flags_to_join(init_pid: int) -> int:
    """The namespaces in which the container's init differs from this process."""
    flags = 0
    for kind in ("user", *_JOINED):
        flag, name = namespace.KINDS[kind]
        try:
            theirs = os.stat(f"/proc/{init_pid}/ns/{name}").st_ino
            if theirs != os.stat(f"/proc/self/ns/{name}").st_ino:
                flags |= flag
        except OSError as error:
            if error.errno == errno.ENOENT and os.path.exists(f"/proc/{init_pid}/ns"):
                continue  # a kernel without this namespace
            raise StateError("the container is not running") from None
    return flags


def _enter(
    init_pidfd: int,
    flags: int,
    spec_process: dict[str, Any],
    stdio: tuple[int, int, int],
    cgroup_tasks: list[str],
    confined: Filter | None,
    keep_groups: bool,
    wall: Wall | None,
    channel: Channel,
) -> NoReturn:
    """Process `crate:exec`: child of the caller, born in the container's pid namespace.

    Not dumpable before it enters, so that nobody inside can open its descriptors or its executable (CVE-2016-9962);
    everything is imported already. Ends by execve, or with status 70 after telling the caller why.
    """
    try:
        for path in cgroup_tasks:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, b"0")
            os.close(fd)
        score = spec_process.get("oomScoreAdj")
        if score is not None:
            _write_score(score)
        prctl(PR_SET_DUMPABLE, 0)
        os.setsid()
        if wall:
            wall.open_proc()
        namespace.setns(init_pidfd, flags)
        if wall:
            wall.read_mounts()
        if flags & namespace.CLONE_NEWUSER:
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
            prctl(PR_SET_DUMPABLE, 0)  # other ids make it what fs.suid_dumpable says: proc_sys_fs(5)
        slave = -1
        if spec_process.get("terminal"):
            root_fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            master, slave = terminal.open_terminal(root_fd)
            size = spec_process.get("consoleSize")
            if size:
                terminal.resize(master, size["height"], size["width"])
            identity.give_terminal(slave, spec_process.get("user") or {})
            channel.send("terminal", fd=master)
            os.close(master)
            os.close(root_fd)
            terminal.take(slave)
        else:
            for target, source in enumerate(stdio):
                os.dup2(source, target)
        identity.close_descriptors(channel.fileno())
        identity.set_rlimits(spec_process.get("rlimits") or [])
        identity.leave_keyring()
        cwd = spec_process.get("cwd") or "/"
        is_there = identity.enter_directory_first(cwd)
        found = identity.find_program(spec_process)
        identity.reset_signals()
        if wall:
            wall.restrict()
        identity.become(spec_process, confined, channel, keep_groups)
        if not is_there:
            identity.enter_directory(cwd)
        identity.execute(found, spec_process)
    except SetupError as error:
        channel.fail(error)
    except OSError as error:
        channel.fail(SetupError(f"cannot enter the container ({error.strerror})", OSError(error.errno, "")))
    except Exception as error:
        channel.fail(SetupError(f"crate's exec failed: {type(error).__name__}: {error}"))
    os._exit(70)


def _write_score(score: int) -> None:
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        os.write(fd, str(score).encode())
        os.close(fd)
    except PermissionError:
        pass  # lowering it needs CAP_SYS_RESOURCE: the caller's own score stays
