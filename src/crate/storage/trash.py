"""The trash: what was renamed into it is gone for everybody; the removal of its trees can wait, and fears no tree."""

from __future__ import annotations

import errno
import os
import stat
from fcntl import ioctl
from struct import pack, unpack

from crate.linux.fs import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, openat2
from crate.linux.mount import MNT_DETACH, UMOUNT_NOFOLLOW, umount2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.storage.roots import Roots

_DEPTH_MAX = 32
_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS = 0x80086601, 0x40086602  # linux/fs.h, where long has 64 bits
_LOCKED_FLAGS = 0x10 | 0x20  # FS_IMMUTABLE_FL, FS_APPEND_FL
_BENEATH = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV


def throw(roots: Roots, path: str) -> None:
    """Renames what is at `path` into the trash: it has gone, whole, for every other process."""
    name = path.rpartition("/")[2]
    os.rename(path, f"{roots.graphroot}/trash/{name}.{os.urandom(4).hex()}")


def empty(roots: Roots) -> list[str]:
    """Removes what lies in the trash; gives the names that would not go (mount points of another namespace)."""
    trash = f"{roots.graphroot}/trash"
    kept = []
    for name in os.listdir(trash):
        # A mount made for a kernel without detached overlays stays when its maker is killed: crate.storage.rootfs.
        try:
            umount2(f"{trash}/{name}/merged", MNT_DETACH | UMOUNT_NOFOLLOW)
        except OSError:
            pass
        if not remove_tree(trash, name):
            kept.append(name)
    return kept


def remove_tree(parent: str, name: str) -> bool:
    """Removes `parent`/`name` with all beneath it. False when something would not go.

    Nothing outside is touched, whatever the tree holds: no symbolic link is followed and no mount point crossed.
    Directories without permissions, immutable files (with the right to change that) and any depth are dealt with; a
    tree that another process is removing, too, is no error.
    """
    parent_fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _Remover(parent_fd).remove(name)
    finally:
        os.close(parent_fd)


def remove_tree_at(parent_fd: int, name: str) -> bool:
    """As `remove_tree`, of `name` beneath a descriptor."""
    return _Remover(parent_fd).remove(name)


class _Remover:
    """One removal. Directories deeper than `_DEPTH_MAX` are moved up beside the tree first, so that descriptors and
    the interpreter's stack suffice for any depth."""

    def __init__(self, parent_fd: int) -> None:
        self._parent_fd = parent_fd
        self._moved: list[str] = []

    def remove(self, name: str) -> bool:
        done = self._remove(self._parent_fd, name, 0)
        while self._moved:
            done = self._remove(self._parent_fd, self._moved.pop(), 0) and done
        return done

    def _remove(self, dir_fd: int, name: str, depth: int) -> bool:
        for attempt in range(3):
            try:
                os.unlink(name, dir_fd=dir_fd)
                return True
            except FileNotFoundError:
                return True
            except IsADirectoryError:
                return self._remove_directory(dir_fd, name, depth)
            except PermissionError:
                if _is_directory(dir_fd, name):  # POSIX wants EPERM for unlink of a directory
                    return self._remove_directory(dir_fd, name, depth)
                if attempt or not _unlock(dir_fd, name):
                    return False
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                return False
        return False

    def _remove_directory(self, dir_fd: int, name: str, depth: int) -> bool:
        if depth == _DEPTH_MAX:
            moved = f".deep-{os.urandom(8).hex()}"
            try:
                os.rename(name, moved, src_dir_fd=dir_fd, dst_dir_fd=self._parent_fd)
            except OSError:
                return False
            self._moved.append(moved)
            return True
        try:
            fd = self._open_directory(dir_fd, name)
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.EACCES, errno.ELOOP, errno.ENOTDIR):
                return False
            raise
        try:
            done = True
            with os.scandir(fd) as entries:
                names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
            for child, is_directory in names:
                act = self._remove_directory if is_directory else self._remove
                done = act(fd, child, depth + 1) and done
        finally:
            os.close(fd)
        if not done:
            return False
        try:
            os.rmdir(name, dir_fd=dir_fd)
        except FileNotFoundError:
            pass
        except PermissionError:
            if not _unlock(dir_fd, name):
                return False
            os.rmdir(name, dir_fd=dir_fd)
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                raise
            return False
        return True

    def _open_directory(self, dir_fd: int, name: str) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        try:
            return openat2(dir_fd, name, flags, _BENEATH)
        except PermissionError:
            os.chmod(name, 0o700, dir_fd=dir_fd)
            return openat2(dir_fd, name, flags, _BENEATH)


def _is_directory(dir_fd: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(name, dir_fd=dir_fd).st_mode)
    except FileNotFoundError:
        return False


def _unlock(dir_fd: int, name: str) -> bool:
    """Clears the immutable and append-only flags (ioctl_iflags(2)) of a file or directory, and of the one it is in."""
    unlocked = _clear_flags(dir_fd)
    try:
        kind = os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            return unlocked
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError:
        return unlocked
    try:
        return _clear_flags(fd) or unlocked
    finally:
        os.close(fd)


def _clear_flags(fd: int) -> bool:
    try:
        flags = unpack("i", ioctl(fd, _FS_IOC_GETFLAGS, pack("i", 0)))[0]
        if not flags & _LOCKED_FLAGS:
            return False
        ioctl(fd, _FS_IOC_SETFLAGS, pack("i", flags & ~_LOCKED_FLAGS))
    except OSError:
        return False
    return True
