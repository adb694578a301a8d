"""The container's /dev: nodes by mknod, or binds of the host's where the user namespace forbids mknod."""

from __future__ import annotations

import errno
import os
import stat

from crate.linux.fs import O_PATH
from crate.runtime.mounts import attach, bind_clone, keep_off_proc
from crate.runtime.paths import make_directory, make_file
from crate.runtime.sync import SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: runtime-spec, config-linux "Default Devices"
DEFAULT = (
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
)
#: what every container may use besides its own list: making nodes, the default devices, /dev/console, ptys
_ALLOWED = (
    ("c", None, None, "m"),
    ("b", None, None, "m"),
    *(("c", major, minor, "rwm") for _, major, minor in DEFAULT),
    ("c", 5, 1, "rwm"),
    ("c", 5, 2, "rwm"),
    ("c", 136, None, "rwm"),
)
_LINKS = (
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
)
_KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


def with_default_rules(resources: dict[str, Any]) -> dict[str, Any]:
    """`linux.resources` with the device rules that a runtime adds where a spec has any (as runc does)."""
    rules = resources.get("devices")
    if not rules:
        return resources
    added = []
    for kind, major, minor, access in _ALLOWED:
        rule: dict[str, Any] = {"allow": True, "type": kind, "access": access}
        if major is not None:
            rule["major"] = major
        if minor is not None:
            rule["minor"] = minor
        added.append(rule)
    return {**resources, "devices": [*rules, *added]}


def make_devices(root_fd: int, devices: list[dict[str, Any]], bind: bool) -> None:
    """Makes the default devices, those of the spec, and the links; `bind` where mknod cannot be had."""
    listed = {device["path"] for device in devices}
    # mknod(2) minds the umask. A chmod(2) after it would follow a link that a neighbour with the same volume put there
    # meanwhile, as far as the host's files.
    umask = os.umask(0)
    try:
        for path, major, minor in DEFAULT:
            if path not in listed:
                _make(root_fd, path, stat.S_IFCHR | 0o666, os.makedev(major, minor), 0, 0, bind)
        for device in devices:
            kind = _KINDS.get(device["type"])
            if kind is None:
                raise SetupError(f"cannot make device {device['path']}: unknown type {device['type']!r}")
            number = os.makedev(device.get("major", 0), device.get("minor", 0))
            mode = device.get("fileMode", 0o666) & 0o7777 | kind
            _make(root_fd, device["path"], mode, number, device.get("uid", 0), device.get("gid", 0), bind)
    finally:
        os.umask(umask)
    dev_fd = make_directory(root_fd, "/dev")
    try:
        for target, name in _LINKS:
            _link(dev_fd, target, name)
        _link(dev_fd, "pts/ptmx", "ptmx")
    finally:
        os.close(dev_fd)


def _link(dev_fd: int, target: str, name: str) -> None:
    try:
        os.symlink(target, name, dir_fd=dev_fd)
    except FileExistsError:
        pass
    except OSError as error:
        raise SetupError(f"cannot link /dev/{name}", error) from None


def _make(root_fd: int, path: str, mode: int, number: int, uid: int, gid: int, bind: bool) -> None:
    parent, _, name = path.rpartition("/")
    if bind:
        _bind(root_fd, path)
        return
    parent_fd = make_directory(root_fd, parent or "/")
    try:
        os.mknod(name, mode, number, dir_fd=parent_fd)
        if uid or gid:
            os.chown(name, uid, gid, dir_fd=parent_fd, follow_symlinks=False)
    except FileExistsError:
        pass
    except PermissionError as error:
        if error.errno != errno.EPERM:
            raise SetupError(f"cannot make device {path}", error) from None
        _bind(root_fd, path)
    except OSError as error:
        raise SetupError(f"cannot make device {path}", error) from None
    finally:
        os.close(parent_fd)


def _bind(root_fd: int, path: str) -> None:
    try:
        source = os.open(path, O_PATH | os.O_CLOEXEC)
        mount_fd = bind_clone(source, False)
        target = make_file(root_fd, path)
        keep_off_proc(root_fd, target, mount_fd)
        attach(mount_fd, target)
        for fd in (source, mount_fd, target):
            os.close(fd)
    except OSError as error:
        raise SetupError(f"cannot bind device {path}", error) from None


def bind_console(root_fd: int, slave_fd: int) -> None:
    """/dev/console of a container with a terminal is a bind of its pty (runtime-spec, "Console")."""
    try:
        mount_fd = bind_clone(slave_fd, False)
        target = make_file(root_fd, "/dev/console")
        attach(mount_fd, target)
        os.close(mount_fd)
        os.close(target)
    except OSError as error:
        raise SetupError("cannot bind /dev/console", error) from None
