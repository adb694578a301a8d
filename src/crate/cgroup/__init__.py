"""Control groups v1, v2 and hybrid: resources to files, statistics, delegation."""

from __future__ import annotations

from crate.cgroup.group import Cgroup, from_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.cgroup.hierarchy import Hierarchy

__all__ = ["Cgroup", "create", "create_monitor", "find", "from_record"]


def create(cgroups_path: str, resources: dict[str, Any], *, hierarchy: Hierarchy | None = None) -> Cgroup:
    """As `crate.cgroup.make.create`, which is loaded only by what makes a group: exec has no need of it."""
    from crate.cgroup.make import create as make

    return make(cgroups_path, resources, hierarchy=hierarchy)


def create_monitor(hierarchy: Hierarchy | None = None) -> Cgroup:
    """As `crate.cgroup.make.create_monitor`."""
    from crate.cgroup.make import create_monitor as make

    return make(hierarchy)


def find(cgroups_path: str, *, hierarchy: Hierarchy | None = None) -> Cgroup:
    """As `crate.cgroup.make.find`."""
    from crate.cgroup.make import find as look

    return look(cgroups_path, hierarchy=hierarchy)
