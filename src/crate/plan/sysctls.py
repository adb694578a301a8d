"""--sysctl: kernel parameters of the container's own namespaces."""

from __future__ import annotations

from crate.errors import UsageError
from crate.plan.refusal import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.plan.namespaces import Namespaces

_OF_IPC = (
    *("kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax"),
    *("kernel.shmmni", "kernel.shm_rmid_forced"),
)
_OF_UTS = ("kernel.domainname", "kernel.hostname")


def make_sysctls(entries: list[str], namespaces: Namespaces) -> dict[str, str]:
    """`linux.sysctl`; UsageError for a parameter that would change the host or another container."""
    sysctls = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise invalid("sysctl", entry, f"{entry} must be formatted as key=value")
        name = name.replace("/", ".")
        if name in _OF_IPC or name.startswith("fs.mqueue."):
            kind = "ipc"
        elif name.startswith("net."):
            kind = "network"
        elif name in _OF_UTS:
            kind = "uts"
        elif name.startswith("user."):
            kind = "user"
        else:
            raise UsageError(
                f"sysctl '{entry}' is not allowed", "only those of the IPC, network and UTS namespaces are"
            )
        if namespaces.modes[kind] in ("host",) or namespaces.modes[kind].startswith(("container:", "ns:")):
            title = {"ipc": "IPC", "network": "network", "uts": "UTS", "user": "user"}[kind]
            raise UsageError(
                f"sysctl '{entry}' is not allowed, because the {title} namespace is not the container's own"
            )
        sysctls[name] = value
    return sysctls
