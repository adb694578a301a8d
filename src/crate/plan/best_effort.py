"""--limits=best-effort: the limits that cannot be had here are left out, each with a warning."""

from __future__ import annotations

from crate.cgroup.make import controllers_asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.oci.runtime_spec import LinuxResources
    from crate.plan.host import Host

# controller (by its name in v1) → the fields of linux.resources that it stands behind
_FIELDS = {
    "memory": ("memory",),
    "pids": ("pids",),
    "blkio": ("blockIO",),
    "hugetlb": ("hugepageLimits",),
    "rdma": ("rdma",),
    "cpu": ("cpu",),
    "cpuset": ("cpu",),
}
_OF_CPUSET = ("cpus", "mems")


def keep_possible(resources: LinuxResources, host: Host, warnings: list[str]) -> None:
    """Takes out what no controller of this user can limit. Single files (--cgroup-conf) stay: they are no limits."""
    from crate.cgroup.explain import OPTIONS

    found: dict[str, Any] = resources  # type: ignore[assignment]
    for controller in controllers_asked(found):
        if controller not in _FIELDS or host.can_limit(controller):
            continue
        warnings.append(f"WARNING: no limit of {OPTIONS[controller]}: this user has no cgroup controller {controller}")
        for field in _FIELDS[controller]:
            if field != "cpu":
                del found[field]
                continue
            found["cpu"] = {
                key: value for key, value in found["cpu"].items() if (key in _OF_CPUSET) != (controller == "cpuset")
            }
            if not found["cpu"]:
                del found["cpu"]
