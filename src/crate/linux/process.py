"""Processes: clone3(2) under a live interpreter, pidfds, waitid, prctl(2), personality, session keyring, scheduling."""

from __future__ import annotations

import os
from struct import pack, unpack_from

from crate.linux.libc import buffer, check, errno, fail, function, python_hook, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

SIGCHLD = 17
CLONE_PIDFD = 0x1000
CLONE_PARENT = 0x8000
CLONE_INTO_CGROUP = 0x200000000

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_NAME = 15
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_CLEAR_ALL = 4

_CLONE3 = 435
_PIDFD_SEND_SIGNAL, _PIDFD_OPEN = 424, 434
_CLONE_NUMBER = {"x86_64": 56, "aarch64": 220, "riscv64": 220, "ppc64le": 120, "s390x": 120}
_KEYCTL_NUMBER = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "ppc64le": 271, "s390x": 280}
_KEYCTL_JOIN_SESSION_KEYRING = 1
_ENOSYS = 38
_EXHAUSTED = (5, 12, 23, 24)  # EIO, ENOMEM, ENFILE, EMFILE

_prctl = function("prctl", "iLLLL")
_prctl_pointer = function("prctl", "iPLLL")
_personality = function("personality", "L")
_before_fork = python_hook("PyOS_BeforeFork")
_after_fork_parent = python_hook("PyOS_AfterFork_Parent")
_after_fork_child = python_hook("PyOS_AfterFork_Child")


def prctl(option: int, arg2: int = 0, arg3: int = 0, arg4: int = 0, arg5: int = 0) -> int:
    """prctl(2) with integer arguments."""
    return check(_prctl(option, arg2, arg3, arg4, arg5), f"prctl({option})")


def set_name(name: str) -> None:
    """prctl(2) PR_SET_NAME: what ps(1) shows as the command, at most 15 bytes."""
    check(_prctl_pointer(PR_SET_NAME, name.encode()[:15] + b"\0", 0, 0, 0), "prctl(PR_SET_NAME)")


def personality(persona: int) -> int:
    """personality(2); 0xFFFFFFFF only asks."""
    return check(_personality(persona), "personality")


def join_session_keyring() -> None:
    """keyctl(2) KEYCTL_JOIN_SESSION_KEYRING: a new, empty session keyring, so that the caller's keys stay outside."""
    number = _KEYCTL_NUMBER[os.uname().machine]
    if syscall(number, "iP", _KEYCTL_JOIN_SESSION_KEYRING, None) < 0:
        raise fail("keyctl")


def clone(flags: int, child: Callable[[], NoReturn], cgroup_fd: int = -1) -> tuple[int, int]:
    """clone3(2): starts `child` in a new process with the namespaces of `flags`; gives its pid and its pidfd.

    The caller has one thread. `child` never returns; whatever it raises ends the process with status 70. With
    `cgroup_fd` (a cgroup v2 directory) the child is born in that cgroup. Falls back to clone(2) where clone3 is
    refused with ENOSYS, as seccomp profiles of outer containers do; the child then joins the cgroup as its first act.
    The interpreter must be told of the fork: a raw clone without its hooks deadlocks or aborts (Python 3.13).
    """
    pidfd = buffer(8)
    flags |= CLONE_PIDFD
    if cgroup_fd >= 0:
        flags |= CLONE_INTO_CGROUP
    signal = 0 if flags & CLONE_PARENT else SIGCHLD  # the signal of a sister is that of the caller
    arguments = pack("=11Q", flags, _address(pidfd), 0, 0, signal, 0, 0, 0, 0, 0, max(cgroup_fd, 0))
    pid, code = _fork(lambda: syscall(_CLONE3, "PL", arguments, 88), child)
    if pid < 0 and code == _ENOSYS:
        pid, code = _clone_without_cgroup(flags & ~CLONE_INTO_CGROUP | signal, pidfd, child, cgroup_fd)
    if pid < 0:
        raise fail("clone3", code=code)
    return pid, int(unpack_from("=i", bytes(pidfd))[0])


def _clone_without_cgroup(flags: int, pidfd: object, child: Callable[[], NoReturn], cgroup_fd: int) -> tuple[int, int]:
    machine = os.uname().machine
    words = (0, flags) if machine == "s390x" else (flags, 0)

    def call() -> int:
        return syscall(_CLONE_NUMBER[machine], "LLPLL", *words, pidfd, 0, 0)

    if cgroup_fd < 0:
        return _fork(call, child)
    # Opened by the parent: whether a process may be moved is a question of who opens the file.
    procs_fd = os.open("cgroup.procs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=cgroup_fd)

    def joining() -> NoReturn:
        os.write(procs_fd, b"0")
        child()

    try:
        return _fork(call, joining)
    finally:
        os.close(procs_fd)


def _fork(call: Callable[[], int], child: Callable[[], NoReturn]) -> tuple[int, int]:
    """The pid, or a negative number and the errno, of a system call that forks."""
    _before_fork()
    pid = call()
    if pid == 0:
        try:
            _after_fork_child()
            child()
        finally:
            os._exit(70)
    code = errno()
    _after_fork_parent()
    return pid, code


def _address(array: object) -> int:
    from _ctypes import addressof

    return int(addressof(array))  # type: ignore[arg-type]


def fork_child(child: Callable[[], NoReturn]) -> int:
    """fork(2): starts `child`, which never returns into the caller's code; gives the pid."""
    pid = os.fork()
    if pid == 0:
        try:
            child()
        finally:
            os._exit(70)
    return pid


def pidfd_open(pid: int) -> int:
    """pidfd_open(2): ESRCH when there is no such process."""
    return check(syscall(_PIDFD_OPEN, "iI", pid, 0), "pidfd_open", pid)


def pidfd_send_signal(pidfd: int, signal: int) -> None:
    """pidfd_send_signal(2): to exactly the process that the descriptor means."""
    check(syscall(_PIDFD_SEND_SIGNAL, "iiPI", pidfd, signal, None, 0), "pidfd_send_signal")


def start_time(pid: int) -> int:
    """When the process started, in clock ticks since boot (field 22 of proc_pid_stat(5)); 0 when it is not there.

    OSError when it cannot be told for want of descriptors or memory: no process is to be taken for dead for that.
    """
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(fd, 4096)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno in _EXHAUSTED:
            raise
        return 0  # ENOENT; ESRCH when it died between open and read; EACCES of a stranger's (hidepid)
    fields = text[text.rfind(b")") + 2 :].split()
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])
