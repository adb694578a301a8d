"""The mounts of every container, and the order of those that options and the image add."""

from __future__ import annotations

from crate.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.oci.runtime_spec import Mount
    from crate.plan.host import Host
    from crate.plan.namespaces import Namespaces
    from crate.plan.security import Security
    from crate.plan.shapes import Options, Place, Slot, Volume
    from crate.settings import Settings

# Where --init's program is seen; /dev is a tmpfs, so it leaves no trace in the container's layer.
INIT_DESTINATION = "/dev/init"
FILES = ("resolv.conf", "hostname", "hosts")
_TTY = 5  # the group of terminals in every distribution
_NO_RIGHTS = ["nosuid", "noexec", "nodev"]
_TEMPORARY = ("/run", "/tmp", "/var/tmp")


class Mounts:
    """`entries` in the order of mounting; `volumes` to create and `slots` name them by number; `chowns` as in Plan.

    `own` are those of the entries that somebody asked for.
    """

    __slots__ = ("chowns", "entries", "own", "slots", "volumes")

    def __init__(
        self,
        options: Options,
        config: Mapping[str, Any],
        host: Host,
        settings: Settings,
        place: Place,
        namespaces: Namespaces,
        security: Security,
    ) -> None:
        self.volumes: list[Volume] = []
        self.chowns: list[str] = []
        self.slots: list[Slot] = []
        own: list[Mount] = []
        if any(options.get(name) for name in ("volume", "mount", "tmpfs", "image_volume")) or config.get("Volumes"):
            from crate.plan.volumes import make_volumes

            asked = make_volumes(options, config, host, place)
            own, self.volumes, self.chowns = list(asked.mounts.values()), asked.volumes, asked.chowns
            _check_idmap(own, namespaces)
        self.own = own
        taken = {mount["destination"] for mount in own}
        entries = _kernel_file_systems(options, host, namespaces, security)
        entries += _shared_memory(options, host, settings, namespaces)
        entries += _files(options, place)
        if is_read_only(options, settings) and options.get("read_only_tmpfs") is not False:
            entries += [_temporary(path) for path in _TEMPORARY]
        if "/dev" in taken:
            taken |= {entry["destination"] for entry in entries if entry["destination"].startswith("/dev/")}
        entries = [entry for entry in entries if entry["destination"] not in taken]
        if wants_init(options, settings):
            entries.append(_init_program(options, host, settings))
        # What lies beneath another mount is mounted after it, whatever the order of the options was.
        self.entries: list[Mount] = entries + sorted(own, key=_depth) if own else entries
        numbers = {entry["destination"]: number for number, entry in enumerate(self.entries)}
        for volume in self.volumes:
            volume["mount"] = numbers[volume["destination"]]
        self.slots += [
            {"slot": "image", "index": numbers[mount["destination"]]} for mount in own if mount.get("type") == "image"
        ]
        ipc = namespaces.modes["ipc"]
        if ipc.startswith("container:") and "/dev/shm" not in taken:
            self.slots.append({"slot": "shm", "container": ipc[10:], "index": numbers["/dev/shm"]})
        for given in options.get("volumes_from") or ():
            self.slots.append(_volumes_from(given))
        network = namespaces.modes["network"]
        if network.startswith("container:"):
            self.slots += [
                {"slot": "file", "container": network[10:], "file": name, "index": numbers[f"/etc/{name}"]}
                for name in FILES
                if f"/etc/{name}" in numbers and f"/etc/{name}" not in taken
            ]


def _volumes_from(given: str) -> Slot:
    container, _, words = given.partition(":")
    for word in words.split(",") if words else ():
        if word not in ("ro", "rw", "z", "Z"):
            raise UsageError(f"invalid volumes-from {given!r}: invalid mode: {word}", "CONTAINER[:ro|rw]")
    return {"slot": "volumes_from", "container": container, "read_only": "ro" in words.split(",")}


def _check_idmap(mounts: list[Mount], namespaces: Namespaces) -> None:
    for mount in mounts:
        for place, word in enumerate(mount["options"]):
            if word.startswith("idmap="):
                from crate.plan.id_mappings import parse_idmap

                mount["uidMappings"], mount["gidMappings"] = parse_idmap(word[6:], mount["destination"])
                mount["options"][place] = "idmap"
        if "idmap" in mount["options"] and "uidMappings" not in mount and not namespaces.ids:
            raise UsageError(f"cannot map the ids of {mount['destination']}: idmap needs --uidmap or --userns")


def _depth(mount: Mount) -> int:
    return 0 if mount["destination"] == "/" else mount["destination"].count("/")


def is_read_only(options: Options, settings: Settings) -> bool:
    """Whether the root filesystem is read-only."""
    given = options.get("read_only")
    return bool(settings.get("containers.read_only") if given is None else given)


def wants_init(options: Options, settings: Settings) -> bool:
    """Whether an init program comes before the command."""
    given = options.get("init")
    return bool(settings.get("containers.init") if given is None else given)


def _kernel_file_systems(options: Options, host: Host, namespaces: Namespaces, security: Security) -> list[Mount]:
    privileged = bool(options.get("privileged"))
    access = "rw" if privileged else "ro"
    # The kernel lets a user namespace mount proc and sysfs only of pid and network namespaces that it owns.
    foreign = host.rootless or namespaces.modes["user"] != "host"
    entries: list[Mount] = []
    if foreign and namespaces.modes["pid"] == "host":
        entries.append(_bind("/proc", "/proc", _NO_RIGHTS))
    else:
        entries.append(
            {"destination": "/proc", "type": "proc", "source": "proc", "options": _NO_RIGHTS + security.proc_options}
        )
    entries.append(
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        }
    )
    terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    if not host.rootless or sum(size for _, size in host.mapped_gids()) > _TTY:
        terminals.append(f"gid={_TTY}")
    entries.append({"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": terminals})
    if foreign and namespaces.modes["network"] == "host":
        entries.append(_bind("/sys", "/sys", [*_NO_RIGHTS, access]))
        if not privileged:
            security.masked.append("/sys/kernel")
    else:
        entries.append({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*_NO_RIGHTS, access]})
    control = [*_NO_RIGHTS, "relatime", access]
    entries.append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": control})
    if namespaces.modes["ipc"] == "host":
        if host.stat("/dev/mqueue") is not None:
            entries.append(_bind("/dev/mqueue", "/dev/mqueue", _NO_RIGHTS))
    else:
        entries.append({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": _NO_RIGHTS})
    return entries


def _shared_memory(options: Options, host: Host, settings: Settings, namespaces: Namespaces) -> list[Mount]:
    mode = namespaces.modes["ipc"]
    if mode == "none" or (mode == "host" and host.stat("/dev/shm") is None):
        return []
    if mode == "host":
        return [_bind("/dev/shm", "/dev/shm", _NO_RIGHTS)]
    if mode.startswith("container:"):
        return [_bind("", "/dev/shm", _NO_RIGHTS)]
    from crate.plan.quantities import size_bytes

    given = options.get("shm_size")
    size = size_bytes("shm-size", settings.get("containers.shm_size") if given is None else given)
    limits = ["mode=1777", f"size={size}"] if size else ["mode=1777"]
    return [{"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": [*_NO_RIGHTS, *limits]}]


def _files(options: Options, place: Place) -> list[Mount]:
    """The files of /etc that crate writes into the container's directory."""
    skipped = list(options.get("pod_without") or ())
    if options.get("no_hosts"):
        skipped.append("hosts")
    if (options.get("dns") or []) == ["none"]:
        skipped.append("resolv.conf")
    return [_bind(f"{place['directory']}/{name}", f"/etc/{name}", []) for name in FILES if name not in skipped]


def _bind(source: str, destination: str, options: list[str]) -> Mount:
    return {"destination": destination, "type": "bind", "source": source, "options": ["rbind", "rprivate", *options]}


def _temporary(path: str) -> Mount:
    options = ["rw", "rprivate", "nosuid", "nodev", "tmpcopyup"]
    if path == "/run":
        options.append("noexec")
    return {"destination": path, "type": "tmpfs", "source": "tmpfs", "options": options}


def _init_program(options: Options, host: Host, settings: Settings) -> Mount:
    path = options.get("init_path") or settings.get("containers.init_path")
    if path:
        if host.stat(path) is None:
            raise UsageError(f"cannot use init program {path}: no such file", "give --init-path another program")
    else:
        path = host.init_program()
        if not path:
            raise HostError("cannot find an init program for --init", "install the package catatonit or tini")
    return {"destination": INIT_DESTINATION, "type": "bind", "source": path, "options": ["bind", "rprivate", "ro"]}
