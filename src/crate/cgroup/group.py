"""A container's control group: one directory in each hierarchy, joined, watched, frozen, killed and removed.

Not for: making it and its limits (make), reading its statistics (stats).
"""

from __future__ import annotations

import errno
import os
import time

from crate.cgroup.hierarchy import read
from crate.errors import HostError, KernelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REMOVE_SECONDS = 2.0
"""How long a group may stay busy after its last process was reaped: the kernel takes the zombie out a little later."""

FREEZE_SECONDS = 10.0
"""How long processes may take to freeze: one in an uninterruptible wait (NFS, a dying disk) may never do it."""

SIGKILL = 9


class Cgroup:
    """The directories of one control group.

    `path` is the OCI cgroupsPath. `groups`: v1 controller → directory (co-mounted controllers share one).
    `unified`: the directory in the v2 hierarchy, or None. On a pure v2 host `groups` is empty.
    `has_device_rules` tells whether the device rules that were asked for are in force: without cgroups they are not.
    """

    __slots__ = ("groups", "has_device_rules", "path", "unified")

    def __init__(self, path: str, groups: dict[str, str], unified: str | None, has_device_rules: bool = False) -> None:
        self.path = path
        self.groups = groups
        self.unified = unified
        self.has_device_rules = has_device_rules

    def record(self) -> dict[str, Any]:
        """What `from_record` needs to find the group again without looking at the host."""
        return {"path": self.path, "v1": self.groups, "v2": self.unified, "device_rules": self.has_device_rules}

    def host_path(self) -> str:
        """The path that /proc/PID/cgroup shows of a process of the group; "" where the group has no directory.

        It is `path`, or `path` beneath a group that was delegated to this user.
        """
        from crate.cgroup.hierarchy import discover

        directory, hierarchy = self.directory("memory"), discover()
        for point, root in filter(None, (hierarchy.v1.get("memory"), hierarchy.unified)):
            if directory and directory.startswith(f"{point}/"):
                return root.rstrip("/") + directory[len(point) :]
        return ""

    def directories(self) -> list[str]:
        """Each directory of the group once, the v2 one last."""
        found = dict.fromkeys(self.groups.values())
        if self.unified:
            found[self.unified] = None
        return list(found)

    def join_paths(self) -> list[str]:
        """The v1 `tasks` files: a process joins by writing b"0" to each before it has a second thread.

        That takes 0.04 ms a file, where cgroup.procs waits 7 ms for a grace period.
        """
        return [directory + "/tasks" for directory in dict.fromkeys(self.groups.values())]

    def v2_path(self) -> str | None:
        """The directory to open for clone3(CLONE_INTO_CGROUP); without clone3, write b"0" to its cgroup.procs."""
        return self.unified

    def v2_path_of(self, pid: int, proc: str = "/proc") -> str | None:
        """The v2 directory of a process of the container: where exec goes when the container made groups of its own
        (systemd does), since `v2_path()` may then hold no processes and refuses newcomers with EBUSY.
        """
        for line in read(f"{proc}/{pid}/cgroup").split("\n"):
            if line.startswith("0::") and self.unified:
                _, found, inside = line[3:].partition(self.path)
                # As the kernel shows it to us, not to the container: it ends with our path and what is beneath.
                if found and (not inside or inside.startswith("/")) and "/.." not in inside:
                    return self.unified + inside
        return self.unified

    def directory(self, controller: str) -> str | None:
        """Where the files of a controller (v1 name) are, in whichever hierarchy."""
        return self.groups.get(controller) or self.unified

    def pids(self) -> list[int]:
        """Every process in the group and the groups that the container made beneath it."""
        for top in self.directories()[-1:]:
            return _pids_beneath(top)
        return []

    def adopt(self, pid: int) -> None:
        """Moves a living process into the group by cgroup.procs: slow (7 ms a hierarchy), for the cold paths only."""
        for directory in self.directories():
            _put(directory + "/cgroup.procs", str(pid))

    def oom_kills(self) -> int:
        """How many processes of the group the kernel has killed for want of memory."""
        if directory := self.groups.get("memory"):
            return keyed(directory + "/memory.oom_control").get("oom_kill", 0)
        return keyed(f"{self.unified}/memory.events").get("oom_kill", 0) if self.unified else 0

    def stats(self) -> dict[str, Any]:
        """The statistics of the group, as `crate.cgroup.stats.stats`."""
        from crate.cgroup.stats import stats

        return stats(self)

    def update(self, resources: dict[str, Any]) -> None:
        """Changes limits, as `crate.cgroup.make.update`; `record()` may be another afterwards."""
        from crate.cgroup.make import update

        update(self, resources)

    def is_frozen(self) -> bool:
        """Whether `freeze()` is in force."""
        if freezer := self.groups.get("freezer"):
            return read(freezer + "/freezer.state") == "FROZEN"
        return bool(self.unified) and keyed(f"{self.unified}/cgroup.events").get("frozen") == 1

    def freeze(self, seconds: float = FREEZE_SECONDS) -> None:
        """Stops every process of the group where it is. HostError when one of them does not; then none is stopped."""
        deadline = time.monotonic() + seconds
        freezer = self.groups.get("freezer")
        if not (freezer or self.unified):
            hint = "it needs cgroup v2 or the v1 freezer"
            raise HostError(f"cannot freeze cgroup {self.path}: there is no freezer", hint)
        try:
            frozen = _freeze_v1(freezer, deadline) if freezer else _freeze_v2(str(self.unified), deadline)
        except OSError as error:
            raise KernelError(f"freeze cgroup {self.path}", error) from error
        if not frozen:
            self.thaw()
            raise HostError(f"cannot freeze cgroup {self.path}: a process in it does not stop within {seconds:g} s")

    def thaw(self) -> None:
        """Undoes `freeze()`; nothing where nothing is frozen."""
        try:
            if freezer := self.groups.get("freezer"):
                _put(freezer + "/freezer.state", "THAWED")
            elif self.unified:
                _put(self.unified + "/cgroup.freeze", "0")
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise KernelError(f"thaw cgroup {self.path}", error) from error

    def kill(self) -> None:
        """SIGKILL to every process of the group, frozen or not, those included that are forked meanwhile.

        Returns when they have been told, not when they are gone. Nothing where there is no group.
        """
        if self.unified:
            try:
                _put(self.unified + "/cgroup.kill", "1")  # from 5.14
                return
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV):
                    raise KernelError(f"kill cgroup {self.path}", error) from error
        told: set[int] = set()
        for _ in range(64):
            try:
                self.freeze(0.2)  # what is frozen does not fork: one round is enough
            except HostError:
                pass  # else each round catches the children of the last
            new = set(self.pids()) - told
            for pid in new:
                try:
                    os.kill(pid, SIGKILL)
                except ProcessLookupError:
                    pass
            told |= new
            self.thaw()  # v1 lets a frozen process die only when it is thawed
            if not new:
                return

    def remove(self) -> None:
        """Removes the group and what the container made beneath it. KernelError when processes are still in it."""
        deadline = time.monotonic() + REMOVE_SECONDS
        for directory in self.directories():
            remove_tree(directory, deadline)


def from_record(record: dict[str, Any]) -> Cgroup:
    """The group of a `Cgroup.record()`."""
    return Cgroup(record["path"], record["v1"], record["v2"], record.get("device_rules", False))


def keyed(path: str) -> dict[str, int]:
    """A flat keyed file (`oom_kill 3` a line) as numbers; {} if it is not there. What is no number is left out."""
    found: dict[str, int] = {}
    for line in read(path).split("\n"):
        key, _, value = line.partition(" ")
        if value.isdigit():
            found[key] = int(value)
    return found


def _put(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def _freeze_v2(directory: str, deadline: float) -> bool:
    _put(directory + "/cgroup.freeze", "1")
    pause = 0.0002
    while keyed(directory + "/cgroup.events").get("frozen") != 1:
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
    return True


def _freeze_v1(directory: str, deadline: float) -> bool:
    """FROZEN is written again and again: a process that is forked meanwhile leaves the group in FREEZING; and now and
    then all are let go for a moment, since two may wait for each other half frozen (vfork, ptrace)."""
    attempt = 0
    while time.monotonic() < deadline:
        attempt += 1
        if attempt % 50 == 0:
            _put(directory + "/freezer.state", "THAWED")
            time.sleep(0.01)
        _put(directory + "/freezer.state", "FROZEN")
        if read(directory + "/freezer.state") == "FROZEN":
            return True
        time.sleep(0.0005)
    return False


def _children(directory: str) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:  # gone meanwhile
        return []


def _pids_beneath(directory: str) -> list[int]:
    # Threaded v2 groups refuse cgroup.procs with EOPNOTSUPP: their processes are listed in the group above.
    pids = [int(word) for word in read(directory + "/cgroup.procs").split()]
    for child in _children(directory):
        pids += _pids_beneath(child)
    return pids


def remove_tree(directory: str, deadline: float = 0) -> None:
    """Removes a cgroup directory with those beneath it; waits until `deadline` (time.monotonic) while it is busy."""
    pause = 0.0005
    while True:
        try:
            os.rmdir(directory)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                raise KernelError(f"remove cgroup {directory}", error) from error
            busy = error
        children = _children(directory)
        for child in children:
            remove_tree(child, deadline)
        if time.monotonic() > deadline and not children:
            pids = " ".join(str(pid) for pid in _pids_beneath(directory)[:8])
            raise KernelError(f"remove cgroup {directory}", busy, f"processes are in it: {pids}" if pids else None)
        if not children:
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
