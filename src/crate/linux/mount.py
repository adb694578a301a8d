"""Mounts: mount(2), umount2(2), pivot_root(2) and the file-descriptor mount API of Linux 5.2 and later."""

from __future__ import annotations

import os
from struct import pack

from crate.linux.libc import check, fail, function, path_bytes, syscall

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_SYNCHRONOUS = 0x10
MS_REMOUNT = 0x20
MS_MANDLOCK = 0x40
MS_DIRSYNC = 0x80
MS_NOSYMFOLLOW = 0x100
MS_NOATIME = 0x400
MS_NODIRATIME = 0x800
MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_SILENT = 0x8000
MS_UNBINDABLE = 0x20000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MS_SHARED = 0x100000
MS_RELATIME = 0x200000
MS_STRICTATIME = 0x1000000
MS_LAZYTIME = 0x2000000

MNT_FORCE = 1
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
AT_SYMLINK_NOFOLLOW = 0x100
AT_FDCWD = -100
MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOVE_MOUNT_T_EMPTY_PATH = 0x40

FSOPEN_CLOEXEC = 1
FSMOUNT_CLOEXEC = 1
FSCONFIG_SET_FLAG = 0
FSCONFIG_SET_STRING = 1
FSCONFIG_CMD_CREATE = 6
FSCONFIG_CMD_RECONFIGURE = 7

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR__ATIME = 0x70
MOUNT_ATTR_RELATIME = 0x0
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_IDMAP = 0x100000
MOUNT_ATTR_NOSYMFOLLOW = 0x200000

# The numbers from 424 on are the same on every architecture (asm-generic/unistd.h).
_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _MOUNT_SETATTR = 428, 429, 430, 431, 432, 442

_mount = function("mount", "PPPLP")
_umount2 = function("umount2", "Pi")
_pivot_root_number = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}


def mount(source: str, target: str, fstype: str | None, flags: int = 0, data: str | None = None) -> None:
    """mount(2)."""
    kind = None if fstype is None else fstype.encode()
    if _mount(path_bytes(source), path_bytes(target), kind, flags, None if data is None else os.fsencode(data)) < 0:
        raise fail("mount", target)


def umount2(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    check(_umount2(path_bytes(target), flags), "umount2", target)


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2)."""
    number = _pivot_root_number[os.uname().machine]
    check(syscall(number, "PP", path_bytes(new_root), path_bytes(put_old)), "pivot_root", new_root)


def open_tree(dir_fd: int, path: str, flags: int) -> int:
    """open_tree(2): a descriptor of the mount at `path`; with OPEN_TREE_CLONE a detached copy of it."""
    return check(syscall(_OPEN_TREE, "iPI", dir_fd, path_bytes(path), flags | OPEN_TREE_CLOEXEC), "open_tree", path)


def move_mount(from_fd: int, from_path: str, to_fd: int, to_path: str, flags: int = 0) -> None:
    """move_mount(2). An empty path with the matching `_EMPTY_PATH` flag names the descriptor itself."""
    arguments = (from_fd, path_bytes(from_path), to_fd, path_bytes(to_path), flags)
    check(syscall(_MOVE_MOUNT, "iPiPI", *arguments), "move_mount", to_path or None)


def fsopen(fstype: str) -> int:
    """fsopen(2): a descriptor that configures a new file system instance."""
    return check(syscall(_FSOPEN, "PI", fstype.encode(), FSOPEN_CLOEXEC), "fsopen", fstype)


def fsconfig_set_flag(fs_fd: int, key: str) -> None:
    """fsconfig(2) FSCONFIG_SET_FLAG."""
    check(syscall(_FSCONFIG, "iIPPi", fs_fd, FSCONFIG_SET_FLAG, key.encode(), None, 0), "fsconfig", key)


def fsconfig_set_string(fs_fd: int, key: str, value: str) -> None:
    """fsconfig(2) FSCONFIG_SET_STRING: the value is at most 255 bytes long."""
    arguments = (fs_fd, FSCONFIG_SET_STRING, key.encode(), os.fsencode(value), 0)
    check(syscall(_FSCONFIG, "iIPPi", *arguments), "fsconfig", f"{key}={value}")


def fsconfig_create(fs_fd: int) -> None:
    """fsconfig(2) FSCONFIG_CMD_CREATE."""
    if syscall(_FSCONFIG, "iIPPi", fs_fd, FSCONFIG_CMD_CREATE, None, None, 0) < 0:
        error = fail("fsconfig")
        raise OSError(error.errno, f"{error.strerror}{fs_messages(fs_fd)}")


def fs_messages(fs_fd: int) -> str:
    """What the kernel wrote about a failed fsconfig(2), as ` (text; text)`, or nothing."""
    lines: list[str] = []
    try:
        while len(lines) < 16:
            lines.append(os.read(fs_fd, 1024).decode(errors="replace").strip()[2:])
    except OSError:
        pass
    return f" ({'; '.join(lines)})" if lines else ""


def fsmount(fs_fd: int, attributes: int = 0) -> int:
    """fsmount(2): a detached mount of the configured file system."""
    return check(syscall(_FSMOUNT, "iII", fs_fd, FSMOUNT_CLOEXEC, attributes), "fsmount")


def mount_setattr(
    dir_fd: int,
    path: str,
    flags: int,
    set_attributes: int,
    clear_attributes: int = 0,
    propagation: int = 0,
    userns_fd: int = 0,
) -> None:
    """mount_setattr(2) with `struct mount_attr`; AT_RECURSIVE in `flags` takes the whole tree."""
    attributes = pack("=QQQQ", set_attributes, clear_attributes, propagation, userns_fd)
    check(
        syscall(_MOUNT_SETATTR, "iPIPL", dir_fd, path_bytes(path), flags, attributes, len(attributes)),
        "mount_setattr",
        path or None,
    )
