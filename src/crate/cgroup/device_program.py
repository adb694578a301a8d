"""Device rules → a BPF_PROG_TYPE_CGROUP_DEVICE program, and that program on a cgroup v2 directory.

The kernel asks it at each mknod(2) and open(2) of a device node. It sees `struct bpf_cgroup_dev_ctx` (linux/bpf.h):
u32 access_type (access << 16 | type), u32 major, u32 minor; it answers 1 to allow, 0 to refuse with EPERM.
"""

from __future__ import annotations

import os
from struct import pack

from crate.cgroup.device_rules import settle
from crate.linux import bpf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

TYPES = {"b": 1, "c": 2}  # BPF_DEVCG_DEV_BLOCK, _CHAR
ACCESS = {"m": 1, "r": 2, "w": 4}  # BPF_DEVCG_ACC_MKNOD, _READ, _WRITE
ALL_ACCESS = 7

# Opcodes of linux/bpf_common.h: class | size or operation | source.
LOAD_U32 = 0x61  # LDX | W | MEM
MOVE_IMMEDIATE = 0xB7  # ALU64 | MOV | K
MOVE_REGISTER = 0xBF  # ALU64 | MOV | X
AND_IMMEDIATE = 0x57  # ALU64 | AND | K
SHIFT_RIGHT_IMMEDIATE = 0x77  # ALU64 | RSH | K
JUMP_EQUAL_IMMEDIATE = 0x15  # JMP | JEQ | K
JUMP_UNEQUAL_IMMEDIATE = 0x55  # JMP | JNE | K
JUMP_UNEQUAL_REGISTER = 0x5D  # JMP | JNE | X
EXIT = 0x95

R0, R1, TYPE, ASKED, MAJOR, MINOR = range(6)  # r1 holds the context, later a scratch value


def _instruction(opcode: int, to: int = 0, source: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    return pack("=BBhi", opcode, to | source << 4, offset, immediate)


def assemble(rules: Iterable[dict[str, Any]]) -> bytes:
    """The program for OCI device rules; b"" when everything is allowed, for which no program is needed."""
    allow_all, exceptions = settle(rules)
    if allow_all and not exceptions:
        return b""
    code = [
        _instruction(LOAD_U32, TYPE, R1, 0),
        _instruction(MOVE_REGISTER, ASKED, TYPE),
        _instruction(SHIFT_RIGHT_IMMEDIATE, ASKED, immediate=16),
        _instruction(AND_IMMEDIATE, TYPE, immediate=0xFFFF),
        _instruction(LOAD_U32, MAJOR, R1, 4),
        _instruction(LOAD_U32, MINOR, R1, 8),
    ]
    for (kind, major, minor), letters in exceptions.items():
        code += _exception(kind, major, minor, letters, allow_all)
    code += [_instruction(MOVE_IMMEDIATE, R0, immediate=int(allow_all)), _instruction(EXIT)]
    return b"".join(code)


def _exception(kind: str, major: int | None, minor: int | None, letters: str, allow_all: bool) -> list[bytes]:
    """A block that answers for one device, and is left by a jump past its end when the question is another."""
    tests: list[tuple[int, int, int]] = [(JUMP_UNEQUAL_IMMEDIATE, TYPE, TYPES[kind])]
    if major is not None:
        tests.append((JUMP_UNEQUAL_IMMEDIATE, MAJOR, major))
    if minor is not None:
        tests.append((JUMP_UNEQUAL_IMMEDIATE, MINOR, minor))
    access = sum(ACCESS[letter] for letter in letters)
    mask = [_instruction(MOVE_REGISTER, R1, ASKED), _instruction(AND_IMMEDIATE, R1, immediate=access)]
    answer = [_instruction(MOVE_IMMEDIATE, R0, immediate=int(not allow_all)), _instruction(EXIT)]
    if access == ALL_ACCESS:
        mask = []
    elif allow_all:  # refuse when any letter asked for is among the refused
        mask.append(_instruction(JUMP_EQUAL_IMMEDIATE, R1, offset=len(answer), immediate=0))
    else:  # allow when all letters asked for are among the allowed
        mask.append(_instruction(JUMP_UNEQUAL_REGISTER, R1, ASKED, offset=len(answer)))
    rest = len(mask) + len(answer)
    block = [
        _instruction(opcode, register, offset=rest + len(tests) - index - 1, immediate=value)
        for index, (opcode, register, value) in enumerate(tests)
    ]
    return block + mask + answer


def attach(directory: str, rules: Iterable[dict[str, Any]]) -> None:
    """Puts the rules in force in a cgroup v2 directory, in place of those that were attached to it before.

    OSError EPERM: no right to (CAP_BPF and CAP_NET_ADMIN on the host), as always in a user namespace.
    """
    program = assemble(rules)
    cgroup_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        before = bpf.prog_query(cgroup_fd, bpf.BPF_CGROUP_DEVICE)
        # The new one first: all attached programs must allow, so there is no instant without rules.
        if program:
            prog_fd = _load(program)
            try:
                bpf.prog_attach(cgroup_fd, prog_fd, bpf.BPF_CGROUP_DEVICE, bpf.BPF_F_ALLOW_MULTI)
            finally:
                os.close(prog_fd)
        for prog_id in before:
            prog_fd = bpf.prog_get_fd_by_id(prog_id)
            try:
                bpf.prog_detach(cgroup_fd, prog_fd, bpf.BPF_CGROUP_DEVICE)
            finally:
                os.close(prog_fd)
    finally:
        os.close(cgroup_fd)


def _load(program: bytes) -> int:
    try:
        return bpf.prog_load(bpf.BPF_PROG_TYPE_CGROUP_DEVICE, program, "crate_devices")
    except PermissionError:
        # Before 5.11 programs count as locked memory, of which the default limit is nearly nothing.
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        try:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except (OSError, ValueError):
            raise PermissionError(1, "bpf(BPF_PROG_LOAD): Operation not permitted") from None
        try:
            return bpf.prog_load(bpf.BPF_PROG_TYPE_CGROUP_DEVICE, program, "crate_devices")
        finally:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (soft, hard))
