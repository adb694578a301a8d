"""Copies of trees: with owners, modes, times, attributes, hard links and holes; and layers laid onto one another.

What is copied came from a stranger, and so did the tree it is copied into: both are walked by descriptors, no symbolic
link is followed and no mount point crossed.
"""

from __future__ import annotations

import errno
import os
import stat
from fcntl import ioctl

from crate.linux.fs import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, openat2
from crate.storage.durable import write_all
from crate.storage.trash import remove_tree_at
from crate.storage.tree.walk import GONE, link_target, open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from crate.ns.idmap import IdShift

_BENEATH = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FICLONE = 0x40049409  # linux/fs.h
_CHUNK = 1 << 20
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque")
_OVERLAY_XATTRS = ("trusted.overlay.", "user.overlay.", "user.fuseoverlayfs.")


def copy_tree(source_fd: int, target_fd: int, shift: IdShift | None = None) -> None:
    """Copies what is in one directory into another, empty one, which also gets the attributes of the first.

    `shift` gives the copies other owners.
    """
    _TreeCopy(source_fd, target_fd, overlay=False, link=False, shift=shift).run()


def keep_layer(source_fd: int, target_fd: int, skip: Collection[str] = (), shift: IdShift | None = None) -> None:
    """Copies an upper directory of overlay, which may be in use, with its whiteouts and opaque directories.

    `skip`: paths beneath it that are left out. What vanishes meanwhile is, too.
    """
    _TreeCopy(source_fd, target_fd, overlay=False, link=False, marks=True, skip=skip, shift=shift).run()


def apply_layer(layer_fd: int, target_fd: int, *, link: bool) -> None:
    """Lays a layer in overlay's form onto the tree `target_fd`: whiteouts remove, opaque directories replace.

    With `link` files are hard links to those of the layer, for a tree that nobody will write to.
    """
    _TreeCopy(layer_fd, target_fd, overlay=True, link=link).run()


def merge_layer(layer_fd: int, target_fd: int) -> None:
    """Lays a layer onto the tree of lower ones, all in overlay's form: the marks that hide what lies below stay."""
    _TreeCopy(layer_fd, target_fd, overlay=True, link=False, marks=True).run()


def copy_content(source_fd: int, target_fd: int, size: int) -> None:
    """The content of a file: shared where the file system can (reflink), else copied by the kernel, holes kept."""
    try:
        ioctl(target_fd, _FICLONE, source_fd)
        return
    except OSError:
        pass
    os.ftruncate(target_fd, size)
    offset = 0
    while offset < size:
        try:
            start = os.lseek(source_fd, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # only a hole is left
            raise
        end = os.lseek(source_fd, start, os.SEEK_HOLE)
        _copy_range(source_fd, target_fd, start, end)
        offset = end


def _copy_range(source_fd: int, target_fd: int, start: int, end: int) -> None:
    os.lseek(target_fd, start, os.SEEK_SET)
    while start < end:
        try:
            count = os.copy_file_range(source_fd, target_fd, end - start, start, start)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
                raise
            data = os.pread(source_fd, min(_CHUNK, end - start), start)
            os.lseek(target_fd, start, os.SEEK_SET)
            write_all(target_fd, data)
            count = len(data)
        if not count:
            return  # the file became shorter
        start += count


def copy_attributes(source_fd: int, target_fd: int, shift: IdShift | None = None) -> None:
    """Owner, mode, attributes and times from one open file or directory to another; overlay's own marks excepted."""
    found = os.fstat(source_fd)
    os.fchown(target_fd, *_owner(found, shift))
    os.fchmod(target_fd, stat.S_IMODE(found.st_mode))
    try:
        names = os.listxattr(source_fd)
    except OSError:
        names = []
    for name in names:
        if not name.startswith(_OVERLAY_XATTRS):
            try:
                value = os.getxattr(source_fd, name)
                if shift and name == "security.capability":
                    value = shift.capability(value)
                os.setxattr(target_fd, name, value)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL, errno.ENODATA):
                    raise
    os.utime(target_fd, ns=(found.st_atime_ns, found.st_mtime_ns))


def _owner(found: os.stat_result, shift: IdShift | None) -> tuple[int, int]:
    return shift.owner(found.st_uid, found.st_gid) if shift else (found.st_uid, found.st_gid)


def copy_node(
    source_dir_fd: int,
    name: str,
    target_dir_fd: int,
    target_name: str,
    found: os.stat_result,
    shift: IdShift | None = None,
) -> None:
    """Copies what is no directory. Left out are sockets, what is gone by now, and devices that we may not make."""
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFREG:
        source_fd = open_regular(source_dir_fd, name)
        if source_fd < 0:
            return
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            target_fd = os.open(target_name, flags, 0o600, dir_fd=target_dir_fd)
            try:
                copy_content(source_fd, target_fd, found.st_size)
                copy_attributes(source_fd, target_fd, shift)
            finally:
                os.close(target_fd)
        finally:
            os.close(source_fd)
        return
    if kind == stat.S_IFLNK:
        leads = link_target(source_dir_fd, name)
        if leads is None:
            return
        os.symlink(leads, target_name, dir_fd=target_dir_fd)
    elif kind == stat.S_IFSOCK:
        return
    else:
        try:
            os.mknod(target_name, found.st_mode, found.st_rdev, dir_fd=target_dir_fd)
        except PermissionError:
            return
    os.chown(target_name, *_owner(found, shift), dir_fd=target_dir_fd, follow_symlinks=False)
    if kind != stat.S_IFLNK:
        os.chmod(target_name, stat.S_IMODE(found.st_mode), dir_fd=target_dir_fd)
    os.utime(target_name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=target_dir_fd, follow_symlinks=False)


def is_whiteout(found: os.stat_result) -> bool:
    """Is this how overlay says that a file of a lower layer is gone: a character device 0/0?"""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def is_opaque(directory_fd: int) -> bool:
    """Does this directory hide, and not join, the one of the same name in lower layers?"""
    for name in _OPAQUE:
        try:
            if os.getxattr(directory_fd, name) == b"y":
                return True
        except OSError:
            pass
    return False


def _make_opaque(directory_fd: int) -> None:
    """Marks a directory in the way of the store: overlay reads the one of users where it may not read root's."""
    for name in _OPAQUE:
        try:
            os.setxattr(directory_fd, name, b"y")
            return
        except PermissionError:
            pass


def _copy_opaque(source_fd: int, target_fd: int) -> None:
    for name in _OPAQUE:
        try:
            os.setxattr(target_fd, name, os.getxattr(source_fd, name))
        except OSError:
            pass  # it has not this one


class _TreeCopy:
    """One copy. Directories are visited by their paths, so that neither descriptors nor the stack limit the depth."""

    def __init__(
        self,
        source_fd: int,
        target_fd: int,
        *,
        overlay: bool,
        link: bool,
        marks: bool = False,
        skip: Collection[str] = (),
        shift: IdShift | None = None,
    ) -> None:
        self._shift = shift
        self._source_fd = source_fd
        self._target_fd = target_fd
        self._overlay = overlay
        self._link = link
        self._marks = marks
        self._skip = frozenset(skip)
        self._links: dict[tuple[int, int], tuple[str, str]] = {}  # inode -> directory and name of its first copy

    def run(self) -> None:
        pending = [""]
        visited = []
        while pending:
            path = pending.pop()
            source_fd = self._open_source(path)
            if source_fd < 0:
                self._drop(path)
                continue
            try:
                pending += self._copy_directory(path, source_fd)
            finally:
                os.close(source_fd)
            visited.append(path)
        # Backwards: a directory's time changes with what is made in it.
        for path in reversed(visited):
            self._finish_directory(path)

    def _finish_directory(self, path: str) -> None:
        source_fd = self._open_source(path)
        if source_fd < 0:
            return
        try:
            target_fd = self._open(self._target_fd, path)
            try:
                copy_attributes(source_fd, target_fd, self._shift)
                if self._marks:
                    _copy_opaque(source_fd, target_fd)
            finally:
                os.close(target_fd)
        finally:
            os.close(source_fd)

    def _open(self, root_fd: int, path: str) -> int:
        return openat2(root_fd, path or ".", _DIRECTORY, _BENEATH)

    def _open_source(self, path: str) -> int:
        """-1 where there is no such directory any more."""
        try:
            return self._open(self._source_fd, path)
        except OSError as error:
            if error.errno not in GONE or not path:
                raise
        return -1

    def _drop(self, path: str) -> None:
        """Takes away the copy of a directory that was gone before anything in it was copied."""
        parent, _, name = path.rpartition("/")
        parent_fd = self._open(self._target_fd, parent)
        try:
            os.rmdir(name, dir_fd=parent_fd)
        except OSError:
            pass  # others laid something into it
        finally:
            os.close(parent_fd)

    def _copy_directory(self, path: str, source_fd: int) -> list[str]:
        """Copies one directory without those in it, which are made empty; gives their paths."""
        directories = []
        target_fd = self._open(self._target_fd, path)
        try:
            if self._overlay and path and is_opaque(source_fd):
                for name in os.listdir(target_fd):
                    remove_tree_at(target_fd, name)
            with os.scandir(source_fd) as entries:
                for entry in entries:
                    name = entry.name
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if self._skip and (f"{path}/{name}" if path else name) in self._skip:
                        continue
                    if stat.S_ISDIR(found.st_mode):
                        self._make_directory(target_fd, name)
                        directories.append(f"{path}/{name}" if path else name)
                        continue
                    if self._overlay:
                        remove_tree_at(target_fd, name)
                        if is_whiteout(found) and not self._marks:
                            continue
                    self._copy_file(source_fd, target_fd, path, name, found)
        finally:
            os.close(target_fd)
        return directories

    def _make_directory(self, target_fd: int, name: str) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=target_fd)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=target_fd).st_mode):
                os.unlink(name, dir_fd=target_fd)
                os.mkdir(name, 0o700, dir_fd=target_fd)
                if self._marks:  # what it replaced hid a directory of a layer below, which stays hidden
                    self._mark(target_fd, name)

    def _mark(self, target_fd: int, name: str) -> None:
        fd = os.open(name, _DIRECTORY, dir_fd=target_fd)
        try:
            _make_opaque(fd)
        finally:
            os.close(fd)

    def _copy_file(self, source_fd: int, target_fd: int, path: str, name: str, found: os.stat_result) -> None:
        if self._link:
            try:
                os.link(name, name, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)
                return
            except OSError as error:
                if error.errno not in (errno.EMLINK, errno.EPERM, errno.EXDEV):
                    raise
        if found.st_nlink > 1:
            key = (found.st_dev, found.st_ino)
            first = self._links.get(key)
            if first:
                first_fd = self._open(self._target_fd, first[0])
                try:
                    os.link(first[1], name, src_dir_fd=first_fd, dst_dir_fd=target_fd, follow_symlinks=False)
                    return
                except FileNotFoundError:
                    pass  # it was gone when it should have been copied
                finally:
                    os.close(first_fd)
            self._links[key] = (path, name)
        copy_node(source_fd, name, target_fd, name, found, self._shift)
