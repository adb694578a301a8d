"""The values that stand for "no limit": what a living group is told about limits that are asked for no longer."""

from __future__ import annotations

import os

from crate.cgroup.group import Cgroup
from crate.cgroup.hierarchy import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Resources = dict[str, Any]

_THROTTLES = (
    "throttleReadBpsDevice", "throttleWriteBpsDevice", "throttleReadIOPSDevice", "throttleWriteIOPSDevice",
)  # fmt: skip


def difference(group: Cgroup, before: Resources, after: Resources) -> Resources:
    """The OCI resources that turn the limits of `before` into those of `after` in a living group."""
    found: Resources = {}
    for section, lifted in _LIFTED.items():
        old, new = before.get(section) or {}, after.get(section) or {}
        if old != new:
            found[section] = {**new, **lifted(group, old, new)}
    memory = found.get("memory") or {}
    if memory.get("reservation", 0) < 0 and not group.groups.get("memory"):
        del memory["reservation"]  # v2 takes it for "all memory is protected"
        found["unified"] = {"memory.low": "0"}
    return found


def _gone(old: dict[str, Any], new: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in old and key not in new}


def _memory(group: Cgroup, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    swappiness = int(read("/proc/sys/vm/swappiness") or "60")
    return _gone(old, new, {"limit": -1, "swap": -1, "reservation": -1, "swappiness": min(swappiness, 100)})


def _cpu(group: Cgroup, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    parent = os.path.dirname(group.directory("cpuset") or "")
    cpus, nodes = (
        read(f"{parent}/{file}.effective") or read(f"{parent}/{file}") for file in ("cpuset.cpus", "cpuset.mems")
    )
    return _gone(old, new, {"shares": 1024, "quota": -1, "period": 100_000, "cpus": cpus, "mems": nodes})


def _pids(group: Cgroup, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return _gone(old, new, {"limit": -1})


def _block_io(group: Cgroup, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """For each device that lost a limit, one of zero beside the limits that there are."""
    directory = group.directory("blkio")
    bfq = any(os.path.exists(f"{directory}/{kind}.bfq.weight") for kind in ("blkio", "io"))
    # What a group begins with: 100 of bfq, 500 of the older scale; 20 is the nearest to 100 of io.weight.
    found = _gone(old, new, {"weight": 100 if bfq else 500 if group.groups.get("blkio") else 20})
    for key in _THROTTLES:
        kept = {(device["major"], device["minor"]) for device in new.get(key) or ()}
        lost = [device for device in old.get(key) or () if (device["major"], device["minor"]) not in kept]
        if lost:
            found[key] = [*(new.get(key) or ()), *({**device, "rate": 0} for device in lost)]
    return found


_LIFTED = {"memory": _memory, "cpu": _cpu, "pids": _pids, "blockIO": _block_io}
