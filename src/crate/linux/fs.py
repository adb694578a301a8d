"""Files: openat2(2), renameat2(2), syncfs(2), statfs(2), mknod beneath a directory."""

from __future__ import annotations

import os
from struct import pack, unpack_from

from crate.linux.libc import buffer, check, fail, function, path_bytes, syscall

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2

O_PATH = 0o10000000
O_TMPFILE = 0o20200000

PROC_SUPER_MAGIC = 0x9FA0
SYSFS_MAGIC = 0x62656572
TMPFS_MAGIC = 0x01021994
OVERLAYFS_SUPER_MAGIC = 0x794C7630
CGROUP_SUPER_MAGIC = 0x27E0EB
CGROUP2_SUPER_MAGIC = 0x63677270
EXT4_SUPER_MAGIC = 0xEF53
BTRFS_SUPER_MAGIC = 0x9123683E
NSFS_MAGIC = 0x6E736673
DEVPTS_SUPER_MAGIC = 0x1CD1

_OPENAT2 = 437
_renameat2 = function("renameat2", "iPiPI")
_syncfs = function("syncfs", "i")
_fstatfs = function("fstatfs", "iP")
_open_how: dict[tuple[int, int, int], bytes] = {}


def openat2(dir_fd: int, path: str | bytes, flags: int, resolve: int, mode: int = 0) -> int:
    """openat2(2): opens `path` from `dir_fd` under the RESOLVE_ rules; always close-on-exec.

    EAGAIN tells that a rename raced with `..` under RESOLVE_IN_ROOT or RESOLVE_BENEATH: try again.
    """
    key = (flags, mode, resolve)
    how = _open_how.get(key)
    if how is None:
        how = _open_how[key] = pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    fd = syscall(_OPENAT2, "iPPL", dir_fd, path_bytes(path), how, 24)
    if fd < 0:
        raise fail("openat2", os.fsdecode(path))
    return fd


def renameat2(old_dir_fd: int, old: str, new_dir_fd: int, new: str, flags: int = 0) -> None:
    """renameat2(2)."""
    check(_renameat2(old_dir_fd, path_bytes(old), new_dir_fd, path_bytes(new), flags), "renameat2", new)


def syncfs(fd: int) -> None:
    """syncfs(2): writes the file system that contains `fd` to disk."""
    check(_syncfs(fd), "syncfs")


def fs_type(fd: int) -> int:
    """`f_type` of fstatfs(2): one of the magic numbers above (linux/magic.h)."""
    result = buffer(256)
    check(_fstatfs(fd, result), "fstatfs")
    return int(unpack_from("=L", bytes(result))[0])
