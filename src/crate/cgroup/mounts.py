"""Which mounts make up the /sys/fs/cgroup of a container: data only, the runtime performs it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from crate.cgroup.group import Cgroup

TARGET = "/sys/fs/cgroup"
DEFAULT_OPTIONS = ("nosuid", "noexec", "nodev", "relatime", "ro")


def mounts_of(spec: dict[str, Any], cgroup: Cgroup) -> list[dict[str, Any]]:
    """The parts that stand for the cgroup mount of a config.json, if it has one."""
    private = any(entry["type"] == "cgroup" for entry in (spec.get("linux") or {}).get("namespaces") or [])
    for entry in spec.get("mounts") or []:
        if entry.get("type") in ("cgroup", "cgroup2"):
            return mounts_for(cgroup, private, options=entry.get("options") or [])
    return []


def mounts_for(
    cgroup: Cgroup, cgroupns: bool, *, options: Iterable[str] = DEFAULT_OPTIONS, target: str = TARGET
) -> list[dict[str, Any]]:
    """The parts, in order, that stand for the one cgroup mount of an OCI config: only hierarchies the group is in.

    Each is an OCI mount (type, source, destination, options). Two types are no file systems: "symlink" makes the
    destination point at the source, "remount" sets options on what is mounted at the destination. For a "cgroup" the
    last options are its controllers, as data of the mount. Without a cgroup at all the list is empty.
    `options` are those of the cgroup mount of the config. In a private cgroup namespace (`cgroupns`) the mounts are to
    be made inside it; without one the group's own directories are bound, so that no other's is to be seen.
    """
    flags = list(options)
    if not cgroup.groups:
        return [_v2(cgroup.unified, target, cgroupns, flags)] if cgroup.unified else []
    # Read-only afterwards: the places for the mounts have to be made in it first.
    open_flags = [flag for flag in flags if flag not in ("ro", "rw")]
    parts = [_part("tmpfs", "tmpfs", target, [*open_flags, "mode=755"])]
    mounted: dict[str, list[str]] = {}
    for controller, directory in cgroup.groups.items():
        mounted.setdefault(directory, []).append(controller)
    for directory, controllers in mounted.items():
        name = ",".join(controllers).removeprefix("name=")
        if cgroupns:
            # All controllers of a hierarchy: a mount of some of them would be a new hierarchy, EBUSY.
            parts.append(_part("cgroup", "cgroup", f"{target}/{name}", [*flags, *controllers]))
        else:
            parts.append(_part("bind", directory, f"{target}/{name}", ["bind", *flags]))
        if len(controllers) > 1:
            parts += [_part("symlink", name, f"{target}/{controller}", []) for controller in controllers]
    if cgroup.unified:
        parts.append(_v2(cgroup.unified, f"{target}/unified", cgroupns, flags))
    if "ro" in flags:
        parts.append(_part("remount", "", target, flags))
    return parts


def _v2(directory: str, target: str, cgroupns: bool, flags: list[str]) -> dict[str, Any]:
    if cgroupns:
        return _part("cgroup2", "cgroup2", target, flags)
    return _part("bind", directory, target, ["bind", *flags])


def _part(kind: str, source: str, target: str, options: list[str]) -> dict[str, Any]:
    return {"type": kind, "source": source, "destination": target, "options": options}
