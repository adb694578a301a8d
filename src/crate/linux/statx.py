"""statx(2): of a descriptor, its mode and which mount it lies in."""

from __future__ import annotations

from struct import unpack_from

from crate.linux.libc import buffer, check, function

_AT_EMPTY_PATH = 0x1000
_MODE, _MOUNT, _MOUNT_UNIQUE = 0x2, 0x1000, 0x4000
_statx = function("statx", "iPiIP")


def mode_and_mount(fd: int) -> tuple[int, int, bool]:
    """(st_mode, the id of the mount, whether no other mount ever gets this id: Linux 6.8).

    0 for the id before Linux 5.8.
    """
    found = buffer(256)
    wanted = _MODE | _MOUNT | _MOUNT_UNIQUE
    check(_statx(fd, b"", _AT_EMPTY_PATH, wanted, found), "statx")
    data = found.raw
    (mask,) = unpack_from("=I", data)
    (mode,) = unpack_from("=H", data, 28)
    (mount,) = unpack_from("=Q", data, 144)
    return mode, mount if mask & (_MOUNT | _MOUNT_UNIQUE) else 0, bool(mask & _MOUNT_UNIQUE)
