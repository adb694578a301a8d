"""The interpreter that enters containers runs from a read-only mount of itself, made once per boot.

Whatever enters a container can be reached there as /proc/PID/exe. A container that is root could open it for writing
and so replace the host's interpreter (CVE-2019-5736); on a read-only mount the kernel answers EROFS. The launcher
starts from the mount when it is there, so only the first invocation of a boot executes itself anew.
"""

from __future__ import annotations

import fcntl
import os
import sys

from crate.linux import mount as m
from crate.linux.fs import O_PATH

DIRECTORY = "/run/crate/interpreter"
_ST_RDONLY = 1


def is_sealed() -> bool:
    """Whether this process's executable lies on a read-only mount."""
    return bool(os.statvfs("/proc/self/exe").f_flag & _ST_RDONLY)


def ensure() -> None:
    """Returns in a process whose executable is sealed: this one, or by execve(2) one with the same arguments.

    Where the mount cannot be made (no right to mount), the process goes on as it is: it has no right to write to the
    interpreter either, or runs where nothing can be sealed.
    """
    if is_sealed():
        return
    try:
        path = _mount()
        os.execv(path, [path, "-X", f"crate_python={sys.executable}", *sys.orig_argv[1:]])
    except OSError:
        return


def _mount() -> str:
    os.makedirs(DIRECTORY, 0o755, exist_ok=True)
    directory_fd = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(directory_fd).st_uid != 0:
            raise PermissionError(1, "not root's", DIRECTORY)
        fcntl.flock(directory_fd, fcntl.LOCK_EX)
        own = os.stat("/proc/self/exe")
        name = os.path.basename(os.readlink("/proc/self/exe"))
        for path in (f"{DIRECTORY}/{name}", f"{DIRECTORY}/{name}.{own.st_dev:x}.{own.st_ino:x}"):
            known = _known(path)
            if known is None:
                _bind(path)
                return path
            if os.path.samestat(known, own):
                if os.statvfs(path).f_flag & _ST_RDONLY:
                    return path
                _bind(path)
                return path
        raise OSError(17, "taken", path)
    finally:
        os.close(directory_fd)


def _known(path: str) -> os.stat_result | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status if status.st_size else None  # an empty file is a mount point whose mount another boot had


def _bind(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o755))
    source = os.open("/proc/self/exe", O_PATH | os.O_CLOEXEC)
    target = os.open(path, O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    mount_fd = m.open_tree(source, "", m.OPEN_TREE_CLONE | m.AT_EMPTY_PATH)
    m.mount_setattr(mount_fd, "", m.AT_EMPTY_PATH, m.MOUNT_ATTR_RDONLY | m.MOUNT_ATTR_NOSUID | m.MOUNT_ATTR_NODEV)
    m.move_mount(mount_fd, "", target, "", m.MOVE_MOUNT_F_EMPTY_PATH | m.MOVE_MOUNT_T_EMPTY_PATH)
    for fd in (source, target, mount_fd):
        os.close(fd)
