"""What this host and this user can limit: for the plan, which refuses or warns in time, and for info."""

from __future__ import annotations

import os

from crate.cgroup.delegation import base_directory, delegated_controllers
from crate.cgroup.hierarchy import Hierarchy, discover, read
from crate.cgroup.make import V2_NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def facts(hierarchy: Hierarchy | None = None) -> dict[str, Any]:
    """version ("1", "2", "hybrid", "none"), driver, base (where the groups go; None: nowhere), controllers (v1 names,
    those that limits can be asked of), unified_controllers, cpus and mems (lists as the kernel writes them: those that
    containers may have), has_swap_limit, has_blkio_weight, has_cpu_burst, has_cpu_idle, has_freezer.
    """
    hierarchy = hierarchy or discover()
    unified = delegated_controllers(hierarchy)
    controllers = [name for name, v2_name in V2_NAMES.items() if v2_name in unified]
    writable = {name: _writable(hierarchy, name) for name in hierarchy.v1}
    controllers += [name for name, directory in writable.items() if directory]
    if hierarchy.unified and "devices" not in controllers and os.access(hierarchy.unified[0], os.W_OK):
        controllers.append("devices")  # by a program
    base = None
    if hierarchy.unified:
        top = hierarchy.unified[0]
        base = top if os.access(top, os.W_OK) else base_directory(hierarchy, unified)
    cpuset = hierarchy.v1["cpuset"][0] if "cpuset" in hierarchy.v1 else base
    return {
        "version": hierarchy.version,
        "driver": "cgroupfs" if controllers or base else "none",
        "base": base or next((directory for directory in writable.values() if directory), None),
        "controllers": sorted(controllers),
        "unified_controllers": unified,
        "cpus": _first(f"{cpuset}/cpuset.effective_cpus", f"{cpuset}/cpuset.cpus.effective", _ONLINE_CPUS),
        "mems": _first(f"{cpuset}/cpuset.effective_mems", f"{cpuset}/cpuset.mems.effective", _ONLINE_NODES) or "0",
        "has_swap_limit": _has_file(hierarchy, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max"),
        "has_blkio_weight": _has_weight(hierarchy),
        "has_cpu_burst": _has_file(hierarchy, "cpu", "cpu.cfs_burst_us", "cpu.max.burst"),
        "has_cpu_idle": _has_file(hierarchy, "cpu", "cpu.idle", "cpu.idle"),
        "has_freezer": bool(writable.get("freezer") or base),
    }


_ONLINE_CPUS = "/sys/devices/system/cpu/online"
_ONLINE_NODES = "/sys/devices/system/node/online"


def _first(*paths: str) -> str:
    for path in paths:
        if text := read(path):
            return text
    return ""


def _writable(hierarchy: Hierarchy, controller: str) -> str | None:
    for directory in (hierarchy.v1[controller][0], hierarchy.own_directory(controller)):
        if directory and os.access(directory, os.W_OK):
            return directory
    return None


def _has_file(hierarchy: Hierarchy, controller: str, v1_file: str, v2_file: str) -> bool:
    if controller in hierarchy.v1:
        return os.path.exists(f"{hierarchy.v1[controller][0]}/{v1_file}")
    return any(os.path.exists(f"{directory}/{v2_file}") for directory in _groups_v2(hierarchy))


def _has_weight(hierarchy: Hierarchy) -> bool:
    """The top of a hierarchy has no weight, so a group beneath it is looked at: ours, or anyone's."""
    if "blkio" in hierarchy.v1:
        top = hierarchy.v1["blkio"][0]
        directories = [f"{top}/crate", *_directories(top)]
        files = ["blkio.weight", "blkio.bfq.weight"]
        # Without any group there: bfq shows itself at the top by its statistics.
        return os.path.exists(f"{top}/blkio.bfq.io_serviced") or _any(directories, files)
    return _any(_groups_v2(hierarchy), ["io.weight", "io.bfq.weight"])


def _any(directories: list[str], files: list[str]) -> bool:
    return any(os.path.exists(f"{directory}/{file}") for directory in directories for file in files)


def _groups_v2(hierarchy: Hierarchy) -> list[str]:
    if hierarchy.unified is None:
        return []
    top = hierarchy.unified[0]
    own = hierarchy.own_directory("")
    return [f"{top}/crate", *_directories(top), *([own] if own else [])]


def _directories(top: str) -> list[str]:
    try:
        with os.scandir(top) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
