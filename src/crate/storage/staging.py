"""Stagings: where an object is prepared before one rename makes it visible; and the sweeping of those of the dead.

A staging is `stage/<boot>-<pid>-<start>.<label>`: its name tells whose it is, so that whoever meets one of a process
that died may throw it away.
"""

from __future__ import annotations

import os

from crate.linux.process import start_time
from crate.storage.durable import read_file
from crate.storage.roots import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.storage.roots import Roots

#: in the staging of a container, the names of the anonymous volumes that are made for it, a line each
VOLUMES = "volumes"

_owner: tuple[int, str] = (0, "")


def make(roots: Roots, label: str) -> str:
    """A new staging directory (0700) of this process; `label` is unique in it, such as an id or a digest."""
    path = f"{roots.graphroot}/stage/{owner_name()}.{label}"
    os.mkdir(path, 0o700)
    return path


def is_staged(roots: Roots, label: str) -> bool:
    """Is a living process preparing the object of this label?"""
    suffix = f".{label}"
    return any(name.endswith(suffix) and not is_stale(name) for name in os.listdir(f"{roots.graphroot}/stage"))


def is_stale(name: str) -> bool:
    """Is the process that this staging names gone? Names of another form are nobody's: False."""
    boot, _, rest = name.partition("-")
    pid, _, rest = rest.partition("-")
    start = rest.partition(".")[0]
    if not (len(boot) == 8 and pid.isdigit() and start.isdigit()):
        return False
    return boot != boot_id()[:8] or start_time(int(pid)) != int(start)


def sweep(roots: Roots) -> None:
    """Moves the stagings of dead processes, and the volumes made for them, to the trash (storage.trash empties it)."""
    stage = f"{roots.graphroot}/stage"
    for name in os.listdir(stage):
        if is_stale(name):
            _remove_volumes(roots, f"{stage}/{name}/{VOLUMES}")
            try:
                os.rename(f"{stage}/{name}", f"{roots.graphroot}/trash/{name}")
            except FileNotFoundError:
                pass  # swept by another


def _remove_volumes(roots: Roots, path: str) -> None:
    try:
        names = read_file(path).decode().split()
    except FileNotFoundError:
        return
    from crate.storage.volumes import remove_each

    remove_each(roots, names)


def owner_name() -> str:
    """The part of a staging's name that says whose it is."""
    global _owner
    pid = os.getpid()
    if _owner[0] != pid:  # a forked child is another owner
        _owner = (pid, f"{boot_id()[:8]}-{pid}-{start_time(pid)}")
    return _owner[1]
