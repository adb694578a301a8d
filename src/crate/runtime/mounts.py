"""The mounts of a spec: each made detached, then attached to a descriptor beneath the container's root.

Targets are opened with `openat2` and mounted upon by descriptor, so no symbolic link that an image or a neighbour
put there leads elsewhere. Needs the mount API of Linux 5.12.
"""

from __future__ import annotations

import errno
import os
import stat

from crate.errors import HostError
from crate.linux import mount as m
from crate.linux.fs import O_PATH, PROC_SUPER_MAGIC, fs_type
from crate.ns.idmap import open_namespace
from crate.runtime.paths import is_directory, make_directory, make_file, open_in_root
from crate.runtime.sync import SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: option -> (attribute to set, attribute to clear): mount(8), OCI runtime-spec "Linux mount options"
_ATTRIBUTES = {
    "ro": (m.MOUNT_ATTR_RDONLY, 0),
    "rw": (0, m.MOUNT_ATTR_RDONLY),
    "nosuid": (m.MOUNT_ATTR_NOSUID, 0),
    "suid": (0, m.MOUNT_ATTR_NOSUID),
    "nodev": (m.MOUNT_ATTR_NODEV, 0),
    "dev": (0, m.MOUNT_ATTR_NODEV),
    "noexec": (m.MOUNT_ATTR_NOEXEC, 0),
    "exec": (0, m.MOUNT_ATTR_NOEXEC),
    "noatime": (m.MOUNT_ATTR_NOATIME, m.MOUNT_ATTR__ATIME),
    "atime": (0, m.MOUNT_ATTR__ATIME),
    "relatime": (m.MOUNT_ATTR_RELATIME, m.MOUNT_ATTR__ATIME),
    "norelatime": (0, m.MOUNT_ATTR__ATIME),
    "strictatime": (m.MOUNT_ATTR_STRICTATIME, m.MOUNT_ATTR__ATIME),
    "nostrictatime": (0, m.MOUNT_ATTR__ATIME),
    "nodiratime": (m.MOUNT_ATTR_NODIRATIME, 0),
    "diratime": (0, m.MOUNT_ATTR_NODIRATIME),
    "nosymfollow": (m.MOUNT_ATTR_NOSYMFOLLOW, 0),
    "symfollow": (0, m.MOUNT_ATTR_NOSYMFOLLOW),
}
_PROPAGATION = {
    "shared": (m.MS_SHARED, False),
    "slave": (m.MS_SLAVE, False),
    "private": (m.MS_PRIVATE, False),
    "unbindable": (m.MS_UNBINDABLE, False),
    "rshared": (m.MS_SHARED, True),
    "rslave": (m.MS_SLAVE, True),
    "rprivate": (m.MS_PRIVATE, True),
    "runbindable": (m.MS_UNBINDABLE, True),
}
#: flags of the whole file system, which fsconfig takes without a value
_SUPERBLOCK_FLAGS = {"sync", "async", "dirsync", "mand", "nomand", "lazytime", "nolazytime", "silent", "loud"}
_IGNORED = {"defaults", "bind", "rbind", "tmpcopyup", "idmap", "ridmap", "user", "nouser", "auto", "noauto"}
_VIRTUAL = {"proc", "sysfs"}
#: files of /proc that a mount may stand for: those of lxcfs, and what checkpoints and FIPS need (as in runc)
_PROC_FILES = {
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
}


class MountOptions:
    """The options of one mount of the spec, sorted by what they change."""

    def __init__(self, options: list[str]) -> None:
        self.set = self.clear = self.recursive_set = self.recursive_clear = 0
        self.propagation: list[tuple[int, bool]] = []
        self.data: list[str] = []
        self.bind = "bind" in options or "rbind" in options
        self.recursive = "rbind" in options
        self.copy_up = "tmpcopyup" in options
        self.idmap = "idmap" in options or "ridmap" in options
        self.idmap_recursive = "ridmap" in options
        for option in options:
            if option in _ATTRIBUTES:
                add, drop = _ATTRIBUTES[option]
                self.set, self.clear = self.set & ~drop | add, (self.clear | drop) & ~(add & ~m.MOUNT_ATTR__ATIME)
            elif option[0] == "r" and option[1:] in _ATTRIBUTES:
                add, drop = _ATTRIBUTES[option[1:]]
                self.recursive_set = self.recursive_set & ~drop | add
                self.recursive_clear = (self.recursive_clear | drop) & ~(add & ~m.MOUNT_ATTR__ATIME)
            elif option in _PROPAGATION:
                self.propagation.append(_PROPAGATION[option])
            elif option not in _IGNORED and option:
                self.data.append(option)


def file_system(fstype: str, source: str, options: MountOptions) -> int:
    """A detached mount of a new file system."""
    fs_fd = m.fsopen(fstype)
    try:
        if source:
            m.fsconfig_set_string(fs_fd, "source", source)
        for option in options.data:
            key, equals, value = option.partition("=")
            if equals:
                m.fsconfig_set_string(fs_fd, key, value)
            else:
                m.fsconfig_set_flag(fs_fd, key)
        m.fsconfig_create(fs_fd)
        return m.fsmount(fs_fd, options.set)
    finally:
        os.close(fs_fd)


def bind_clone(source_fd: int, recursive: bool) -> int:
    """A detached copy of the mount (tree) that `source_fd` lies on."""
    flags = m.OPEN_TREE_CLONE | m.AT_EMPTY_PATH | (m.AT_RECURSIVE if recursive else 0)
    return m.open_tree(source_fd, "", flags)


def apply_attributes(mount_fd: int, options: MountOptions, recursive: bool) -> None:
    """Sets read-only, nosuid … on a detached bind, recursively where the option says so (`rro` or `rbind` + `ro`)."""
    if options.set or options.clear:
        _setattr(mount_fd, options.set, options.clear, recursive)
    if options.recursive_set or options.recursive_clear:
        _setattr(mount_fd, options.recursive_set, options.recursive_clear, True)
    for flag, deep in options.propagation:
        m.mount_setattr(mount_fd, "", m.AT_EMPTY_PATH | (m.AT_RECURSIVE if deep else 0), 0, 0, flag)


def _setattr(mount_fd: int, add: int, drop: int, recursive: bool) -> None:
    flags = m.AT_EMPTY_PATH | (m.AT_RECURSIVE if recursive else 0)
    try:
        m.mount_setattr(mount_fd, "", flags, add, drop)
    except PermissionError:
        # In a user namespace the flags that the host locked may not be cleared (mount_namespaces(7)): keep them.
        m.mount_setattr(mount_fd, "", flags, add, 0)


def attach(mount_fd: int, target_fd: int) -> None:
    """Attaches a detached mount upon the open target."""
    m.move_mount(mount_fd, "", target_fd, "", m.MOVE_MOUNT_F_EMPTY_PATH | m.MOVE_MOUNT_T_EMPTY_PATH)


def mount_entry(root_fd: int, entry: dict[str, Any], made_fd: int = -1) -> None:
    """Makes one mount of the spec beneath the root; `made_fd` is one that was made detached already."""
    target, fstype = entry["destination"], entry.get("type") or "bind"
    source = entry.get("source") or ""
    options = MountOptions(entry.get("options") or [])
    if options.bind or fstype == "bind":
        _bind(root_fd, source, target, options, made_fd)
        return
    try:
        mount_fd = _new_file_system(fstype, source, options)
    except OSError as error:
        raise SetupError(
            f"cannot mount {fstype} on {target}{_kernel_says(error)}", error, hint=_hint(fstype, error)
        ) from None
    _attach_at(root_fd, mount_fd, target, fstype, options, True)


def _hint(fstype: str, error: OSError) -> str | None:
    if fstype in _VIRTUAL and error.errno == errno.EPERM:
        return (
            "the kernel shows it to who owns the network or pid namespace: --userns container:ID with that of a "
            "container; or the host's own is covered in places"
        )
    return None


def _kernel_says(error: OSError) -> str:
    text = str(error.strerror or "")
    return text[text.index(" (") :] if " (" in text else ""


def _new_file_system(fstype: str, source: str, options: MountOptions) -> int:
    try:
        return file_system(fstype, source, options)
    except OSError as error:
        # An old kernel's mqueue, and file systems that never left mount(2), refuse unknown keys: no other way in.
        if error.errno != errno.EINVAL or fstype != "mqueue":
            raise
        options.data = []
        return file_system(fstype, source, options)


def _bind(root_fd: int, source: str, target: str, options: MountOptions, made_fd: int) -> None:
    try:
        mount_fd = make_bind(source, options) if made_fd < 0 else made_fd
        directory = is_directory(mount_fd)
    except OSError as error:
        raise SetupError(f"cannot bind mount {source} on {target}", error) from None
    _attach_at(root_fd, mount_fd, target, "bind", options, directory)


def open_source(source: str) -> int:
    """An O_PATH descriptor of what a bind shows. What follows `/./` is found beneath what precedes it, as its root.

    So a directory of a volume is named, in which a container may have put symbolic links meant for the host.
    """
    base, beneath, rest = source.partition("/./")
    fd = os.open(base, O_PATH | os.O_CLOEXEC)
    if not beneath:
        return fd
    try:
        return open_in_root(fd, rest, O_PATH)
    finally:
        os.close(fd)


def make_bind(source: str, options: MountOptions, userns_fd: int = -1) -> int:
    """A detached bind of `source` with its attributes, id-mapped by a user namespace where one is given."""
    source_fd = open_source(source)
    try:
        mount_fd = bind_clone(source_fd, options.recursive)
        if userns_fd >= 0:
            flags = m.AT_EMPTY_PATH | (m.AT_RECURSIVE if options.idmap_recursive else 0)
            m.mount_setattr(mount_fd, "", flags, m.MOUNT_ATTR_IDMAP, 0, 0, userns_fd)
        apply_attributes(mount_fd, options, False)
        return mount_fd
    finally:
        os.close(source_fd)


def binds(spec: dict[str, Any], made: dict[int, int]) -> dict[int, int]:
    """The binds of a spec less those that are `made`, detached: place in spec.mounts -> descriptor. HostError."""
    found: dict[int, int] = {}
    for index, entry in enumerate(spec.get("mounts") or []):
        options = MountOptions(entry.get("options") or [])
        if index in made or not (options.bind or entry.get("type") == "bind"):
            continue
        try:
            found[index] = make_bind(entry.get("source") or "", options)
        except OSError as error:
            raise HostError(
                f"cannot bind mount {entry.get('source')} on {entry['destination']}: {error.strerror}"
            ) from None
    return found


def idmapped_binds(spec: dict[str, Any]) -> dict[int, int]:
    """The id-mapped binds of a spec, made by the parent: init in a user namespace has no right to them.

    The maps are those of the mount, or else those of the container (runtime-spec, "Mounts": idmap, ridmap).
    """
    made: dict[int, int] = {}
    linux = spec.get("linux") or {}
    for index, entry in enumerate(spec.get("mounts") or []):
        options = MountOptions(entry.get("options") or [])
        uid_mappings = entry.get("uidMappings") or (linux.get("uidMappings") if options.idmap else None)
        gid_mappings = entry.get("gidMappings") or (linux.get("gidMappings") if options.idmap else None)
        if not uid_mappings or not gid_mappings:
            continue
        userns_fd = open_namespace(uid_mappings, gid_mappings)
        try:
            made[index] = make_bind(entry["source"], options, userns_fd)
        except OSError as error:
            raise HostError(
                f"cannot make the id-mapped mount of {entry['source']}: {error.strerror}",
                "its file system must support id-mapped mounts (ext4, xfs, btrfs, tmpfs from Linux 6.3)",
            ) from None
        finally:
            os.close(userns_fd)
    return made


def _attach_at(root_fd: int, mount_fd: int, target: str, fstype: str, options: MountOptions, directory: bool) -> None:
    try:
        if fstype in _VIRTUAL:
            target_fd = _real_directory(root_fd, target)
        else:
            target_fd = make_directory(root_fd, target) if directory else make_file(root_fd, target)
        keep_off_proc(root_fd, target_fd, mount_fd)
        if options.copy_up:
            _copy_up(target_fd, mount_fd)
        attach(mount_fd, target_fd)
        if fstype != "bind":
            for flag, deep in options.propagation:
                m.mount_setattr(mount_fd, "", m.AT_EMPTY_PATH | (m.AT_RECURSIVE if deep else 0), 0, 0, flag)
        os.close(target_fd)
        os.close(mount_fd)
    except NotADirectoryError as error:
        hint = "the image has a file where the mount is a directory, or the other way round: choose another target"
        raise SetupError(f"cannot mount on {target}", error, hint=hint) from None
    except OSError as error:
        raise SetupError(f"cannot mount {fstype} on {target}", error) from None


def keep_off_proc(root_fd: int, target_fd: int, mount_fd: int) -> None:
    """Raises SetupError for a mount in /proc, where the kernel and programs look for the truth about processes.

    `target_fd` is where it is to go, whatever symbolic links led there; on /proc itself only a procfs may lie.
    """
    place = _place(root_fd, target_fd)
    if place.startswith("/proc/") and place not in _PROC_FILES:
        raise SetupError(f'"{place}" cannot be mounted because it is inside /proc')
    if place == "/proc" and fs_type(mount_fd) != PROC_SUPER_MAGIC:
        raise SetupError('"/proc" cannot be mounted because it is not of type proc')


def _place(root_fd: int, fd: int) -> str:
    """The path that the kernel knows for a descriptor beneath the root, as seen from the root."""
    return os.readlink(f"/proc/self/fd/{fd}")[len(os.readlink(f"/proc/self/fd/{root_fd}").rstrip("/")) :]


def _real_directory(root_fd: int, target: str) -> int:
    """/proc and /sys only upon a real directory: a symbolic link there would fool the masks (CVE-2019-19921)."""
    fd = make_directory(root_fd, target)
    if _place(root_fd, fd) != target.rstrip("/"):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), target)
    return fd


def _copy_up(target_fd: int, mount_fd: int) -> None:
    """What the image has in the directory goes into the tmpfs before it covers it (`tmpcopyup`)."""
    for name in os.listdir(f"/proc/self/fd/{target_fd}"):
        try:
            _copy_entry(target_fd, mount_fd, name)
        except FileNotFoundError:
            continue  # in a volume, where a neighbour has just removed it
    status = os.stat(target_fd)
    os.chmod(f"/proc/self/fd/{mount_fd}", status.st_mode & 0o7777)


def _copy_entry(from_fd: int, to_fd: int, name: str) -> None:
    status = os.stat(name, dir_fd=from_fd, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=from_fd), name, dir_fd=to_fd)
    elif stat.S_ISDIR(status.st_mode):
        os.mkdir(name, 0o700, dir_fd=to_fd)
        source = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=from_fd)
        copy = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=to_fd)
        for child in os.listdir(source):
            _copy_entry(source, copy, child)
        os.close(source)
        os.close(copy)
    elif stat.S_ISREG(status.st_mode):
        # Not to wait for the writer of a pipe, should a neighbour have put one there meanwhile.
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=from_fd)
        if not stat.S_ISREG(os.fstat(source).st_mode):
            os.close(source)
            return
        copy = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=to_fd)
        while data := os.read(source, 1 << 20):
            os.write(copy, data)
        os.close(source)
        os.close(copy)
    else:
        return
    os.chown(name, status.st_uid, status.st_gid, dir_fd=to_fd, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(name, status.st_mode & 0o7777, dir_fd=to_fd)
