"""libseccomp, the library under runc and crun, as the judge of what a profile means."""

from __future__ import annotations

import ctypes
import tempfile
from typing import Any

_ARCHITECTURES = {
    "X86_64": 0xC000003E,
    "X86": 0x40000003,
    "X32": 0x4000003E,
    "AARCH64": 0xC00000B7,
    "ARM": 0x40000028,
    "RISCV64": 0xC00000F3,
    "PPC64LE": 0xC0000015,
    "S390X": 0x80000016,
    "S390": 0x00000016,
}
_ACTIONS = {
    "KILL": 0,
    "KILL_THREAD": 0,
    "KILL_PROCESS": 0x80000000,
    "TRAP": 0x00030000,
    "ERRNO": 0x00050000,
    "TRACE": 0x7FF00000,
    "LOG": 0x7FFC0000,
    "ALLOW": 0x7FFF0000,
}
_OPERATORS = {"NE": 1, "LT": 2, "LE": 3, "EQ": 4, "GE": 5, "GT": 6, "MASKED_EQ": 7}


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


class Library:
    """The shared library; OSError where it is not installed."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libseccomp.so.2")
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._library.seccomp_init.argtypes = [ctypes.c_uint32]
        for name in ("seccomp_arch_add", "seccomp_arch_remove"):
            getattr(self._library, name).argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        self._library.seccomp_rule_add_array.argtypes = [
            *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p),
        ]
        self._library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
        self._library.seccomp_release.argtypes = [ctypes.c_void_p]

    def knows(self, name: str) -> bool:
        """Whether this version has heard of a call on any architecture."""
        return int(self._library.seccomp_syscall_resolve_name(name.encode())) != -1

    def number(self, architecture: str, name: str) -> int:
        """The number of a call on an architecture; negative where that has no such call."""
        token = _ARCHITECTURES[architecture]
        return int(self._library.seccomp_syscall_resolve_name_arch(ctypes.c_uint32(token), name.encode()))

    def assemble(self, seccomp: dict[str, Any]) -> bytes:
        """The program of `linux.seccomp`, its rules given to the library as runc does."""
        default = _action(seccomp["defaultAction"], seccomp.get("defaultErrnoRet"))
        context = self._library.seccomp_init(default)
        try:
            wanted = [_ARCHITECTURES[name.removeprefix("SCMP_ARCH_")] for name in seccomp["architectures"]]
            for token in wanted:
                self._library.seccomp_arch_add(context, token)
            if _ARCHITECTURES["X86_64"] not in wanted:
                self._library.seccomp_arch_remove(context, 0)  # the machine that the tests run on
            for rule in seccomp["syscalls"]:
                action = _action(rule["action"], rule.get("errnoRet"))
                if action != default:
                    for name in rule["names"]:
                        self._add(context, action, name, rule.get("args") or [])
            with tempfile.TemporaryFile() as file:
                assert self._library.seccomp_export_bpf(context, file.fileno()) == 0
                file.seek(0)
                return file.read()
        finally:
            self._library.seccomp_release(context)

    def _add(self, context: Any, action: int, name: str, args: list[dict[str, Any]]) -> None:
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if len({arg["index"] for arg in args}) < len(args):
            for arg in args:
                self._add(context, action, name, [arg])
            return
        array = (_Comparison * len(args))(
            *(
                _Comparison(
                    arg["index"], _OPERATORS[arg["op"].removeprefix("SCMP_CMP_")], arg["value"], arg.get("valueTwo", 0)
                )
                for arg in args
            )
        )
        result = self._library.seccomp_rule_add_array(context, action, number, len(args), array)
        assert result in (0, -17), (name, args, result)  # EEXIST: there is a wider rule already


def _action(name: str, errno: int | None) -> int:
    action = _ACTIONS[name.removeprefix("SCMP_ACT_")]
    if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        action |= 1 if errno is None else errno
    return action
