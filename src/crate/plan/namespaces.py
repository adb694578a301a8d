"""Which namespaces the container has of its own, which it shares with the host or with another container."""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.oci.runtime_spec import LinuxNamespace
    from crate.plan.host import Host
    from crate.plan.shapes import IdRequest, NetworkRequest, Options, Slot
    from crate.settings import Settings

# option → (namespace of the spec, the name in docker's errors, modes that are words)
_MODES = {
    "pid": ("pid", "PID", ("", "private", "host")),
    "ipc": ("ipc", "IPC", ("", "private", "shareable", "none", "host")),
    "uts": ("uts", "UTS", ("", "private", "host")),
    "cgroupns": ("cgroup", "CGROUP", ("", "private", "host")),
}
_USERS = ("userns", "uidmap", "gidmap", "subuidname", "subgidname")


class Namespaces:
    """The modes in force, and what they make of the spec. `modes` maps pid, ipc, uts, cgroup, network, user to a mode:
    `private`, `host`, `none`, `shareable`, `container:ID` or `ns:PATH`.

    `ids` asks for the maps of a user namespace, `user` is who the process is in it unless somebody says otherwise.
    """

    __slots__ = ("entries", "ids", "modes", "slots", "user")

    def __init__(self, options: Options, network: NetworkRequest, settings: Settings, host: Host) -> None:
        self.entries: list[LinuxNamespace] = [{"type": "mount"}]
        self.slots: list[Slot] = []
        self.modes: dict[str, str] = {}
        self.ids: IdRequest | None = None
        self.user = ""
        self._add_network(network)
        for option, (kind, title, words) in _MODES.items():
            mode = options.get(option)
            if mode is None:
                mode = settings.get("containers.cgroupns") if option == "cgroupns" else "private"
            if mode not in words and not _is_reference(mode):
                raise UsageError(f"--{option}: invalid {title} mode", f"{mode!r} is none of {_listed(words)}")
            self._add(kind, mode or "private")
        self.modes["user"] = "host"
        if any(options.get(name) for name in _USERS) or settings.get("containers.userns"):
            from crate.plan.id_mappings import UserNamespace

            users = UserNamespace(options, settings, host)
            self.ids, self.user = users.request, users.user
            self._add("user", users.mode)

    def _add(self, kind: str, mode: str) -> None:
        self.modes[kind] = mode
        if mode == "host":
            return
        entry: LinuxNamespace = {"type": kind}
        if mode.startswith("ns:"):
            entry["path"] = mode[3:]
        elif mode.startswith("container:"):
            self.slots.append({"slot": "namespace", "type": kind, "container": mode[10:], "index": len(self.entries)})
        self.entries.append(entry)

    def _add_network(self, network: NetworkRequest) -> None:
        mode = network["mode"]
        if mode == "container":
            mode = f"container:{network['container']}"
        elif mode == "ns":
            mode = f"ns:{network['path']}"
        elif mode != "host":
            mode = "private"
        self._add("network", mode)

    def shares_host(self, kind: str) -> bool:
        """Whether this namespace is the host's."""
        return self.modes[kind] == "host"


def _is_reference(mode: str) -> bool:
    kind, colon, value = mode.partition(":")
    return bool(colon and value) and (kind == "container" or (kind == "ns" and value.startswith("/")))


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(word for word in words if word) + ", container:ID, ns:PATH"
