"""What to tell a user whose limit cannot be set: what was asked for, the reason, the range and the remedy."""

from __future__ import annotations

import errno
import os

from crate.cgroup.delegation import in_user_namespace
from crate.cgroup.group import Cgroup
from crate.cgroup.hierarchy import Hierarchy, read
from crate.errors import CrateError, HostError, KernelError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OPTIONS = {
    "cpu": "cpu time",
    "cpuset": "cpus",
    "memory": "memory",
    "pids": "processes",
    "blkio": "block io",
    "hugetlb": "huge pages",
    "rdma": "rdma",
    "devices": "devices",
    "net_cls": "the network class",
    "net_prio": "network priorities",
    "unified": "by cgroup v2 files",
}
"""v1 controller → what it limits, as in "cannot limit ..."."""

RANGES = {
    "cpu.cfs_period_us": "the range is 1000 to 1000000 microseconds",
    "cpu.cfs_quota_us": "at least 1000 microseconds, and not more of a CPU than the parent group may use",
    "cpu.max": "a period of 1000 to 1000000 microseconds, a quota of at least 1000",
    "cpu.cfs_burst_us": "at most the quota",
    "cpu.max.burst": "at most the quota",
    "cpu.idle": "0 or 1",
    "cpu.weight": "not together with cpu idle",
    "pids.max": "the range is 0 to 4194304",
    "memory.memsw.limit_in_bytes": "it includes the memory, so it cannot be below the memory limit",
    "memory.limit_in_bytes": "it cannot be above the limit of memory and swap together",
    "blkio.weight": "the range is 10 to 1000",
    "blkio.bfq.weight": "the range is 1 to 1000",
    "io.bfq.weight": "the range is 1 to 1000",
    "io.weight": "the range is 10 to 1000",
}
"""File → what the kernel takes, for EINVAL and ERANGE."""


def ignored(group: Cgroup, resources: dict[str, Any]) -> list[str]:
    """The fields of the OCI linux.resources that no file of this group's kernel stands for, with the reason."""
    memory, found = resources.get("memory") or {}, []
    if memory.get("kernel"):
        found.append("memory.kernel has no effect: Linux limits the kernel's memory with that of the programs")
    if "memory" not in group.groups:
        names = [name for name in ("swappiness", "disableOOMKiller") if memory.get(name)]
        found += [f"memory.{name} has no effect: cgroup v2 does not have it" for name in names]
    return found


def explain(directory: str, write: tuple[str, str, str], error: OSError) -> CrateError:
    """The error for a write (file, value, limit) that failed in a cgroup directory."""
    file, value, limit = write
    number = error.errno or 0
    if file in ("cpuset.cpus", "cpuset.mems") and number in (errno.EINVAL, errno.EACCES, errno.ERANGE, errno.ENODEV):
        return UsageError(f"{limit}: {_cpuset_range(directory, file)}")
    if number == errno.ENOENT:
        return _no_file(file, limit)
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return KernelError(f"set {limit} in {directory}", error)
    if number in (errno.ENODEV, errno.ENXIO) and ":" in value:
        device = value.split(" ")[0]
        return UsageError(f"{limit}: there is no disk {device}", "name the whole disk, not a partition")
    if number == errno.ENODEV:
        return UsageError(f"{limit}: there is no such device")
    if number == errno.EBUSY and file == "memory.limit_in_bytes":
        usage = read(directory + "/memory.usage_in_bytes")
        return UsageError(f"{limit}: {usage} bytes are in use and cannot be reclaimed")
    if number in (errno.EINVAL, errno.ERANGE) and file in RANGES:
        return UsageError(f"{limit}: {RANGES[file]}")
    return UsageError(f"{limit}: {os.strerror(number)}")


def _no_file(file: str, limit: str) -> CrateError:
    if file.startswith("hugetlb."):
        sizes = " ".join(sorted(_page_sizes())) or "none"
        return UsageError(f"{limit}: this host has huge pages of these sizes: {sizes}")
    if "weight" in file and not file.startswith("cpu"):
        hint = "it needs the I/O scheduler bfq (modprobe bfq) or, on cgroup v2, the io controller with iocost"
        return HostError(f"cannot set {limit}: this kernel has no {file}", hint)
    return HostError(f"cannot set {limit}: this kernel has no {file}")


def _page_sizes(top: str = "/sys/kernel/mm/hugepages") -> list[str]:
    """The sizes of huge pages as cgroup files spell them: hugepages-2048kB is 2MB."""
    try:
        names = os.listdir(top)
    except OSError:
        return []
    sizes = []
    for name in names:
        size, unit = int(name.removeprefix("hugepages-").removesuffix("kB")), 0
        while size >= 1024 and size % 1024 == 0:
            size, unit = size // 1024, unit + 1
        sizes.append(f"{size}{('KB', 'MB', 'GB')[unit]}")
    return sizes


def cpu_list(text: str) -> set[int]:
    """The numbers of a kernel list such as 0-3,7 (cpuset(7)). ValueError for other text."""
    found: set[int] = set()
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    return found


def absent(wanted: str, effective: str) -> bool:
    """Whether some of the wanted CPUs or nodes are not among the effective ones."""
    try:
        return not cpu_list(wanted) <= cpu_list(effective)
    except ValueError:  # a form that the kernel understood: 0-7:1/2
        return False


def _cpuset_range(directory: str, file: str) -> str:
    sysfs = "/sys/devices/system/cpu/online" if file == "cpuset.cpus" else "/sys/devices/system/node/online"
    host = read(sysfs) or "0"
    parent = os.path.dirname(directory)
    allowed = read(f"{parent}/{file}.effective") or read(f"{parent}/{file}")
    if allowed and allowed != host:
        return f"this host has {host}, of which the cgroup above allows {allowed}"
    return f"this host has {host}"


def refuse_limit_below_usage(group: Cgroup, limit: int) -> None:
    """UsageError when a new memory limit would have the kernel kill at once (OCI memory.checkBeforeUpdate)."""
    file = "memory.usage_in_bytes" if "memory" in group.groups else "memory.current"
    usage = read(f"{group.directory('memory')}/{file}")
    if usage.isdigit() and limit < int(usage):
        raise UsageError(f"memory limit {limit}: {usage} bytes are in use")


def missing(group: Cgroup, hierarchy: Hierarchy, controller: str) -> CrateError:
    """Why a limit cannot be had: no such controller, a parent with processes of its own, or no right to it."""
    what = OPTIONS.get(controller, controller)
    if hierarchy.version == "none":
        return HostError(f"cannot limit {what}: no cgroups are mounted", "mount -t cgroup2 cgroup2 /sys/fs/cgroup")
    if controller == "unified":
        return HostError(f"cannot limit {what}: there is no cgroup v2 group", "on cgroup v1, use the options instead")
    from crate.cgroup.make import V2_NAMES

    name = V2_NAMES.get(controller)
    if controller not in hierarchy.v1 and name not in hierarchy.v2_controllers():
        return HostError(
            f"cannot limit {what}: this host has no cgroup controller {name or controller}", _absent_hint()
        )
    if group.unified and name and controller not in hierarchy.v1:
        directory = os.path.dirname(group.unified)
        while name not in read(directory + "/cgroup.controllers").split() and len(directory) > 1:
            directory = os.path.dirname(directory)
        if read(directory + "/cgroup.procs") and os.access(directory + "/cgroup.subtree_control", os.W_OK):
            return HostError(
                f"cannot limit {what}: cgroup {directory} holds processes of its own",
                "cgroup v2 wants a --cgroup-parent without processes",
            )
    own = hierarchy.own.get(controller if controller in hierarchy.v1 else "", "/")
    if not in_user_namespace():
        return HostError(f"cannot limit {what}: cgroup {own} does not let us use the controller {name or controller}")
    hint = f"{_delegation_hint(name, hierarchy)}; --limits=best-effort goes on without"
    return HostError(f"cannot limit {what}: cgroup {own} is not delegated to this user", hint)


def _absent_hint() -> str | None:
    disabled = [word for word in read("/proc/cmdline").split() if word.startswith("cgroup_disable=")]
    return f"the kernel was booted with {disabled[0]}" if disabled else None


def _delegation_hint(name: str | None, hierarchy: Hierarchy) -> str:
    if hierarchy.v1:
        return "limits of ordinary users need cgroup v2"
    if name and "/user@" in hierarchy.own.get("", ""):
        return (
            f"root can delegate it: systemctl edit user@.service, [Service] Delegate=cpu cpuset io memory pids {name}"
        )
    return "start it with: systemd-run --user --scope -p Delegate=yes crate ..."
