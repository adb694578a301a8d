"""seccomp(2): loading a filter that was assembled elsewhere."""

from __future__ import annotations

import os
from struct import pack

from crate.linux.libc import buffer, check, syscall

SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_TSYNC = 1
SECCOMP_FILTER_FLAG_LOG = 2
SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4
SECCOMP_FILTER_FLAG_NEW_LISTENER = 8
SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 32

_NUMBER = {"x86_64": 317, "aarch64": 277, "riscv64": 277, "ppc64le": 358, "s390x": 348}


def seccomp_load(program: bytes, flags: int = 0) -> int:
    """seccomp(2) SECCOMP_SET_MODE_FILTER with an array of `struct sock_filter` (8 bytes an instruction).

    With SECCOMP_FILTER_FLAG_NEW_LISTENER it gives the descriptor of seccomp_unotify(2), close-on-exec. EACCES without
    no_new_privs and without CAP_SYS_ADMIN; EBUSY for a second listener.
    """
    from _ctypes import addressof

    array = buffer(len(program))
    array.raw = program
    fprog = pack("@HxxxxxxP", len(program) // 8, addressof(array))
    return check(syscall(_NUMBER[os.uname().machine], "IIP", SECCOMP_SET_MODE_FILTER, flags, fprog), "seccomp")
