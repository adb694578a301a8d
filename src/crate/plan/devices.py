"""--device, --device-cgroup-rule and the devices of --privileged."""

from __future__ import annotations

import os
import stat

from crate.errors import UsageError
from crate.plan.refusal import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.oci.runtime_spec import Linux, LinuxDevice, LinuxDeviceCgroup, LinuxResources, Mount
    from crate.plan.host import Host
    from crate.plan.shapes import Options

# Made by the runtime for every container, or mounted, or links.
_OWN = ("pts", "shm", "mqueue", "fd", "stdin", "stdout", "stderr", "console", "ptmx", "core", "init", "log", "initctl")
_DEFAULT = ("null", "zero", "full", "random", "urandom", "tty")


def add_devices(options: Options, host: Host, linux: Linux, resources: LinuxResources, mounts: list[Mount]) -> None:
    """Enters nodes and cgroup rules. In a user namespace mknod(2) is forbidden: there the nodes are binds."""
    found: dict[str, tuple[os.stat_result, str]] = {}
    if options.get("privileged"):
        rules: list[LinuxDeviceCgroup] = [{"allow": True, "access": "rwm"}]
        _add_all(found, host, "/dev", "rwm")
    else:
        rules = [{"allow": False, "access": "rwm"}]
    sources: dict[str, str] = {}
    for text in options.get("device") or ():
        source, destination, access = _parse(text)
        status = host.stat(source)
        if status is None:
            raise UsageError(
                f"error gathering device information while adding custom device {source}: no such file or directory"
            )
        if stat.S_ISDIR(status.st_mode):
            below: dict[str, tuple[os.stat_result, str]] = {}
            _add_all(below, host, source, access)
            if not below:
                raise UsageError(f"cannot add device {source}: no devices found in the directory")
            for path, node in below.items():
                target = destination + path[len(source.rstrip("/")) :]
                found[target], sources[target] = node, path
        elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            found[destination], sources[destination] = (status, access), source
        else:
            raise UsageError(f"cannot add device {source}: not a device node")
    devices: list[LinuxDevice] = []
    for path, (status, access) in found.items():
        device = _node(path, status)
        if host.rootless:
            bind = ["bind", "rprivate", "nosuid", "noexec"] + ([] if "w" in access else ["ro"])
            mounts.append({"destination": path, "type": "bind", "source": sources.get(path, path), "options": bind})
        else:
            devices.append(device)
        if not options.get("privileged"):
            numbers = {"major": device["major"], "minor": device["minor"]}
            rules.append({"allow": True, "type": device["type"], **numbers, "access": access})  # type: ignore[typeddict-item]
    rules += [_parse_rule(text) for text in options.get("device_cgroup_rule") or ()]
    if devices:
        linux["devices"] = devices
    resources["devices"] = rules


def _parse(text: str) -> tuple[str, str, str]:
    """(source, destination, access) of `SOURCE[:DESTINATION][:ACCESS]`."""
    parts = text.split(":")
    source, destination, access = parts[0], parts[0], "rwm"
    if len(parts) == 3:
        destination, access = parts[1] or source, parts[2]
    elif len(parts) == 2:
        if _is_access(parts[1]):
            access = parts[1]
        else:
            destination = parts[1]
    if not source.startswith("/") or not destination.startswith("/") or len(parts) > 3:
        wrong = source if not source.startswith("/") else destination
        reason = f"invalid device specification: {text}" if len(parts) > 3 else f"{wrong} is not an absolute path"
        raise invalid("device", text, reason, "write it as SOURCE[:DESTINATION][:ACCESS]")
    if not _is_access(access):
        raise invalid("device", text, f"invalid device mode: {access}", "some of the letters r, w and m")
    return source.rstrip("/") or "/", destination.rstrip("/"), access


def _is_access(text: str) -> bool:
    return bool(text) and not text.strip("rwm") and len(set(text)) == len(text)


def _add_all(found: dict[str, tuple[os.stat_result, str]], host: Host, directory: str, access: str) -> None:
    """Every device node beneath a directory, those that the runtime makes itself left out."""
    for name in host.list_directory(directory):
        if directory == "/dev" and (name in _OWN or name in _DEFAULT):
            continue
        path = f"{directory.rstrip('/')}/{name}"
        status = host.stat(path)
        if status is None:
            continue
        if stat.S_ISDIR(status.st_mode):
            if not host.is_link(path):
                _add_all(found, host, path, access)
        elif (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)) and not host.is_link(path):
            found[path] = (status, access)


def _node(path: str, status: os.stat_result) -> LinuxDevice:
    return {
        "path": path,
        "type": "b" if stat.S_ISBLK(status.st_mode) else "c",
        "major": os.major(status.st_rdev),
        "minor": os.minor(status.st_rdev),
        "fileMode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
    }


def _parse_rule(text: str) -> LinuxDeviceCgroup:
    """`TYPE MAJOR:MINOR ACCESS` of the kernel's cgroup-v1/devices.rst, `*` for any number."""
    words = text.split(" ")
    major, colon, minor = words[1].partition(":") if len(words) == 3 else ("", "", "")
    if words[0] not in ("a", "b", "c") or not colon or not _is_access(words[2]):
        raise invalid("device-cgroup-rule", text, f"invalid device cgroup format '{text}'", "such as 'c 10:200 rwm'")
    rule: LinuxDeviceCgroup = {"allow": True, "type": words[0], "access": words[2]}
    for name, word in (("major", major), ("minor", minor)):
        if word == "*":
            continue
        if not word.isascii() or not word.isdigit():
            raise invalid(
                "device-cgroup-rule", text, f"invalid device cgroup format '{text}'", "such as 'c 10:200 rwm'"
            )
        rule[name] = int(word)  # type: ignore[literal-required]
    return rule
