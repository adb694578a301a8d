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


def leave_callers() -> None:
    """Moves this process to the monitors: a login session or a job that ends must not take it along. Where it has no
    right to move, it stays."""
    import os

    from crate.errors import CrateError

    try:
        own = create_monitor()
        for path in own.join_paths():
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, b"0")
            os.close(fd)
        if own.v2_path():
            own.adopt(os.getpid())
    except (OSError, CrateError):
        pass


def find(cgroups_path: str, *, hierarchy: Hierarchy | None = None) -> Cgroup:
    """As `crate.cgroup.make.find`."""
    from crate.cgroup.make import find as look

    return look(cgroups_path, hierarchy=hierarchy)
