"""Files and trees copied to where others may be already, as `cp` does it: what is there is merged with or replaced.

Both sides may belong to a container that runs and is hostile: source and target are walked by descriptors, no symbolic
link is followed in either, and only regular files are ever opened.
"""

from __future__ import annotations

import errno
import os
import stat

from crate.errors import StateError
from crate.linux import fs
from crate.ns.recorded_owner import RAW_NAME
from crate.ns.single_id import maps_one_id
from crate.storage.durable import write_all
from crate.storage.trash import remove_tree_at
from crate.storage.tree.copy import copy_content
from crate.storage.tree.walk import GONE, directories, is_mount_point, link_target, open_regular, xattrs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BENEATH = fs.RESOLVE_BENEATH | fs.RESOLVE_NO_SYMLINKS
_CHUNK = 1 << 20
_NO_ATTRIBUTE = (errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL, errno.EACCES)


class Transfer:
    """One copy. `owner`: whose the copies are, None keeps the owners; `overwrite`: files may replace directories and
    directories files, which is StateError otherwise. `records`: the copies keep the owners that are recorded where
    there is a single id (crate.ns.recorded_owner). OSError with the name of what could not be read or written."""

    def __init__(self, *, owner: tuple[int, int] | None, overwrite: bool = False, records: bool = True) -> None:
        self._owner = owner
        self._drops_records = not records and maps_one_id()
        self._overwrite = overwrite
        self._links: dict[tuple[int, int], tuple[str, str]] = {}
        self._made: set[str] = set()

    def file(self, source_fd: int, name: str, target_fd: int, target: str) -> None:
        """Copies what is no directory from one directory into another, as `target`."""
        self._node(source_fd, name, os.lstat(name, dir_fd=source_fd), target_fd, target, "")

    def tree(self, source_fd: int, target_fd: int, target: str = "") -> None:
        """Copies what is in a directory, with its attributes into a new one `target`, or into what is there already."""
        root_fd = os.dup(target_fd)
        try:
            if target:
                if self._make_directory(root_fd, target, target):
                    self._made.add("")
                inner_fd = os.open(target, _DIRECTORY, dir_fd=root_fd)
                os.close(root_fd)
                root_fd = inner_fd
            self._tree(source_fd, root_fd)
        finally:
            os.close(root_fd)

    def _tree(self, source_fd: int, root_fd: int) -> None:
        own = _identity(root_fd)
        visited = []
        for path, fd, entries in directories(source_fd, mounts=True):
            if path and _identity(fd) == own:
                entries.clear()  # the target lies within the source: what is copied is not copied again
                continue
            try:
                here = _open_directory(root_fd, path)
            except FileNotFoundError:
                entries.clear()  # of one that is left out
                continue
            try:
                visited.append(path)
                for name, found in entries:
                    whole = f"{path}/{name}" if path else name
                    if not stat.S_ISDIR(found.st_mode):
                        self._node(fd, name, found, here, name, path, root_fd)
                    elif (found.st_dev, found.st_ino) != own and self._make_directory(here, name, whole):
                        self._made.add(whole)
            finally:
                os.close(here)
        # Backwards: a directory's time changes with what is made in it.
        for path in reversed(visited):
            if path in self._made:
                self._finish_directory(source_fd, root_fd, path)

    def _make_directory(self, dir_fd: int, name: str, shown: str) -> bool:
        """Makes a directory where none is; says whether it did."""
        try:
            os.mkdir(name, 0o700, dir_fd=dir_fd)
            return True
        except FileExistsError:
            if stat.S_ISDIR(os.lstat(name, dir_fd=dir_fd).st_mode):
                return False
        if not self._overwrite or is_mount_point(dir_fd, name):
            raise _in_the_way("mkdir", shown)
        os.unlink(name, dir_fd=dir_fd)
        os.mkdir(name, 0o700, dir_fd=dir_fd)
        return True

    def _finish_directory(self, source_fd: int, root_fd: int, path: str) -> None:
        opened: list[int] = []
        try:
            for fd in (source_fd, root_fd):
                opened.append(_open_directory(fd, path))
            self._attributes(*opened)
        except OSError as error:
            if error.errno not in GONE or len(opened) == 2:
                raise  # else a container was faster: there is nothing to be finished
        finally:
            for fd in opened:
                os.close(fd)

    def _node(
        self,
        source_fd: int,
        name: str,
        found: os.stat_result,
        target_fd: int,
        target: str,
        path: str,
        root_fd: int = -1,
    ) -> None:
        if stat.S_ISSOCK(found.st_mode):
            return
        shown = f"{path}/{target}" if path else target
        key = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and root_fd >= 0:
            if key in self._links and self._link(root_fd, self._links[key], target_fd, target, shown):
                return
            self._links[key] = (path, target)
        if stat.S_ISREG(found.st_mode):
            fd = open_regular(source_fd, name)
            if fd >= 0:
                try:
                    self._regular(fd, target_fd, target, shown)
                finally:
                    os.close(fd)
        else:
            self._special(source_fd, name, found, target_fd, target, shown)

    def _link(self, root_fd: int, first: tuple[str, str], target_fd: int, target: str, shown: str) -> bool:
        try:
            first_fd = _open_directory(root_fd, first[0])
        except OSError:
            return False
        try:
            self._make_room(target_fd, target, shown)
            os.link(first[1], target, src_dir_fd=first_fd, dst_dir_fd=target_fd, follow_symlinks=False)
            return True
        except OSError:
            return False  # another file system is mounted in between, or a container was faster: a copy, then
        finally:
            os.close(first_fd)

    def _regular(self, fd: int, target_fd: int, target: str, shown: str) -> None:
        try:
            to_fd = os.open(target, _CREATE, 0o600, dir_fd=target_fd)
        except FileExistsError:
            to_fd = self._replace(target_fd, target, shown)
        try:
            size = os.fstat(fd).st_size
            if size:
                copy_content(fd, to_fd, size)
            else:
                while data := os.read(fd, _CHUNK):  # what the kernel makes up as it is read: /proc
                    write_all(to_fd, data)
            self._attributes(fd, to_fd)
        finally:
            os.close(to_fd)

    def _replace(self, target_fd: int, target: str, shown: str) -> int:
        """A new file in the place of another; the same one, emptied, where it is mounted."""
        if not is_mount_point(target_fd, target):
            self._make_room(target_fd, target, shown)
            return os.open(target, _CREATE, 0o600, dir_fd=target_fd)
        path_fd = os.open(target, fs.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=target_fd)
        try:
            if not stat.S_ISREG(os.fstat(path_fd).st_mode):
                raise _in_the_way("open", shown)
            return os.open(f"/proc/self/fd/{path_fd}", os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        finally:
            os.close(path_fd)

    def _make_room(self, target_fd: int, target: str, shown: str) -> None:
        """Takes away what is in the place of a file."""
        try:
            found = os.lstat(target, dir_fd=target_fd)
        except FileNotFoundError:
            return
        if is_mount_point(target_fd, target):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), shown)
        if not stat.S_ISDIR(found.st_mode):
            os.unlink(target, dir_fd=target_fd)
        elif self._overwrite:
            remove_tree_at(target_fd, target)
        else:
            raise _in_the_way("open", shown)

    def _special(
        self, source_fd: int, name: str, found: os.stat_result, target_fd: int, target: str, shown: str
    ) -> None:
        leads = link_target(source_fd, name) if stat.S_ISLNK(found.st_mode) else ""
        if leads is None:
            return
        self._make_room(target_fd, target, shown)
        owner = self._owner or (found.st_uid, found.st_gid)
        if leads:
            os.symlink(leads, target, dir_fd=target_fd)
        else:
            try:
                os.mknod(target, found.st_mode, found.st_rdev, dir_fd=target_fd)
            except PermissionError:
                return  # a device, in a user namespace
        _give(lambda: os.chown(target, *owner, dir_fd=target_fd, follow_symlinks=False))
        times = (found.st_atime_ns, found.st_mtime_ns)
        os.utime(target, ns=times, dir_fd=target_fd, follow_symlinks=False)

    def _attributes(self, source_fd: int, target_fd: int) -> None:
        found = os.fstat(source_fd)
        owner = self._owner or (found.st_uid, found.st_gid)
        _give(lambda: os.fchown(target_fd, *owner))
        os.fchmod(target_fd, stat.S_IMODE(found.st_mode))
        for key, value in xattrs(source_fd).items():
            if key == RAW_NAME and self._drops_records:
                continue
            try:
                os.setxattr(target_fd, key, value)
            except OSError as error:
                if error.errno not in _NO_ATTRIBUTE:
                    raise
        os.utime(target_fd, ns=(found.st_atime_ns, found.st_mtime_ns))


def _give(change: Callable[[], None]) -> None:
    """Changes an owner. An ordinary user cannot give files away, and an id may not be mapped: they stay the user's."""
    try:
        change()
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EINVAL) or not _is_rootless():
            raise


def _is_rootless() -> bool:
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return file.read().split() != ["0", "0", "4294967295"]


def _identity(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def _open_directory(root_fd: int, path: str) -> int:
    return fs.openat2(root_fd, path or ".", _DIRECTORY, _BENEATH)


def _in_the_way(call: str, shown: str) -> StateError:
    """In podman's words, with the path as the target's root has it."""
    return StateError(
        f'cannot copy: error creating "/{shown}": {call} /{shown}: file exists',
        "--overwrite lets files replace directories and directories files",
    )
