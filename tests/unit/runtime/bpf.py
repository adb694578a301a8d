"""Runs a classic BPF program on a system call, as the kernel would (linux/filter.h, linux/seccomp.h)."""

from __future__ import annotations

from collections.abc import Sequence
from struct import iter_unpack, pack, unpack_from

Program = list[tuple[int, int, int, int]]


def parse(program: bytes) -> Program:
    """The instructions: code, jump if true, jump if false, constant."""
    return [(code, true, false, constant) for code, true, false, constant in iter_unpack("=HBBI", program)]


def run(program: Program, architecture: int, number: int, arguments: Sequence[int] = (0,) * 6) -> int:
    """What the program answers: the value of SECCOMP_RET_… with its data."""
    data = pack("<IIQ6Q", number, architecture, 0, *arguments)
    accumulator = position = 0
    while True:
        code, true, false, constant = program[position]
        position += 1
        if code == 0x06:
            return constant
        if code == 0x20:
            (accumulator,) = unpack_from("<I", data, constant)
        elif code == 0x54:
            accumulator &= constant
        elif code == 0x05:
            position += constant
        elif code == 0x15:
            position += true if accumulator == constant else false
        elif code == 0x25:
            position += true if accumulator > constant else false
        elif code == 0x35:
            position += true if accumulator >= constant else false
        elif code == 0x45:
            position += true if accumulator & constant else false
        else:
            raise AssertionError(f"instruction {code:#x} is none that the assembler or libseccomp emits")
