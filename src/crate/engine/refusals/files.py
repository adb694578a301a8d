"""Why a file was refused: modes and owners along its path, read-only and masked mounts, devices."""

from __future__ import annotations

import errno
import os
import stat

from crate.engine.refusals import calls
from crate.engine.refusals.calls import argument
from crate.linux.capability import NUMBERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.refusals.calls import Call, FileUse
    from crate.engine.refusals.tracee import Tracee

    #: the rule in words, and the options of which each one would allow the call
    Finding = tuple[str, list[str]]

_READ, _WRITE, _RUN = 4, 2, 1
_O_NOATIME = 0o1000000
_AT_SYMLINK_NOFOLLOW = 0x100
_NOFOLLOW = ("lstat", "lstat64", "lchown", "lchown32", "lsetxattr", "readlink", "readlinkat")
# Parameters that belong to the container's own namespaces, which --sysctl sets.
_SYSCTLS = ("/proc/sys/net/", "/proc/sys/kernel/shm", "/proc/sys/kernel/msg", "/proc/sys/kernel/sem", "/proc/sys/fs/mq")


class Files:
    """The rules of files in one container, by its spec."""

    def __init__(self, spec: dict[str, Any], graphroot: str) -> None:
        linux = spec.get("linux") or {}
        self._mounts: dict[str, dict[str, Any]] = {entry["destination"]: entry for entry in spec.get("mounts") or ()}
        self._masked: list[str] = linux.get("maskedPaths") or []
        self._read_only: list[str] = linux.get("readonlyPaths") or []
        self._root_is_read_only = bool((spec.get("root") or {}).get("readonly"))
        self._volumes = f"{graphroot}/volumes/"
        process = spec.get("process") or {}
        self.uid: int = (process.get("user") or {}).get("uid", 0)
        self.bounding: list[str] = (process.get("capabilities") or {}).get("bounding") or []

    def explain(self, tracee: Tracee, call: Call, use: FileUse, path: str, code: int) -> Finding | None:
        """Which rule of files refused the call with this errno; None when it is none of them."""
        want, bits = _wanted(tracee, call, use)
        follow = want != "parent" and call.name not in _NOFOLLOW
        target_fd = parent_fd = -1
        try:
            try:
                target_fd = tracee.open(path, follow=follow)
            except OSError:
                pass  # it is not there
            directory = os.path.dirname(_real(tracee, target_fd) or path) or "/"
            parent_fd = tracee.open(directory)
            if code == errno.EROFS:
                there = target_fd >= 0 and want != "parent"
                return self._of_mount(tracee, target_fd if there else parent_fd, path, directory)
            if code == errno.EACCES:
                return self._of_modes(tracee, path, directory, target_fd, parent_fd, want, bits)
            return self._of_owner(tracee, path, target_fd, parent_fd, want)
        except OSError:
            return None  # it has gone meanwhile
        finally:
            for fd in (target_fd, parent_fd):
                if fd >= 0:
                    os.close(fd)

    def of_masked(self, path: str) -> Finding | None:
        """What opening a path got that is covered, and so looks empty."""
        for masked in self._masked:
            if path == masked or path.startswith(f"{masked}/"):
                return f"masked: {masked} is covered, and looks empty", [
                    f"--security-opt {argument(f'unmask={masked}')}"
                ]
        return None

    def own_change(self, tracee: Tracee) -> bool:
        """Whether the program is another user than the one that it was started as."""
        return tracee.inside("uid", tracee.identity.uid) != self.uid

    def _of_modes(
        self, tracee: Tracee, path: str, directory: str, target_fd: int, parent_fd: int, want: str, bits: int
    ) -> Finding | None:
        for place in _places(path, directory):
            fd = tracee.open(place)
            try:
                if not _may(tracee, os.fstat(fd), _RUN):
                    return self._mode(tracee, place, os.fstat(fd), _RUN)
            finally:
                os.close(fd)
        if want == "parent" or (want == "open" and target_fd < 0):
            status = os.fstat(parent_fd)
            return None if _may(tracee, status, 3) else self._mode(tracee, directory, status, 3)
        if target_fd < 0:
            return None
        status = os.fstat(target_fd)
        if bits and not _may(tracee, status, bits):
            return self._mode(tracee, path, status, bits)
        point, _, options = tracee.mount_of(target_fd)
        for word, matters in (("noexec", want == "run"), ("nodev", want == "open" and _is_device(status))):
            if matters and word in options:
                return f"mount option {word} on {argument(point)}", self._remount(point, word.removeprefix("no"))
        return None

    def _mode(self, tracee: Tracee, path: str, status: os.stat_result, bits: int) -> Finding:
        identity = tracee.identity
        uid, gid = tracee.inside("uid", status.st_uid), tracee.inside("gid", status.st_gid)
        mode = stat.S_IMODE(status.st_mode)
        who = f"{tracee.inside('uid', identity.uid)}:{tracee.inside('gid', identity.gid)}"
        if uid < 0:
            return f"mode: the owner of {argument(path)} is not mapped into the user namespace", []
        rule = f"mode: {argument(path)} is {uid}:{gid} {mode:04o}, the program {who}"
        if self.own_change(tracee):
            return f"{rule}, by its own choice", []
        if identity.uid == 0 or tracee.inside("uid", identity.uid) == 0:
            return rule, [] if "CAP_DAC_OVERRIDE" in self.bounding else ["--cap-add DAC_OVERRIDE"]
        options = []
        if mode >> 3 & bits == bits and identity.uid != status.st_uid and gid >= 0:
            options.append(f"--group-add {gid}")
        if mode >> 6 & bits == bits and identity.uid != status.st_uid:
            options.append(f"--user {uid}")
        if "--user 0" not in options and "CAP_DAC_OVERRIDE" in self.bounding:
            options.append("--user 0")
        return rule, options

    def _of_owner(self, tracee: Tracee, path: str, target_fd: int, parent_fd: int, want: str) -> Finding | None:
        if target_fd < 0:
            return None
        status, uid = os.fstat(target_fd), tracee.identity.uid
        owners = {status.st_uid}
        if want == "parent":
            parent = os.fstat(parent_fd)
            if not parent.st_mode & stat.S_ISVTX:
                return None
            owners.add(parent.st_uid)
        elif want == "open" and _is_device(status):
            return _of_device(path, status)
        elif want not in ("own", "open"):
            return None
        if uid in owners or tracee.has(NUMBERS["CAP_FOWNER"]):
            return None
        owner = tracee.inside("uid", status.st_uid)
        rule = f"owner: {argument(path)} belongs to {owner}, the program is {tracee.inside('uid', uid)}"
        if self.own_change(tracee):
            return f"{rule}, by its own choice", []
        if tracee.inside("uid", uid) == 0:
            return rule, [] if "CAP_FOWNER" in self.bounding else ["--cap-add FOWNER"]
        return rule, [f"--user {owner}"] if owner >= 0 else []

    def _of_mount(self, tracee: Tracee, fd: int, path: str, directory: str) -> Finding | None:
        point, _, options = tracee.mount_of(fd)
        if "ro" not in options:
            return None
        rule = f"read-only: the mount at {argument(point)}"
        finding = self.of_masked(point)
        if finding:
            return finding
        if point in self._read_only:
            unmask = f"--security-opt {argument(f'unmask={point}')}"
            name = path.removeprefix("/proc/sys/").replace("/", ".")
            sysctl = f"--sysctl {argument(f'{name}=VALUE')}"
            return rule, [sysctl, unmask] if path.startswith(_SYSCTLS) else [unmask]
        if point == "/" and self._root_is_read_only:
            over = [f"--tmpfs {argument(directory)}"] if directory != "/" else []
            return "read-only: the container's root, by --read-only", [*over, "--read-only=false"]
        return rule, self._remount(point, "rw")

    def _remount(self, point: str, word: str) -> list[str]:
        entry = self._mounts.get(point)
        if entry is None:
            return []
        if entry.get("type") == "tmpfs":
            return [f"--tmpfs {argument(f'{point}:{word}')}"]
        if "bind" not in (entry.get("options") or ()) and "rbind" not in (entry.get("options") or ()):
            return ["--privileged"]  # of the kernel: sysfs, cgroup
        source = str(entry.get("source") or "")
        if source.startswith(self._volumes):
            source = source.removeprefix(self._volumes).partition("/")[0]
        return [f"-v {argument(f'{source}:{point}:{word}')}"]


def _wanted(tracee: Tracee, call: Call, use: FileUse) -> tuple[str, int]:
    """What is wanted, `how` made `open`; and the bits of the mode that this takes."""
    arguments = call.arguments
    after = use.path + 1
    if use.want == "how":
        return "open", _open_bits(tracee.word(arguments[after]))
    if use.want == "open":
        return "open", _WRITE if call.name == "creat" else _open_bits(arguments[after])
    if use.want == "ask":
        return "ask", arguments[after] & 7
    return use.want, {"read": _READ, "write": _WRITE, "socket": _WRITE, "run": _RUN, "enter": _RUN}.get(use.want, 0)


def _open_bits(flags: int) -> int:
    bits = (_READ, _WRITE, _READ | _WRITE, _READ | _WRITE)[flags & os.O_ACCMODE]
    return bits | _WRITE if flags & os.O_TRUNC else bits


def _real(tracee: Tracee, fd: int) -> str:
    """The path of a descriptor of this process, links resolved, from the tracee's root on; empty for none."""
    if fd < 0:
        return ""
    path, root = os.readlink(f"/proc/self/fd/{fd}"), tracee.link("root")
    return path[len(root) :] if root not in ("", "/") and path.startswith(f"{root}/") else path


def _places(*paths: str) -> list[str]:
    """The directories that are searched on the way, the outermost first; the second path is itself a directory."""
    named, real = paths
    found = ["/"]
    for path in (os.path.dirname(named), real):
        at = ""
        for word in path.split("/"):
            if word:
                at += f"/{word}"
                if at not in found:
                    found.append(at)
    return found


def _may(tracee: Tracee, status: os.stat_result, bits: int) -> bool:
    """Whether the mode, or a capability, lets the program have a file: path_resolution(7)."""
    identity, mode = tracee.identity, status.st_mode
    if identity.uid == status.st_uid:
        mode >>= 6
    elif status.st_gid == identity.gid or status.st_gid in identity.groups:
        mode >>= 3
    if mode & bits == bits:
        return True
    if tracee.inside("uid", status.st_uid) < 0 or tracee.inside("gid", status.st_gid) < 0:
        return False
    is_directory = stat.S_ISDIR(status.st_mode)
    if tracee.has(NUMBERS["CAP_DAC_OVERRIDE"]) and (is_directory or not bits & _RUN or status.st_mode & 0o111):
        return True
    wide = _READ | _RUN if is_directory else _READ
    return tracee.has(NUMBERS["CAP_DAC_READ_SEARCH"]) and bits & wide == bits


def _is_device(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)


def _of_device(path: str, status: os.stat_result) -> Finding:
    """The cgroup's rules of devices. `--device` where the host has a node of this device."""
    kind = "c" if stat.S_ISCHR(status.st_mode) else "b"
    number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    options = [f"--device-cgroup-rule '{kind} {number} rwm'"]
    directory = "char" if kind == "c" else "block"
    try:
        with open(f"/sys/dev/{directory}/{number}/uevent", encoding="ascii") as file:
            name = next((line[8:].strip() for line in file if line.startswith("DEVNAME=")), "")
        if name and os.lstat(f"/dev/{name}").st_rdev == status.st_rdev:
            node = f"/dev/{name}"
            options.insert(0, f"--device {argument(node if path == node else f'{node}:{path}')}")
    except (OSError, ValueError):
        pass
    return f"device: the cgroup's rules do not allow {kind} {number}", options


def of_socket(files: Files, tracee: Tracee, call: Call, code: int) -> Finding | None:
    """connect(2) and bind(2) to a socket with a path."""
    path = calls.socket_path(tracee, call)
    if path is None:
        return None
    use = calls.FileUse(-1, -1, "socket" if call.name == "connect" else "parent")
    return files.explain(tracee, call, use, path, code)
