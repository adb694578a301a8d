"""Writes the entries of a tar archive as files beneath a directory, with whiteouts in the form that overlay reads.

One process owns the directory while it is filled, but whatever lies in it came from a stranger: every path is resolved
beneath the root by descriptors (crate.storage.beneath), and no link is followed by the last component of a name.
"""

from __future__ import annotations

import errno
import os
import stat

from crate.errors import HostError, ImageError
from crate.ns.recorded_owner import NAME, RAW_NAME, text_of
from crate.storage.beneath import Directories, clean
from crate.storage.durable import write_all
from crate.storage.tar import reader as tar_reader
from crate.storage.tar.fields import show
from crate.storage.trash import remove_tree_at
from crate.storage.tree.walk import is_mount_point

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.storage.tar.reader import Entry, TarReader

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WHITEOUT = b".wh."
_WHITEOUT_META = b".wh..wh."
_OPAQUE = b".wh..wh..opq"
_ID_MAX = (1 << 32) - 2
_RESERVE_MAX = 512 << 20
# What an archive may set. trusted.* and *.overlay.* would speak to the overlay itself; labels are the host's policy.
_XATTRS = (b"user.", b"security.capability", b"system.posix_acl_")
_DEFAULT_ACL = b"system.posix_acl_default"
_OVERLAY_XATTR = b"user.overlay."


class Unpacked:
    """What came out: bytes of the files, number of entries, and what only the layers below can complete.

    `made` are directories that no entry announced (b"" is the root), `links` the hard links (target, name) to files
    of lower layers, `whiteouts` the places of whiteouts.
    """

    __slots__ = ("entries", "links", "made", "size", "whiteouts")

    def __init__(self) -> None:
        self.size = 0
        self.entries = 0
        self.made: list[bytes] = []
        self.links: list[tuple[bytes, bytes]] = []
        self.whiteouts: list[bytes] = []

    @property
    def needs_settling(self) -> bool:
        """Is there something that only the layers below can complete?"""
        return bool(self.made or self.links or self.whiteouts)


class TreeWriter:
    """Fills the directory `root_fd` from one archive.

    `whiteouts`: make overlay whiteouts and opaque directories of `.wh.` names; else such names are files like others.
    `rootless`: overlay's marks are `user.` attributes and devices are left out. `owner`: everything belongs to this
    user and group; with `records` the owners of the archive are recorded (crate.ns.recorded_owner). `replaces`: files
    may take the place of directories, and directories that of files.
    """

    def __init__(
        self,
        root_fd: int,
        *,
        whiteouts: bool,
        rootless: bool = False,
        owner: tuple[int, int] | None = None,
        records: bool = False,
        replaces: bool = True,
    ) -> None:
        self._directories = Directories(root_fd, self._replace_whiteout if whiteouts else None)
        self._root_fd = root_fd
        self._whiteouts = whiteouts
        self._rootless = rootless
        self._wanted_owner = owner
        self._records = records
        self._replaces = replaces
        if whiteouts:
            self._directories.made.add(b"")
        self._opaque = b"user.overlay.opaque" if rootless else b"trusted.overlay.opaque"
        # In a tree that was there before, a new file may inherit another group: its owner is always set.
        self._owner = (os.geteuid(), os.getegid())
        self._inherits = not whiteouts
        self._late: dict[bytes, tuple[int, int, bytes | None]] = {}
        self._result = Unpacked()
        self._budget_bytes = self._budget_files = 0
        self._refresh_budget()

    def unpack(self, reader: TarReader) -> Unpacked:
        """Writes all entries. Raises ImageError for a bad archive, HostError where the host cannot hold it."""
        entry = None
        umask = os.umask(0)
        try:
            for entry in reader:
                self._write(entry, reader)
            self._finish_directories()
        except OSError as error:
            raise _explain(error, entry) from None
        finally:
            os.umask(umask)
            self._directories.forget()
        self._result.made = sorted(self._directories.made)
        return self._result

    def _write(self, entry: Entry, reader: TarReader) -> None:
        path = clean(entry.name)
        directory, _, base = path.rpartition(b"/")
        kind = entry.kind
        if self._whiteouts and base.startswith(_WHITEOUT):
            self._white_out(directory, base)
            return
        if not base and kind != tar_reader.DIRECTORY:
            raise ImageError(f"cannot unpack {show(entry.name)}: it would replace the root directory")
        self._result.entries += 1
        self._budget_files -= 1
        if self._budget_files < 0:
            self._refresh_budget(files=1)
        if (self._records or not self._wanted_owner) and not (0 <= entry.uid <= _ID_MAX and 0 <= entry.gid <= _ID_MAX):
            raise ImageError(f"cannot unpack {show(entry.name)}: impossible owner {entry.uid}:{entry.gid}")
        if self._records:
            self._add_record(entry)
        elif self._wanted_owner and entry.xattrs:
            entry.xattrs.pop(RAW_NAME, None)  # else it would belong to somebody else wherever that is obeyed
        if self._wanted_owner:
            entry.uid, entry.gid = self._wanted_owner
        if kind == tar_reader.FILE:
            self._write_file(directory, base, entry, reader)
        elif kind == tar_reader.DIRECTORY:
            self._write_directory(path, directory, base, entry)
        elif kind == tar_reader.SYMLINK:
            self._write_symlink(directory, base, entry)
        elif kind == tar_reader.LINK:
            self._write_link(path, directory, base, entry)
        elif kind != b"V":
            self._write_node(directory, base, entry)

    def _add_record(self, entry: Entry) -> None:
        """The owner becomes an attribute, whatever the archive itself says in its place."""
        attributes = {name: value for name, value in (entry.xattrs or {}).items() if name != RAW_NAME}
        if (entry.uid, entry.gid) != (0, 0):
            kind = stat.S_IFDIR if entry.kind == tar_reader.DIRECTORY else stat.S_IFREG
            attributes[RAW_NAME] = text_of(entry.uid, entry.gid, kind | entry.mode)
        entry.xattrs = attributes

    def _write_file(self, directory: bytes, base: bytes, entry: Entry, reader: TarReader) -> None:
        self._budget_bytes -= entry.stored
        if self._budget_bytes < 0:
            self._refresh_budget(size=entry.stored)
        dir_fd = self._directories.fd(directory)
        try:
            fd = os.open(base, _CREATE, entry.mode & 0o777, dir_fd=dir_fd)
        except FileExistsError:
            self._clear(directory, base)
            fd = os.open(base, _CREATE, entry.mode & 0o777, dir_fd=self._directories.fd(directory))
        try:
            if entry.sparse is not None:
                _write_sparse(fd, entry, reader)
            elif entry.stored:
                body = reader.whole()
                if body is not None:
                    write_all(fd, body)
                else:
                    for piece in reader.pieces():
                        write_all(fd, piece)
            if self._inherits or (entry.uid, entry.gid) != self._owner:
                os.fchown(fd, entry.uid, entry.gid)
            if entry.mode & 0o7000:
                os.fchmod(fd, entry.mode)  # writing and chown(2) take setuid and setgid away
            if entry.xattrs:
                _set_xattrs(fd, entry.xattrs)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)
        self._result.size += entry.size if entry.sparse is None else entry.stored

    def _write_directory(self, path: bytes, directory: bytes, base: bytes, entry: Entry) -> None:
        dir_fd = self._directories.fd(directory)
        fd = self._root_fd
        is_new = False
        if base:
            try:
                os.mkdir(base, entry.mode, dir_fd=dir_fd)
                is_new = True
            except FileExistsError:
                if not _is_directory(dir_fd, base):
                    self._check_replaces(path)
                    whiteout = self._clear(directory, base)
                    dir_fd = self._directories.fd(directory)
                    os.mkdir(base, entry.mode, dir_fd=dir_fd)
                    if whiteout:
                        self._mark_opaque(path)
            fd = os.open(base, _DIRECTORY, dir_fd=dir_fd)
            self._directories.keep(path, fd)
        os.fchown(fd, entry.uid, entry.gid)  # always: the directory may have been there
        if self._records and not is_new:
            _forget_record(fd)
        # What would pass on to the files made in it comes last: the group (setgid) and a default ACL.
        os.fchmod(fd, entry.mode & ~stat.S_ISGID)
        default_acl = None
        if entry.xattrs:
            default_acl = entry.xattrs.pop(_DEFAULT_ACL, None)
            _set_xattrs(fd, entry.xattrs)
        self._late[path] = (entry.mtime_ns, entry.mode & stat.S_ISGID and entry.mode, default_acl)
        self._directories.made.discard(path)

    def _write_symlink(self, directory: bytes, base: bytes, entry: Entry) -> None:
        if not entry.linkname:
            raise ImageError(f"cannot unpack {show(entry.name)}: a symbolic link to nothing")
        try:
            os.symlink(entry.linkname, base, dir_fd=self._directories.fd(directory))
        except FileExistsError:
            self._clear(directory, base)
            os.symlink(entry.linkname, base, dir_fd=self._directories.fd(directory))
        self._set_node_attributes(self._directories.fd(directory), base, entry)

    def _write_node(self, directory: bytes, base: bytes, entry: Entry) -> None:
        """A device or a FIFO. In a user namespace devices cannot be made; the runtime provides those that matter."""
        kinds = {b"3": stat.S_IFCHR, b"4": stat.S_IFBLK, b"6": stat.S_IFIFO}
        if self._rootless and entry.kind != tar_reader.FIFO:
            return
        major, minor = entry.device
        if not (0 <= major < 1 << 12 and 0 <= minor < 1 << 20):
            raise ImageError(f"cannot unpack {show(entry.name)}: impossible device number {major}:{minor}")
        mode, device = kinds[entry.kind] | entry.mode, os.makedev(major, minor)
        try:
            os.mknod(base, mode, device, dir_fd=self._directories.fd(directory))
        except FileExistsError:
            self._clear(directory, base)
            os.mknod(base, mode, device, dir_fd=self._directories.fd(directory))
        self._set_node_attributes(self._directories.fd(directory), base, entry)

    def _write_link(self, path: bytes, directory: bytes, base: bytes, entry: Entry) -> None:
        target = clean(entry.linkname)
        target_directory, _, target_base = target.rpartition(b"/")
        if not target_base:
            raise ImageError(f"cannot unpack {show(entry.name)}: a hard link to the root directory")
        if target == path:
            return
        try:
            self._link(target_directory, target_base, directory, base)
        except FileExistsError:
            self._clear(directory, base)
            self._link(target_directory, target_base, directory, base)
        except FileNotFoundError:
            if not self._whiteouts:
                raise ImageError(f"cannot unpack {show(entry.name)}: its hard link target is missing") from None
            self._result.links.append((target, path))
        except PermissionError:
            raise ImageError(f"cannot unpack {show(entry.name)}: a hard link to a directory") from None

    def _link(self, target_directory: bytes, target_base: bytes, directory: bytes, base: bytes) -> None:
        # Both are asked for before either is used: asking for one may close the descriptor of the other.
        self._directories.fd(target_directory)
        to_fd = self._directories.fd(directory)
        from_fd = self._directories.fd(target_directory)
        os.link(target_base, base, src_dir_fd=from_fd, dst_dir_fd=to_fd, follow_symlinks=False)

    def _white_out(self, directory: bytes, base: bytes) -> None:
        if base == _OPAQUE:
            self._mark_opaque(directory)
        elif not base.startswith(_WHITEOUT_META):  # aufs' own files
            name = base[len(_WHITEOUT) :]
            if name in (b"", b".", b".."):
                raise ImageError(f"cannot unpack {show(directory + b'/' + base)}: a whiteout of no file")
            dir_fd = self._directories.fd(directory)
            try:
                os.mknod(name, stat.S_IFCHR, 0, dir_fd=dir_fd)
                self._result.whiteouts.append(self._directories.place(dir_fd) + name)
            except FileExistsError:
                # A whiteout hides what lower layers have. What this layer brought itself stays, but nothing shows
                # through it.
                if _is_directory(dir_fd, name):
                    self._mark_opaque(directory + b"/" + name if directory else name)

    def _replace_whiteout(self, dir_fd: int, name: bytes) -> bool:
        """Puts a directory where this layer said that one is gone: it is a new one, and nothing shows through it."""
        found = os.lstat(name, dir_fd=dir_fd)
        if not (stat.S_ISCHR(found.st_mode) and found.st_rdev == 0):
            return False
        os.unlink(name, dir_fd=dir_fd)
        os.mkdir(name, 0o755, dir_fd=dir_fd)
        fd = os.open(name, _DIRECTORY, dir_fd=dir_fd)
        try:
            os.setxattr(fd, self._opaque, b"y")
        finally:
            os.close(fd)
        return True

    def _mark_opaque(self, directory: bytes) -> None:
        os.setxattr(self._directories.fd(directory), self._opaque, b"y")

    def _clear(self, directory: bytes, base: bytes) -> bool:
        """Removes what an earlier entry put there; was it a whiteout?"""
        dir_fd = self._directories.fd(directory)
        found = os.lstat(base, dir_fd=dir_fd)
        if self._inherits and is_mount_point(dir_fd, base):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), base)
        if stat.S_ISDIR(found.st_mode):
            path = directory + b"/" + base if directory else base
            self._check_replaces(path)
            gone = path + b"/"
            self._directories.made = {made for made in self._directories.made if not (made + b"/").startswith(gone)}
            self._late = {at: late for at, late in self._late.items() if not (at + b"/").startswith(gone)}
            remove_tree_at(dir_fd, os.fsdecode(base))
        else:
            os.unlink(base, dir_fd=dir_fd)
        self._directories.forget()
        return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0

    def _check_replaces(self, path: bytes) -> None:
        if not self._replaces:
            shown = show(b"/" + path)
            raise ImageError(f"cannot unpack: error creating {shown}: file exists", "--overwrite")

    def _set_node_attributes(self, dir_fd: int, base: bytes, entry: Entry) -> None:
        if self._inherits or (entry.uid, entry.gid) != self._owner:
            os.chown(base, entry.uid, entry.gid, dir_fd=dir_fd, follow_symlinks=False)
        os.utime(base, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=dir_fd, follow_symlinks=False)

    def _finish_directories(self) -> None:
        """Gives directories their times: every file made in them changed them."""
        for path, (mtime_ns, mode, default_acl) in self._late.items():
            fd = self._directories.existing(path)
            if fd is None:
                continue
            try:
                if mode:
                    os.fchmod(fd, mode)
                if default_acl is not None:
                    _set_xattrs(fd, {_DEFAULT_ACL: default_acl})
                os.utime(fd, ns=(mtime_ns, mtime_ns))
            finally:
                os.close(fd)

    def _refresh_budget(self, size: int = 0, files: int = 0) -> None:
        """Looks how much the file system holds, less a reserve: a bomb must not stop everything else on the host."""
        found = os.fstatvfs(self._root_fd)
        free = found.f_bavail * found.f_frsize
        reserve = min(found.f_blocks * found.f_frsize // 20, _RESERVE_MAX)
        self._budget_bytes = free - reserve - size
        # Some file systems count no files (btrfs): both numbers are 0 there.
        self._budget_files = found.f_favail - files if found.f_files else 1 << 62
        if self._budget_bytes < 0 or self._budget_files < 0:
            what = f"{free >> 20} MiB" if self._budget_bytes < 0 else f"{found.f_favail} files"
            raise HostError(
                f"not enough space to unpack the layer: {what} left", "free space, or keep the store elsewhere (--root)"
            )


def _write_sparse(fd: int, entry: Entry, reader: TarReader) -> None:
    """Writes the parts that hold data where they belong."""
    assert entry.sparse is not None
    os.ftruncate(fd, entry.size)
    parts = iter(entry.sparse)
    offset = left = 0
    for piece in reader.pieces():
        while piece:
            while not left:
                offset, left = next(parts)
            count = min(left, len(piece))
            os.lseek(fd, offset, os.SEEK_SET)
            write_all(fd, piece[:count])
            piece = piece[count:]
            offset += count
            left -= count


def _forget_record(fd: int) -> None:
    try:
        os.removexattr(fd, NAME)
    except OSError:
        pass  # there is none


def _set_xattrs(fd: int, xattrs: dict[bytes, bytes]) -> None:
    for name, value in xattrs.items():
        if name.startswith(_XATTRS) and not name.startswith(_OVERLAY_XATTR):
            try:
                os.setxattr(fd, name, value)
            except OSError as error:
                # A file system or user namespace without them: docker and podman go on, too.
                if error.errno not in (errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL):
                    raise


def _is_directory(dir_fd: int, name: bytes) -> bool:
    return stat.S_ISDIR(os.lstat(name, dir_fd=dir_fd).st_mode)


def _explain(error: OSError, entry: Entry | None) -> HostError | ImageError:
    place = show(entry.name) if entry else "the layer"
    reason = os.strerror(error.errno or 0)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HostError(f"cannot unpack {place}: {reason}", "free space, or keep the store elsewhere (--root)")
    if error.errno in (errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        return HostError(f"cannot unpack {place}: {reason}")
    if error.errno == errno.EINVAL and entry and (entry.uid or entry.gid):
        return HostError(
            f"cannot unpack {place}: its owner {entry.uid}:{entry.gid} is not mapped in this user namespace",
            "give the user more subordinate ids in /etc/subuid and /etc/subgid",
        )
    if error.errno == errno.EPERM:
        return HostError(f"cannot unpack {place}: {reason}", "the file system of the store must allow it, see --root")
    return ImageError(f"cannot unpack {place}: {reason}")
