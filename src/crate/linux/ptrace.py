"""ptrace(2) of seized processes: stops at system calls, events, signals; what a stopped one is about to ask."""

from __future__ import annotations

from struct import unpack_from

from crate.linux.libc import buffer, check, fail, function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class SyscallInfo(NamedTuple):
        """`struct ptrace_syscall_info` of linux/ptrace.h (Linux 5.3)."""

        op: int
        #: AUDIT_ARCH of linux/audit.h
        architecture: int
        instruction_pointer: int
        #: of the entry
        number: int
        arguments: tuple[int, ...]
        #: of the exit: minus the errno of a failure
        result: int


SYSCALL_INFO_ENTRY, SYSCALL_INFO_EXIT = 1, 2

EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_EXEC, EVENT_STOP = 1, 2, 3, 4, 128

O_TRACESYSGOOD = 0x1
O_TRACEFORK = 0x2
O_TRACEVFORK = 0x4
O_TRACECLONE = 0x8
O_TRACEEXEC = 0x10
O_EXITKILL = 0x100000

#: waitpid(2): children of every kind, threads among them
WALL = 0x40000000
#: the bit by which O_TRACESYSGOOD tells a system call's SIGTRAP from others
SYSCALL_BIT = 0x80

_CONT, _SYSCALL = 7, 24
_GETEVENTMSG, _GETSIGINFO, _SEIZE, _LISTEN, _GET_SYSCALL_INFO = 0x4201, 0x4202, 0x4206, 0x4208, 0x420E
_SIGINFO_BYTES, _INFO_BYTES = 128, 88

_ptrace = function("ptrace", "iiLL", "l")
_ptrace_into = function("ptrace", "iiLP", "l")
_info = buffer(_INFO_BYTES)


def seize(pid: int, options: int) -> None:
    """PTRACE_SEIZE: this process becomes the tracer of a process that goes on running. EPERM: it may not."""
    check(_ptrace(_SEIZE, pid, 0, options), "ptrace(PTRACE_SEIZE)", pid)


def resume(pid: int, signal: int = 0, *, to_syscall: bool = True) -> None:
    """PTRACE_SYSCALL, or PTRACE_CONT: a stopped thread goes on, with the signal that it stopped for. ESRCH: killed."""
    check(_ptrace(_SYSCALL if to_syscall else _CONT, pid, 0, signal), "ptrace(PTRACE_SYSCALL)", pid)


def listen(pid: int) -> None:
    """PTRACE_LISTEN: leaves a thread in its group's stop, until SIGCONT."""
    check(_ptrace(_LISTEN, pid, 0, 0), "ptrace(PTRACE_LISTEN)", pid)


def event_message(pid: int) -> int:
    """PTRACE_GETEVENTMSG: the pid of a new process; at EVENT_EXEC the thread that called execve(2)."""
    message = buffer(8)
    check(_ptrace_into(_GETEVENTMSG, pid, 0, message), "ptrace(PTRACE_GETEVENTMSG)", pid)
    return int(unpack_from("=Q", message)[0])


def signal_sender(pid: int) -> int:
    """`si_pid` of PTRACE_GETSIGINFO: the sender as the thread's pid namespace knows it; 0 for one outside of it."""
    info = buffer(_SIGINFO_BYTES)
    check(_ptrace_into(_GETSIGINFO, pid, 0, info), "ptrace(PTRACE_GETSIGINFO)", pid)
    return int(unpack_from("=i", info, 16)[0])


def syscall_info(pid: int) -> SyscallInfo | tuple[int, int, int, int, tuple[int, ...], int]:
    """PTRACE_GET_SYSCALL_INFO of a stopped thread."""
    if _ptrace_into(_GET_SYSCALL_INFO, pid, _INFO_BYTES, _info) < 0:
        raise fail("ptrace(PTRACE_GET_SYSCALL_INFO)", pid)
    op, architecture, pointer, _, *rest = unpack_from("=B3xIQQ7Q", _info)
    if op == SYSCALL_INFO_EXIT:
        return op, architecture, pointer, -1, (), unpack_from("=q", _info, 24)[0]
    return op, architecture, pointer, rest[0], tuple(rest[1:]), 0
