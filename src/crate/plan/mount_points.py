"""What a container's record says of the mounts that somebody asked for: the facts that `inspect` and `ps` show."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypedDict

    from crate.oci.runtime_spec import Mount
    from crate.plan.shapes import Volume

    class MountPoint(TypedDict):
        """One of them. `type` is bind, volume, image or tmpfs; `name` and `driver` are empty unless it is a volume."""

        type: str
        name: str
        source: str
        destination: str
        driver: str
        options: list[str]


_READ_ONLY = ("ro", "rro")


def describe(mounts: Iterable[Mount], volumes: Iterable[Volume]) -> list[MountPoint]:
    """The mount points, in the order in which they were asked for."""
    by_destination = {volume["destination"]: volume for volume in volumes}
    found: list[MountPoint] = []
    for mount in mounts:
        volume = by_destination.get(mount["destination"])
        kind = mount.get("type") or "bind"
        found.append(
            {
                "type": "volume" if volume else kind,
                "name": volume["name"] if volume else "",
                "source": mount.get("source") or "" if kind in ("bind", "image") else "",
                "destination": mount["destination"],
                "driver": volume["driver"] if volume else "",
                "options": list(mount.get("options") or ()),
            }
        )
    return found


def is_writable(mount: MountPoint) -> bool:
    """Whether the container may write there."""
    return not any(option in _READ_ONLY for option in mount["options"])
