"""The interpreter that enters containers runs from a read-only mount of itself.

Whatever enters a container can be reached there as /proc/PID/exe. A container that is root could open it for writing
and so replace the host's interpreter (CVE-2019-5736); on a read-only mount the kernel answers EROFS. Root's mount is
made once per boot, and the launcher starts from it when it is there. An ordinary user has something to lose only where
the interpreter is the user's own; the mount is then made in the mount namespace of each invocation.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys

from crate.errors import HostError
from crate.linux import mount as m
from crate.linux.fs import O_PATH

DIRECTORY = "/run/crate/interpreter"
_ST_RDONLY = 1
_MEMBERSHIP = "crate_membership"


def is_sealed() -> bool:
    """Whether this process's executable lies on a read-only mount."""
    return bool(os.statvfs("/proc/self/exe").f_flag & _ST_RDONLY)


def is_safe() -> bool:
    """Whether no container can write to it. What root of this user namespace cannot write to, no container can."""
    return is_sealed() or not os.access("/proc/self/exe", os.W_OK)


def ensure() -> None:
    """Returns in a process of root whose executable is safe: this one, or by execve(2) one with the same arguments.

    A process without the right to mount goes on as it is: it cannot enter containers either. HostError otherwise.
    """
    if is_safe():
        return
    try:
        path = _mount()
        os.execv(path, [path, "-X", f"crate_python={sys.executable}", *sys.orig_argv[1:]])
    except OSError as error:
        if _may_mount():
            hint = f"{DIRECTORY} must be a directory of root's, on a file system that can be written"
            raise _refusal(error, hint) from None


def ensure_for_user(membership: int) -> None:
    """The same for an ordinary user, who is root in the user's namespace and a mount namespace of its own.

    The new process has the descriptor of its membership from `inherited_membership`.
    """
    if is_safe():
        return
    try:
        path = os.readlink("/proc/self/exe")  # opened by itself it would lie in the mount namespace of before: EINVAL
        _bind(path, path)
        os.set_inheritable(membership, True)
        os.execv(sys.executable, [sys.executable, "-X", f"{_MEMBERSHIP}={membership}", *sys.orig_argv[1:]])
    except OSError as error:
        raise _refusal(error, "use an interpreter that belongs to root") from None


def inherited_membership() -> int:
    """The descriptor that `ensure_for_user` handed over; -1 for none."""
    membership = int(sys._xoptions.get(_MEMBERSHIP, -1))
    if membership >= 0:
        os.set_inheritable(membership, False)
    return membership


def _may_mount() -> bool:
    from crate.linux.capability import capget, mask

    return bool(capget()[0] & mask(["CAP_SYS_ADMIN"]))


def _refusal(error: OSError, hint: str) -> HostError:
    text = f"cannot protect the interpreter {sys.executable} from containers"
    return HostError(f"{text}: {os.strerror(error.errno or 0)}", hint)


def _mount() -> str:
    os.makedirs(DIRECTORY, 0o755, exist_ok=True)
    directory_fd = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(directory_fd).st_uid != 0:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        fcntl.flock(directory_fd, fcntl.LOCK_EX)
        own = os.stat("/proc/self/exe")
        name = os.path.basename(os.readlink("/proc/self/exe"))
        for path in (f"{DIRECTORY}/{name}", f"{DIRECTORY}/{name}.{own.st_dev:x}.{own.st_ino:x}"):
            known = _known(path)
            if known is None:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o755))
            elif not os.path.samestat(known, own):
                continue
            elif os.statvfs(path).f_flag & _ST_RDONLY:
                return path
            _bind("/proc/self/exe", path)
            return path
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
    finally:
        os.close(directory_fd)


def _known(path: str) -> os.stat_result | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status if status.st_size else None  # an empty file is a mount point whose mount another boot had


def _bind(executable: str, path: str) -> None:
    """Covers `path` by the executable, read-only."""
    source = os.open(executable, O_PATH | os.O_CLOEXEC)
    target = os.open(path, O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    mount_fd = m.open_tree(source, "", m.OPEN_TREE_CLONE | m.AT_EMPTY_PATH)
    m.mount_setattr(mount_fd, "", m.AT_EMPTY_PATH, m.MOUNT_ATTR_RDONLY | m.MOUNT_ATTR_NOSUID | m.MOUNT_ATTR_NODEV)
    m.move_mount(mount_fd, "", target, "", m.MOVE_MOUNT_F_EMPTY_PATH | m.MOVE_MOUNT_T_EMPTY_PATH)
    for fd in (source, target, mount_fd):
        os.close(fd)
