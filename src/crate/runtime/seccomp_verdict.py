"""What a seccomp filter answers to a call: the classic BPF program that the kernel runs, run once more by us."""

from __future__ import annotations

from struct import iter_unpack, pack, unpack_from

ERRNO = 0x00050000
_DATA = 0xFFFF
_KILL_THREAD, _KILL_PROCESS, _TRAP = 0, 0x80000000, 0x00030000
_GO_ON = (0x7FFF0000, 0x7FFC0000)  # allow, log
_LOAD, _AND, _JUMP, _RETURN = 0x20, 0x54, 0x05, 0x06
_EQUAL, _GREATER, _NOT_LESS = 0x15, 0x25, 0x35


class Filter:
    """An assembled filter (seccomp_assembler.py)."""

    def __init__(self, program: bytes) -> None:
        self._code = list(iter_unpack("=HBBI", program))

    def answer(self, number: int, architecture: int, pointer: int, arguments: tuple[int, ...]) -> int:
        """SECCOMP_RET_… of seccomp(2) for a call, as `struct seccomp_data` shows it to the kernel's filter."""
        data = pack("=IIQ6Q", number & 0xFFFFFFFF, architecture, pointer, *arguments)
        accumulator = position = 0
        while True:
            operation, true, false, constant = self._code[position]
            position += 1
            if operation == _LOAD:
                (accumulator,) = unpack_from("=I", data, constant)
            elif operation == _AND:
                accumulator &= constant
            elif operation == _JUMP:
                position += constant
            elif operation == _RETURN:
                return int(constant)
            else:
                position += true if _holds(operation, accumulator, constant) else false


def _holds(operation: int, accumulator: int, constant: int) -> bool:
    if operation == _EQUAL:
        return accumulator == constant
    if operation == _GREATER:
        return accumulator > constant
    return accumulator >= constant


def allows(answer: int) -> bool:
    """Whether the kernel went on to run the call."""
    return answer & ~_DATA in _GO_ON


def is_refusal(answer: int, errno: int) -> bool:
    """Whether it is this answer that gave the program this errno."""
    return answer & ~_DATA == ERRNO and answer & _DATA == errno


def signals(answer: int) -> bool:
    """Whether it answers by SIGSYS, which ends the thread or process, or which it may catch."""
    return answer & ~_DATA in (_KILL_THREAD, _KILL_PROCESS, _TRAP)
