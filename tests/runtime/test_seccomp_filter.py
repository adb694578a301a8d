"""The default profile in the kernel: a child loads it and tries what a container must not do."""

from __future__ import annotations

import ctypes
import errno
import json
import os
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from crate.linux.process import PR_SET_NO_NEW_PRIVS, fork_child, prctl
from crate.linux.seccomp import seccomp_load
from crate.linux.syscall_table import numbers
from crate.plan.seccomp_profile import default_profile
from crate.runtime.seccomp import compiled, load_flags
from crate.settings.defaults import CAPABILITIES

if TYPE_CHECKING:
    from crate.oci.runtime_spec import LinuxSeccomp

MACHINE = os.uname().machine
TABLE = {"x86_64": "X86_64", "aarch64": "AARCH64", "riscv64": "RISCV64", "ppc64le": "PPC64LE", "s390x": "S390X"}
AF_ALG, AF_VSOCK, AF_UNIX, AF_INET = 38, 40, 1, 2
SOCK_STREAM = 1
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x20000
PER_LINUX, ADDR_NO_RANDOMIZE = 0, 0x0040000


def answers(seccomp: LinuxSeccomp, *calls: tuple[Any, ...]) -> list[int]:
    """The errno of each call (0: it worked) in a process under the filter; a call is a name or number and arguments."""
    table = numbers(TABLE[MACHINE])
    program, flags = compiled(seccomp, None), load_flags(seccomp)
    read_fd, write_fd = os.pipe()

    def child() -> NoReturn:
        libc = ctypes.CDLL(None, use_errno=True)
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        seccomp_load(program, flags)
        seen = []
        for name, *arguments in calls:
            number = name if isinstance(name, int) else table[name]
            result = libc.syscall(ctypes.c_long(number), *(ctypes.c_ulong(argument) for argument in arguments))
            seen.append(ctypes.get_errno() if result < 0 else 0)
        os.write(write_fd, json.dumps(seen).encode())
        os._exit(0)

    pid = fork_child(child)
    os.close(write_fd)
    with os.fdopen(read_fd) as file:
        text = file.read()
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return list(json.loads(text))


@pytest.fixture
def profile() -> LinuxSeccomp:
    return default_profile(list(CAPABILITIES), MACHINE, os.uname().release)


def test_what_a_container_needs_works(profile: LinuxSeccomp) -> None:
    tried = answers(
        profile,
        ("getpid",),
        ("socket", AF_UNIX, SOCK_STREAM, 0),
        ("socket", AF_INET, SOCK_STREAM, 0),
        ("personality", 0xFFFFFFFF),
        ("personality", PER_LINUX),
        ("sched_yield",),
        ("memfd_create", 0, 0),
    )
    assert tried[:-1] == [0] * 6
    assert tried[-1] == errno.EFAULT  # it reached the kernel


def test_what_a_container_must_not_do_is_forbidden(profile: LinuxSeccomp) -> None:
    calls: list[tuple[Any, ...]] = [
        ("socket", AF_VSOCK, SOCK_STREAM, 0),
        ("socket", AF_ALG, 5, 0),
        ("socket", AF_VSOCK | 1 << 32, SOCK_STREAM, 0),  # the kernel looks at 32 bits only
        ("io_uring_setup", 1, 0),
        ("unshare", CLONE_NEWUSER),
        ("clone", CLONE_NEWUSER, 0, 0, 0, 0),
        ("setns", 0, 0),
        ("mount", 0, 0, 0, 0, 0),
        ("fsopen", 0, 0),
        ("open_tree", 0, 0, 0),
        ("bpf", 0, 0, 0),
        ("keyctl", 0, 0, 0, 0, 0),
        ("kexec_load", 0, 0, 0, 0),
        ("userfaultfd", 0),
        ("personality", ADDR_NO_RANDOMIZE),
        ("open_by_handle_at", 0, 0, 0),
    ]
    assert answers(profile, *calls) == [errno.EPERM] * len(calls)


def test_libraries_fall_back_where_a_call_does_not_exist(profile: LinuxSeccomp) -> None:
    assert answers(profile, ("clone3", 0, 0), (600,)) == [errno.ENOSYS] * 2


def test_capabilities_open_their_calls() -> None:
    seccomp = default_profile([*CAPABILITIES, "CAP_SYS_ADMIN"], MACHINE, os.uname().release)
    calls = [("unshare", 0), ("clone3", 0, 0), ("bpf", 99, 0, 0), ("socket", AF_VSOCK, SOCK_STREAM, 0)]
    unshare, clone3, bpf, vsock = answers(seccomp, *calls)
    assert unshare == 0
    assert clone3 == errno.EINVAL  # the kernel's own answer to an empty structure
    assert bpf in (errno.EINVAL, errno.EPERM, errno.EFAULT, errno.E2BIG)
    assert vsock == errno.EPERM


def test_kill_ends_the_process() -> None:
    seccomp: LinuxSeccomp = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["getppid"], "action": "SCMP_ACT_KILL_PROCESS"}],
    }

    def child() -> NoReturn:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        seccomp_load(compiled(seccomp, None))
        os.getppid()
        os._exit(0)

    _, status = os.waitpid(fork_child(child), 0)
    assert os.waitstatus_to_exitcode(status) == -31  # SIGSYS


def test_flags_are_taken_by_the_kernel(profile: LinuxSeccomp) -> None:
    profile["flags"] = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
    assert answers(profile, ("getpid",)) == [0]


@pytest.mark.skipif(MACHINE != "x86_64", reason="x32 is a way into x86_64")
def test_x32_calls_are_filtered_too(profile: LinuxSeccomp) -> None:
    x32 = 0x40000000
    assert answers(profile, (x32 | numbers("X32")["mount"], 0, 0, 0, 0, 0)) == [errno.EPERM]
