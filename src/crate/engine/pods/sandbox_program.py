"""The program of a pod's sandbox: an ELF file of two hundred bytes that waits, with one page of memory of its own.

It blocks every signal, and then for ever: reaps each child that has ended (where the pod shares its pid namespace it is
pid 1 there), and waits for a signal; SIGTERM ends it with status 0. As C:

    rt_sigprocmask(SIG_SETMASK, &all, NULL, 8);
    for (;;) {
        while (wait4(-1, NULL, WNOHANG, NULL) > 0) ;
        if (rt_sigtimedwait(&all, NULL, NULL, 8) == SIGTERM) exit_group(0);
    }

A blocked signal is kept for pid 1 too, where a SIGTERM without a handler would be dropped, and so is a SIGCHLD that
comes between the two calls. docs/decisions/0095-the-sandbox-of-a-pod.md has the assembly.
"""

from __future__ import annotations

import os
from struct import pack

from crate.errors import HostError
from crate.plan.pod import PROGRAM
from crate.storage.durable import write_all

#: machine of uname(2) -> (e_machine, the code)
_CODE = {
    "x86_64": (
        62,
        "b80e000000bf02000000488d354f00000031d241ba080000000f05b83d000000bfffffffff31f6ba010000004531d20f0585c07fe6b88000"
        "0000488d3d1f00000031f631d241ba080000000f0583f80f75c9b8e700000031ff0f050f1f440000ffffffffffffffff",
    ),
    "aarch64": (
        183,
        "400080d221030010020080d2030180d2e81080d2010000d400008092010080d2220080d2030080d2882080d2010000d41f0000f12cffff54"
        "80010010010080d2020080d2030180d2281180d2010000d41f3c00f121feff54000080d2c80b80d2010000d41f2003d5ffffffffffffffff",
    ),
}
_ADDRESS = 0x400000
_HEADERS = 64 + 56  # Elf64_Ehdr, one Elf64_Phdr
_PAGE = 0x10000


def program(machine: str) -> bytes:
    """The file. HostError for a machine that it was not written for."""
    if machine not in _CODE:
        raise HostError(
            f"there is no sandbox program for {machine}", "give --infra-image an image with a pause program"
        )
    number, code = _CODE[machine]
    text = bytes.fromhex(code)
    size = _HEADERS + len(text)
    # elf(5): 64 bits, little endian, an executable with one segment that is read and executed.
    ident = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    header = pack("<16sHHIQQQIHHHHHH", ident, 2, number, 1, _ADDRESS + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = pack("<IIQQQQQQ", 1, 5, 0, _ADDRESS, _ADDRESS, size, size, _PAGE)
    return header + segment + text


def write(root_fd: int) -> None:
    """Puts the program into a root file system, on disk when this returns."""
    data = program(os.uname().machine)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(PROGRAM[1:], flags, 0o755, dir_fd=root_fd)
    try:
        write_all(fd, data)
        os.fchmod(fd, 0o755)  # whatever the umask
        os.fsync(fd)
    finally:
        os.close(fd)
