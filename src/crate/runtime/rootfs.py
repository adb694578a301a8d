"""The container's root file system: attached, furnished, masked, and made the root."""

from __future__ import annotations

import errno
import os
import stat

from crate.linux import mount as m
from crate.linux.fs import (
    O_PATH,
    PROC_SUPER_MAGIC,
    RESOLVE_BENEATH,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
    fs_type,
    openat2,
)
from crate.runtime.devices import make_devices
from crate.runtime.mounts import MountOptions, apply_attributes, attach, bind_clone, file_system, mount_entry
from crate.runtime.paths import is_directory, make_directory, open_in_root
from crate.runtime.sync import SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PROPAGATION = {
    "shared": m.MS_SHARED,
    "rshared": m.MS_SHARED | m.MS_REC,
    "slave": m.MS_SLAVE,
    "rslave": m.MS_SLAVE | m.MS_REC,
    "private": m.MS_PRIVATE,
    "rprivate": m.MS_PRIVATE | m.MS_REC,
    "unbindable": m.MS_UNBINDABLE,
    "runbindable": m.MS_UNBINDABLE | m.MS_REC,
}


def enter_private_mounts(propagation: str) -> None:
    """Cuts the new mount namespace off the host's: nothing mounted here is seen there."""
    flags = _PROPAGATION.get(propagation or "rslave", m.MS_SLAVE | m.MS_REC)
    if flags & m.MS_SHARED:
        flags = m.MS_SLAVE | m.MS_REC  # the container's own root is shared later; the host's tree never
    try:
        m.mount("", "/", None, flags)
    except OSError as error:
        raise SetupError("cannot make the mount namespace private", error) from None


def attach_root(root_mount_fd: int, root_path: str, mountpoint_fd: int) -> int:
    """Attaches the root (a detached mount, or a bind of the bundle's directory) and gives a descriptor of it.

    Takes the descriptor of the mount point.
    """
    try:
        if root_mount_fd < 0:
            source = os.open(root_path, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            root_mount_fd = bind_clone(source, True)
            os.close(source)
        attach(root_mount_fd, mountpoint_fd)
        os.close(mountpoint_fd)
        # The parent of the root must not be shared, or pivot_root(2) fails with EINVAL.
        m.mount_setattr(root_mount_fd, "", m.AT_EMPTY_PATH, 0, 0, m.MS_PRIVATE)
        return root_mount_fd
    except OSError as error:
        raise SetupError(f"cannot mount the root file system {root_path}", error) from None


def furnish(
    root_fd: int,
    spec: dict[str, Any],
    cgroup_mounts: list[dict[str, Any]],
    made_mounts: dict[int, int],
    bind_devices: bool,
) -> None:
    """Mounts, devices, sysctls: everything that is beneath the root before it becomes the root.

    `made_mounts` are the detached binds that the parent made: place in spec.mounts -> descriptor.
    """
    for index, entry in enumerate(spec.get("mounts") or []):
        if entry.get("type") in ("cgroup", "cgroup2"):
            for part in cgroup_mounts:
                _cgroup_part(root_fd, part)
        else:
            mount_entry(root_fd, entry, made_mounts.get(index, -1))
    linux = spec.get("linux") or {}
    make_devices(root_fd, linux.get("devices") or [], bind_devices)
    for key, value in (linux.get("sysctl") or {}).items():
        _sysctl(root_fd, key, value)


def _cgroup_part(root_fd: int, part: dict[str, Any]) -> None:
    """One part of the container's cgroup file system: two kinds of parts are not mounts (cgroup/mounts.py)."""
    if part["type"] == "remount":
        _remount(root_fd, part)
        return
    if part["type"] != "symlink":
        mount_entry(root_fd, part)
        return
    parent, _, name = part["destination"].rpartition("/")
    parent_fd = make_directory(root_fd, parent)
    try:
        os.symlink(part["source"], name, dir_fd=parent_fd)
    except FileExistsError:
        pass
    finally:
        os.close(parent_fd)


def _remount(root_fd: int, part: dict[str, Any]) -> None:
    """Sets the options of a part on the mount that is there."""
    try:
        target_fd = open_in_root(root_fd, part["destination"], O_PATH)
        apply_attributes(target_fd, MountOptions(part["options"]), False)
        os.close(target_fd)
    except OSError as error:
        raise SetupError(f"cannot set mount options on {part['destination']}", error) from None


def _sysctl(root_fd: int, key: str, value: str) -> None:
    path = "sys/" + (key if "/" in key else key.replace(".", "/"))
    try:
        proc_fd = open_in_root(root_fd, "proc", O_PATH | os.O_DIRECTORY)
        # A volume over /proc would turn this into a write to a file of the attacker's (CVE-2019-16884), a link or a
        # mount within it into one to another file of the kernel's (CVE-2025-52881).
        if fs_type(proc_fd) != PROC_SUPER_MAGIC:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fd = openat2(proc_fd, path, os.O_WRONLY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV)
        os.close(proc_fd)
        os.write(fd, value.encode())
        os.close(fd)
    except OSError as error:
        hint = "the sysctl exists only where the kernel has it in this namespace"
        raise SetupError(f"cannot set sysctl {key}={value}", error, hint=hint) from None


def mask(root_fd: int, paths: list[str]) -> None:
    """Covers each path: directories by one empty read-only tmpfs, files by /dev/null."""
    empty_fd = null_fd = -1
    try:
        for path in paths:
            target_fd = _existing(root_fd, path)
            if target_fd < 0:
                continue
            if not is_directory(target_fd):
                if null_fd < 0:
                    null_fd = _null_device()
                _cover(null_fd, target_fd)
            elif empty_fd < 0:
                options = MountOptions(["ro", "nosuid", "nodev", "noexec", "nr_blocks=1", "nr_inodes=1"])
                empty_fd = file_system("tmpfs", "tmpfs", options)
                attach(empty_fd, target_fd)
            else:
                _cover(empty_fd, target_fd)  # only of an attached mount can open_tree(2) make copies before Linux 6.15
            os.close(target_fd)
    except OSError as error:
        raise SetupError("cannot mask paths", error) from None
    finally:
        for fd in (empty_fd, null_fd):
            if fd >= 0:
                os.close(fd)


def _cover(source_fd: int, target_fd: int) -> None:
    cover_fd = bind_clone(source_fd, False)
    attach(cover_fd, target_fd)
    os.close(cover_fd)


def _null_device() -> int:
    """The host's /dev/null, checked to be it: what masks must not be writable storage (CVE-2025-31133)."""
    fd = os.open("/dev/null", O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    status = os.fstat(fd)
    if not stat.S_ISCHR(status.st_mode) or status.st_rdev != os.makedev(1, 3):
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO), "/dev/null")
    return fd


def _existing(root_fd: int, path: str) -> int:
    try:
        return open_in_root(root_fd, path, O_PATH)
    except (FileNotFoundError, NotADirectoryError):
        return -1


def make_read_only(root_fd: int, paths: list[str]) -> None:
    """Covers each path by a read-only bind of itself."""
    options = MountOptions(["ro"])
    try:
        for path in paths:
            target_fd = _existing(root_fd, path)
            if target_fd < 0:
                continue
            cover_fd = bind_clone(target_fd, True)
            apply_attributes(cover_fd, options, True)
            attach(cover_fd, target_fd)
            os.close(cover_fd)
            os.close(target_fd)
    except OSError as error:
        raise SetupError("cannot make paths read-only", error) from None


def pivot(root_fd: int, read_only: bool, propagation: str) -> None:
    """Makes the root the root: pivot_root(2) onto itself needs no directory for the old one."""
    try:
        old_fd = os.open("/", O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fchdir(root_fd)
        m.pivot_root(".", ".")
        # The old root now lies upon the new one; what is unmounted there must not reach the host.
        os.fchdir(old_fd)
        m.mount("", ".", None, m.MS_SLAVE | m.MS_REC)
        m.umount2(".", m.MNT_DETACH)
        os.close(old_fd)
        os.chdir("/")
        if propagation in ("shared", "rshared"):
            m.mount("", "/", None, m.MS_SHARED)
        if read_only:
            m.mount_setattr(root_fd, "", m.AT_EMPTY_PATH, m.MOUNT_ATTR_RDONLY)
    except OSError as error:
        raise SetupError("cannot pivot into the root file system", error) from None


def reopen_null_stdio() -> None:
    """Standard streams that are the host's /dev/null become the container's."""
    host_null = os.makedev(1, 3)
    for fd in (0, 1, 2):
        try:
            status = os.fstat(fd)
        except OSError:
            continue
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == host_null:
            try:
                new = os.open("/dev/null", os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                continue  # an image without /dev: what it has is what it gets
            found = os.fstat(new)
            if stat.S_ISCHR(found.st_mode) and found.st_rdev == host_null:
                os.set_blocking(new, True)
                os.dup2(new, fd)
            os.close(new)
