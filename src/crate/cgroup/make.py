"""Making a control group and setting its limits, in whichever hierarchies the host has.

A write that the kernel refuses because of a value that a later write changes (memory before memory+swap, period
before quota) is tried again after the others: that is right for raising and for lowering.
"""

from __future__ import annotations

import errno
import os

from crate.cgroup.group import Cgroup, remove_tree
from crate.cgroup.hierarchy import Hierarchy, discover, read
from crate.errors import CrateError, KernelError, NameInUseError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Resources = dict[str, Any]
    Write = tuple[str, str, str]  # file, value, what the user asked for

MONITOR = "/crate/monitor"

USUAL = ("cpu", "cpuacct", "cpuset", "memory", "pids", "devices")
"""v1 controllers that each container has a group of: limits and statistics stand on them, and a JVM looks for the
first four. Each costs 0.1 ms of a run (mkdir, joining, rmdir), so the others are made when they are asked for."""

V2_NAMES = {
    "cpu": "cpu",
    "cpuset": "cpuset",
    "memory": "memory",
    "pids": "pids",
    "blkio": "io",
    "hugetlb": "hugetlb",
    "rdma": "rdma",
}
"""v1 controller → its name in v2. `devices` is a program there, net_cls and net_prio are gone."""

_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


def clean_path(path: str) -> str:
    """An absolute cgroup path without `.`, `..` and doubled slashes: what a user gives stays beneath the mount."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def create(cgroups_path: str, resources: Resources, *, hierarchy: Hierarchy | None = None) -> Cgroup:
    """Makes the group of an OCI cgroupsPath and sets the OCI linux.resources in it; all or nothing.

    On a machine without cgroups, or without a right to them, the group is empty as long as no limit is asked for.
    Device rules are no limit in this: `has_device_rules` of the group tells whether they are in force.
    UsageError for a value that the kernel refuses, HostError for a limit that cannot be enforced here, NameInUseError
    when there are processes in the group already.
    """
    hierarchy = hierarchy or discover()
    path = clean_path(cgroups_path)
    if path == "/":
        raise UsageError(f"cgroup path {cgroups_path}: a container needs a group of its own")
    asked = controllers_asked(resources)
    group = Cgroup(path, {}, None)
    made: list[str] = []
    try:
        if hierarchy.unified:
            _make_v2(group, hierarchy, _names_v2((*USUAL, "blkio", *asked), hierarchy, resources), made)
        if hierarchy.v1:
            _make_v1(group, hierarchy, _wanted_v1(group, hierarchy, asked), made)
        _refuse_taken(group, made)
        _refuse_missing(group, hierarchy, asked, resources)
        apply(group, resources)
    except BaseException as error:
        for directory in made:
            try:
                remove_tree(directory)
            except CrateError as undo:
                error.add_note(undo.message)
        raise
    return group


def find(cgroups_path: str, *, hierarchy: Hierarchy | None = None) -> Cgroup:
    """The group of an OCI cgroupsPath as far as it is there: for what was killed before it could write a record."""
    hierarchy = hierarchy or discover()
    group = Cgroup(clean_path(cgroups_path), {}, None)
    for name, (top, _) in hierarchy.v1.items():
        for directory in (top, hierarchy.own_directory(name)):
            if directory and name not in group.groups and os.path.isdir(directory + group.path):
                group.groups[name] = directory + group.path
    if hierarchy.unified:
        from crate.cgroup.delegation import upwards

        for directory in (hierarchy.unified[0], *upwards(hierarchy)):
            if not group.unified and os.path.isdir(directory + group.path):
                group.unified = directory + group.path
    return group


def create_monitor(hierarchy: Hierarchy | None = None) -> Cgroup:
    """The group of all monitors, beside the containers' groups; made when missing, never removed.

    It takes a monitor out of the groups of its caller only: a limit, a session scope that ends at logout. So it is
    empty where the caller is in no group, and joining it costs nothing there.
    """
    hierarchy = hierarchy or discover()
    group = Cgroup(MONITOR, {}, None)
    if hierarchy.unified and hierarchy.own.get("", "/") != "/":
        _make_v2(group, hierarchy, [], [])
    _make_v1(group, hierarchy, [name for name in hierarchy.v1 if hierarchy.own.get(name, "/") != "/"], [])
    return group


def update(group: Cgroup, resources: Resources, *, hierarchy: Hierarchy | None = None) -> None:
    """Changes limits of a living group. A controller that it was not in so far is added, with all its processes:
    the group's `record()` may have changed after this. Errors as `create`; limits set before the error stay.
    """
    asked = controllers_asked(resources)
    hierarchy = hierarchy or discover()
    new = [name for name in asked if name in hierarchy.v1 and name not in group.groups]
    if new:
        pids = group.pids
        _make_v1(group, hierarchy, new, [])
        for name in new:
            if name in group.groups:
                _adopt(group.groups[name], pids())
                _adopt(group.groups[name], pids())  # those that were forked while the first were moved
    if group.unified:
        top = group.unified.removesuffix(group.path)
        _enable_missing(group.unified, top, _names_v2(asked, hierarchy, resources))
    _refuse_missing(group, hierarchy, asked, resources)
    memory = resources.get("memory") or {}
    if memory.get("checkBeforeUpdate") and (memory.get("limit") or 0) > 0:
        from crate.cgroup.explain import refuse_limit_below_usage

        refuse_limit_below_usage(group, memory["limit"])
    apply(group, resources)


def controllers_asked(resources: Resources) -> list[str]:
    """The controllers (v1 names) that the OCI linux.resources need."""
    cpu, network = resources.get("cpu") or {}, resources.get("network") or {}
    needs = {
        "cpu": any(value is not None and key not in ("cpus", "mems") for key, value in cpu.items()),
        "cpuset": cpu.get("cpus") or cpu.get("mems"),
        "memory": resources.get("memory"),
        "pids": resources.get("pids"),
        "blkio": resources.get("blockIO"),
        "hugetlb": resources.get("hugepageLimits"),
        "rdma": resources.get("rdma"),
        "devices": resources.get("devices"),
        "net_cls": network.get("classID"),
        "net_prio": network.get("priorities"),
    }
    return [name for name, need in needs.items() if need]


def _names_v2(asked: Iterable[str], hierarchy: Hierarchy, resources: Resources) -> list[str]:
    names = [V2_NAMES[name] for name in asked if name in V2_NAMES and name not in hierarchy.v1]
    return names + [file.partition(".")[0] for file in resources.get("unified") or ()]


def _wanted_v1(group: Cgroup, hierarchy: Hierarchy, asked: list[str]) -> list[str]:
    # Out of the groups of the caller too: a container does not end with the session that started it.
    outside = [name for name in hierarchy.v1 if hierarchy.own.get(name, "/") != "/"]
    # Freezing and killing are better done in v2: at once, and without a loop over processes that fork.
    freezer = [] if group.unified and os.path.exists(group.unified + "/cgroup.freeze") else ["freezer"]
    return [name for name in dict.fromkeys((*USUAL, *asked, *freezer, *outside)) if name in hierarchy.v1]


def _make_v1(group: Cgroup, hierarchy: Hierarchy, controllers: Iterable[str], made: list[str]) -> None:
    for controller in controllers:
        if controller in group.groups:
            continue
        mount = hierarchy.v1[controller]
        top = mount[0]
        try:
            fresh = _make(top + group.path)
        except OSError as error:
            if error.errno not in _DENIED:
                raise
            # Not the host's root: a group that somebody gave to this user, or none.
            own = hierarchy.own_directory(controller)
            if own is None or own == top:
                continue
            try:
                fresh, top = _make(own + group.path), own
            except OSError:
                continue
        directory = top + group.path
        for name, other in hierarchy.v1.items():
            if other == mount:  # mounted together, such as cpu,cpuacct
                group.groups[name] = directory
        if fresh:
            made.append(directory)
        if (
            "cpuset" in group.groups
            and directory == group.groups["cpuset"]
            and (fresh or not read(directory + "/cpuset.mems"))
        ):
            fill_cpuset(directory, top)


def _make_v2(group: Cgroup, hierarchy: Hierarchy, wanted: list[str], made: list[str]) -> None:
    assert hierarchy.unified is not None
    top = hierarchy.unified[0]
    try:
        fresh = _make(top + group.path)
    except OSError as error:
        if error.errno not in _DENIED:
            raise
        from crate.cgroup.delegation import base_directory

        base = base_directory(hierarchy, wanted)
        if base is None:
            return
        top = base
        fresh = _make(top + group.path)
    group.unified = top + group.path
    if fresh:
        made.append(group.unified)
    _enable_missing(group.unified, top, wanted)


def _enable_missing(directory: str, top: str, wanted: list[str]) -> None:
    if wanted:
        missing = set(wanted).difference(read(directory + "/cgroup.controllers").split())
        if missing:
            from crate.cgroup.delegation import enable

            enable(top, directory, missing)


def _make(directory: str) -> bool:
    """Makes a group and its parents; False when it was there."""
    try:
        os.mkdir(directory, 0o755)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(directory), 0o755, exist_ok=True)
        os.mkdir(directory, 0o755)
    except FileExistsError:
        return False
    return True


def fill_cpuset(directory: str, top: str) -> None:
    """Gives a new v1 cpuset the CPUs and memory nodes of its parent: without them no process can join it."""
    parent = os.path.dirname(directory)
    for file in ("/cpuset.cpus", "/cpuset.mems"):
        held = read(parent + file)
        if not held and parent != top:
            fill_cpuset(parent, top)
            held = read(parent + file)
        put(directory + file, held)


def _adopt(directory: str, pids: list[int]) -> None:
    for pid in pids:
        try:
            put(directory + "/cgroup.procs", str(pid))
        except ProcessLookupError:
            pass


def put(path: str, value: str) -> None:
    """Writes a value to a kernel file in one write(2), which is how these files take it."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def _refuse_taken(group: Cgroup, made: list[str]) -> None:
    for directory in group.directories():
        # Limits would hit whoever is in it, and removing the container would kill them.
        if directory not in made and (pids := read(directory + "/cgroup.procs").split()):
            raise NameInUseError(f"cgroup {group.path} is in use by process {pids[0]}", "give another --cgroup-parent")


def _refuse_missing(group: Cgroup, hierarchy: Hierarchy, asked: list[str], resources: Resources) -> None:
    """HostError for the first controller that a limit needs and the group does not have."""
    held = None
    for name in asked:
        if name in group.groups or name == "devices":
            continue
        if held is None:
            held = read(group.unified + "/cgroup.controllers").split() if group.unified else []
        if V2_NAMES.get(name) not in held:
            from crate.cgroup.explain import missing

            raise missing(group, hierarchy, name)
    if resources.get("unified") and not group.unified:
        from crate.cgroup.explain import missing

        raise missing(group, hierarchy, "unified")


class _Has:
    """Tells whether a cgroup directory has a file."""

    __slots__ = ("directory",)

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def __call__(self, file: str) -> bool:
        return os.path.exists(f"{self.directory}/{file}")


def apply(group: Cgroup, resources: Resources) -> None:
    """Sets limits in an existing group. UsageError or HostError for the first that the kernel refuses."""
    if group.groups:
        from crate.cgroup import v1

        for controller, translate in v1.CONTROLLERS.items():
            directory = group.groups.get(controller)
            if directory is not None:
                if controller == "devices" and resources.get("devices"):
                    group.has_device_rules = True
                write_all(directory, translate(resources, _Has(directory)))
    if group.unified:
        _apply_v2(group, group.unified, resources)


def _apply_v2(group: Cgroup, directory: str, resources: Resources) -> None:
    asked = [name for name in controllers_asked(resources) if name not in group.groups]
    if not asked and not resources.get("unified"):
        return
    from crate.cgroup import v2

    has = _Has(directory)
    for name in asked:
        if name in V2_NAMES:
            writes = v2.CONTROLLERS[V2_NAMES[name]](resources, has)
            write_all(directory, writes)
            if name == "cpuset":
                _look_at_cpuset(directory, writes)
    write_all(directory, v2.unified(resources))
    if "devices" in asked:
        from crate.cgroup.device_program import attach

        try:
            attach(directory, resources["devices"])
            group.has_device_rules = True
        except OSError as error:
            from crate.cgroup.delegation import in_user_namespace

            # In a user namespace nobody can make a device node, so nothing is left open.
            if error.errno not in _DENIED or not in_user_namespace():
                raise KernelError(f"set device rules in {directory}", error) from error


def _look_at_cpuset(directory: str, writes: list[Write]) -> None:
    """v2 takes CPUs that are not there, and gives what is left over, or all of the parent's when none is."""
    from crate.cgroup.explain import absent, explain

    for write in writes:
        if absent(write[1], read(f"{directory}/{write[0]}.effective")):
            raise explain(directory, write, OSError(errno.EINVAL, os.strerror(errno.EINVAL)))


def write_all(directory: str, writes: list[Write]) -> None:
    """Performs the writes in a cgroup directory, those refused for their order twice."""
    again: list[Write] = []
    for last, todo in ((False, writes), (True, again)):
        file, fd = "", -1
        try:
            for write in todo:
                try:
                    if write[0] != file:  # a dozen device rules go through one descriptor
                        if fd >= 0:
                            os.close(fd)
                        file, fd = "", -1
                        fd = os.open(f"{directory}/{write[0]}", os.O_WRONLY | os.O_CLOEXEC)
                        file = write[0]
                    os.write(fd, write[1].encode())
                except OSError as error:
                    if last or error.errno not in (errno.EINVAL, errno.EBUSY):
                        from crate.cgroup.explain import explain

                        raise explain(directory, write, error) from error
                    again.append(write)
        finally:
            if fd >= 0:
                os.close(fd)
