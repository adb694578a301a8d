"""What killed processes left and no command asks for by name: stagings, run directories, trash, empty cgroups."""

from __future__ import annotations

import os

from crate import cgroup
from crate.errors import CrateError
from crate.storage import containers, staging, trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.engine.context import Engine
    from crate.storage.roots import Roots


def sweep(roots: Roots, cgroup_parent: str, own_id: str = "") -> None:
    """Clears it all away; whoever meets it does it. `own_id` is a container whose cgroup the caller has removed."""
    staging.sweep(roots)
    for container_id in os.listdir(f"{roots.runroot}/containers"):
        # In this order: a container leaves the staging by a rename to where `exists` looks next.
        if not staging.is_staged(roots, container_id) and not containers.exists(roots, container_id):
            trash.remove_tree(f"{roots.runroot}/containers", container_id)
    names = os.listdir(f"{roots.graphroot}/names")
    if len(names) > len(containers.list_ids(roots)):
        for name in names:
            containers.heal_name(roots, name)
    for name in os.listdir(f"{roots.graphroot}/trash"):
        for part in name.split("."):
            if len(part) == 64 and part != own_id:
                remove_cgroup(f"{cgroup_parent}/{part}")
    trash.empty(roots)


def sweep_leases(engine: Engine) -> None:
    """Gives back the addresses and ports of containers whose monitors were killed before they could: who meets such a
    death calls it, for a port that leads nowhere is nobody's."""
    if engine.roots.rootless:
        return
    from crate.net.firewall import table as firewall

    try:
        firewall.sweep(str(engine.settings.get("network.table")), str(engine.settings.get("network.lease_root")))
    except (OSError, CrateError):
        pass


def remove_cgroup(path: str) -> None:
    """Kills what is in a container's cgroup and removes it, by its OCI cgroupsPath; nothing there is no failure."""
    group = cgroup.find(path)
    try:
        group.kill()
        group.remove()
    except (OSError, CrateError):
        pass  # the next sweep meets it again
