"""Capabilities of a process: capget(2), capset(2), the bounding and ambient sets; names of capability.h."""

from __future__ import annotations

from struct import pack, unpack

from crate.linux.libc import buffer, check, function
from crate.linux.process import (
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAP_AMBIENT_RAISE,
    PR_CAPBSET_DROP,
    PR_CAPBSET_READ,
    prctl,
)

NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()
NUMBERS = {f"CAP_{name}": number for number, name in enumerate(NAMES)}

_VERSION_3 = 0x20080522
_capset = function("capset", "PP")
_capget = function("capget", "PP")


def mask(names: list[str]) -> int:
    """The bit set of `CAP_…` names; KeyError for an unknown one."""
    bits = 0
    for name in names:
        bits |= 1 << NUMBERS[name]
    return bits


def capget() -> tuple[int, int, int]:
    """capget(2) of this process: effective, permitted and inheritable sets as bits."""
    data = buffer(24)
    check(_capget(pack("=II", _VERSION_3, 0), data), "capget")
    e0, p0, i0, e1, p1, i1 = unpack("=6I", bytes(data))
    return e0 | e1 << 32, p0 | p1 << 32, i0 | i1 << 32


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """capset(2) of this process."""
    low, words = 0xFFFFFFFF, []
    for shift in (0, 32):
        words += [effective >> shift & low, permitted >> shift & low, inheritable >> shift & low]
    check(_capset(pack("=II", _VERSION_3, 0), pack("=6I", *words)), "capset")


def drop_bounding(keep: int) -> None:
    """Drops from the bounding set whatever is not in `keep`; needs CAP_SETPCAP."""
    for number in range(64):
        if not keep >> number & 1:
            try:
                prctl(PR_CAPBSET_DROP, number)
            except OSError:
                if number >= len(NAMES):
                    return  # EINVAL: beyond the last capability of this kernel
                if bounding() >> number & 1:
                    raise


def bounding() -> int:
    """The bounding set as bits."""
    bits = 0
    for number in range(64):
        try:
            bits |= prctl(PR_CAPBSET_READ, number) << number
        except OSError:
            return bits
    return bits


def set_ambient(names: int) -> None:
    """Replaces the ambient set; each one must be permitted and inheritable."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    number = 0
    while names >> number:
        if names >> number & 1:
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number)
        number += 1
