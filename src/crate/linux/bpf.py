"""bpf(2): loading a program for cgroups and attaching it to one.

Not for: what the program decides (cgroup/device_program.py assembles it).
"""

from __future__ import annotations

import os
from struct import pack, unpack_from

from crate.linux.libc import buffer, check, syscall

BPF_PROG_LOAD = 5
BPF_PROG_ATTACH = 8
BPF_PROG_DETACH = 9
BPF_PROG_GET_FD_BY_ID = 13
BPF_PROG_QUERY = 16

BPF_PROG_TYPE_CGROUP_DEVICE = 15
BPF_CGROUP_DEVICE = 6
BPF_F_ALLOW_MULTI = 2

_NUMBER = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}


def _bpf(command: int, attributes: object, size: int, name: str) -> int:
    return check(syscall(_NUMBER[os.uname().machine], "iPI", command, attributes, size), name)


def prog_load(kind: int, program: bytes, name: str = "") -> int:
    """bpf(2) BPF_PROG_LOAD of an array of `struct bpf_insn` (8 bytes each); gives a close-on-exec descriptor.

    EPERM without CAP_BPF (before 5.8 CAP_SYS_ADMIN), or, before 5.11, above RLIMIT_MEMLOCK. EINVAL, EACCES: the
    verifier refused it.
    """
    from _ctypes import addressof

    instructions, license_text = buffer(len(program)), buffer(16)
    instructions.raw = program
    license_text.raw = b"Apache-2.0".ljust(16, b"\0")
    pointers = (addressof(instructions), addressof(license_text))
    # type, insn_cnt, insns, license | log_level, log_size, log_buf | kern_version, prog_flags, prog_name
    attributes = pack("=IIQQIIQII16s", kind, len(program) // 8, *pointers, 0, 0, 0, 0, 0, name.encode()[:15])
    return _bpf(BPF_PROG_LOAD, attributes, len(attributes), "bpf(BPF_PROG_LOAD)")


def prog_attach(cgroup_fd: int, prog_fd: int, kind: int, flags: int) -> None:
    """bpf(2) BPF_PROG_ATTACH of a program to a cgroup v2 directory."""
    attributes = pack("=IIII", cgroup_fd, prog_fd, kind, flags)
    _bpf(BPF_PROG_ATTACH, attributes, len(attributes), "bpf(BPF_PROG_ATTACH)")


def prog_detach(cgroup_fd: int, prog_fd: int, kind: int) -> None:
    """bpf(2) BPF_PROG_DETACH of a program from a cgroup v2 directory."""
    attributes = pack("=III", cgroup_fd, prog_fd, kind)
    _bpf(BPF_PROG_DETACH, attributes, len(attributes), "bpf(BPF_PROG_DETACH)")


def prog_query(cgroup_fd: int, kind: int, limit: int = 64) -> list[int]:
    """bpf(2) BPF_PROG_QUERY: the ids of the programs attached to a cgroup v2 directory itself. ENOSPC above `limit`."""
    from _ctypes import addressof

    ids = buffer(4 * limit)
    # target_fd, attach_type, query_flags, attach_flags, prog_ids, prog_cnt; the kernel writes attach_flags and prog_cnt
    attributes = buffer(32)
    attributes.raw = pack("=IIIIQIxxxx", cgroup_fd, kind, 0, 0, addressof(ids), limit)
    _bpf(BPF_PROG_QUERY, attributes, 32, "bpf(BPF_PROG_QUERY)")
    count = unpack_from("=I", attributes.raw, 24)[0]
    return list(unpack_from(f"={count}I", ids.raw))


def prog_get_fd_by_id(prog_id: int) -> int:
    """bpf(2) BPF_PROG_GET_FD_BY_ID: a close-on-exec descriptor of a loaded program. ENOENT when it is gone."""
    attributes = pack("=III", prog_id, 0, 0)
    return _bpf(BPF_PROG_GET_FD_BY_ID, attributes, len(attributes), "bpf(BPF_PROG_GET_FD_BY_ID)")
