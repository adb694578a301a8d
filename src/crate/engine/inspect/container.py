"""`inspect` of a container: docker's object, with podman's further fields, from record, spec and state.

Where both have a field in different forms it has podman's: names without a slash, ids without `sha256:`.
"""

from __future__ import annotations

from crate.engine.logs.lines import timestamp
from crate.linux.signals import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine

NO_TIME = "0001-01-01T00:00:00Z"  # Go's zero time, which docker prints for "never"
_NAMESPACES = {
    "cgroup": "cgroup",
    "ipc": "ipc",
    "mnt": "mnt",
    "network": "net",
    "pid": "pid",
    "user": "user",
    "uts": "uts",
}


def inspect(engine: Engine, container: Container, *, size: bool = False) -> dict[str, Any]:
    """The object. `size` adds SizeRw and SizeRootFs."""
    from crate.engine.inspect.host_config import host_config
    from crate.engine.inspect.network_settings import network_settings

    record, spec, state = container.record, container.spec(), container.state(engine)
    process = spec.get("process") or {}
    capabilities = process.get("capabilities") or {}
    directory, args = container.paths.directory, process.get("args") or [""]
    words = [*record["entrypoint"], *record["command"]] or [""]
    running = state["status"] in ("running", "paused")
    found: dict[str, Any] = {
        "Id": container.id,
        "Created": when(record["created"]),
        "Path": words[0],
        "Args": words[1:],
        "State": _state(record, spec, state),
        "Image": record["image"],
        "ImageDigest": record["image_digest"],
        "ImageName": record["image_name"],
        "Rootfs": record["rootfs"],
        "Pod": record["options"].get("pod_id") or "",
        "ResolvConfPath": f"{directory}/resolv.conf",
        "HostnamePath": f"{directory}/hostname",
        "HostsPath": f"{directory}/hosts",
        "LogPath": container.log_path(),
        "StaticDir": container.paths.directory,
        "OCIConfigPath": container.paths.config,
        "OCIRuntime": "crate",
        "ConmonPidFile": container.paths.state,
        "PidFile": container.paths.state,
        "Name": container.name,
        "RestartCount": state.get("restarts", 0),
        "Driver": engine.roots.driver or "overlay",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "EffectiveCaps": sorted(capabilities.get("effective") or []),
        "BoundingCaps": sorted(capabilities.get("bounding") or []),
        "ExecIDs": [],
        "GraphDriver": _graph_driver(engine, container, state["pid"]),
        "Mounts": [mount_point(mount) for mount in record["mounts"] if mount["type"] != "tmpfs"],
        "Dependencies": dependencies(record),
        "NetworkSettings": network_settings(record, state),
        "Namespace": "",
        "Namespaces": _namespaces(state["pid"]) if running else {},
        "IsInfra": bool(record["options"].get("infra")),
        "IsService": False,
        "Config": _config(engine, container, spec, args),
        "HostConfig": host_config(engine, container, spec),
    }
    if size:
        from crate.engine.usage import sizes

        found["SizeRw"], found["SizeRootFs"] = sizes.of(engine, container)
    return found


def dependencies(record: dict[str, Any]) -> list[str]:
    """The full ids of the containers whose namespaces one joins, whose volumes it has, or that it has links to."""
    linked = {link["container"] for link in record.get("links") or ()}
    return sorted(
        {slot["container"] for slot in record["joins"].values()} | set(record.get("volumes_from", ())) | linked
    )


def when(nanoseconds: int) -> str:
    """RFC 3339; Go's zero time for 0."""
    return timestamp(nanoseconds) if nanoseconds else NO_TIME


def _state(record: dict[str, Any], spec: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    status = state["status"]
    found = {
        "OciVersion": spec["ociVersion"],
        "Status": status,
        "Running": status in ("running", "paused", "restarting"),
        "Paused": status == "paused",
        "Restarting": status == "restarting",
        "OOMKilled": bool(state.get("oom_killed")),
        "Dead": False,
        "Pid": state["pid"],
        "ConmonPid": state.get("monitor_pid", 0),
        "ExitCode": state["exit_code"],
        "Error": state.get("error", ""),
        "StartedAt": when(state["started_at"]),
        "FinishedAt": when(state["finished_at"]),
        "CgroupPath": _cgroup_path(spec, state),
        "CheckpointedAt": NO_TIME,
        "RestoredAt": NO_TIME,
    }
    if record["health"]:
        found["Health"] = found["Healthcheck"] = state["health"]
    return found


def _cgroup_path(spec: dict[str, Any], state: dict[str, Any]) -> str:
    """Where it is while the container runs, else where it is asked for."""
    from crate import cgroup

    if state.get("cgroup"):
        return cgroup.from_record(state["cgroup"]).host_path()
    return str((spec.get("linux") or {}).get("cgroupsPath", ""))


def _graph_driver(engine: Engine, container: Container, pid: int) -> dict[str, Any]:
    if (engine.roots.driver or "overlay") != "overlay":
        return {"Name": engine.roots.driver, "Data": {"dir": f"{container.paths.directory}/rootfs"}}
    layers = f"{engine.roots.graphroot}/layers"
    data = {
        "LowerDir": ":".join(f"{layers}/{chain}/diff" for chain in reversed(container.record["layers"])),
        "UpperDir": container.paths.upper,
        "WorkDir": container.paths.work,
    }
    if pid:
        data["MergedDir"] = f"/proc/{pid}/root"  # the overlay is attached in the container's mount namespace only
    return {"Name": "overlay", "Data": data}


def mount_point(mount: dict[str, Any]) -> dict[str, Any]:
    """An entry of Mounts, of one of the record."""
    from crate.plan.mount_points import is_writable
    from crate.plan.volumes import PROPAGATIONS

    options = mount["options"]
    found = {
        "Type": mount["type"],
        "Name": mount["name"],
        "Source": mount["source"],
        "Destination": mount["destination"],
        "Driver": mount["driver"],
        "Mode": "",
        "Options": [option for option in options if option not in (*PROPAGATIONS, "ro", "rro", "rw")],
        "RW": is_writable(mount),  # type: ignore[arg-type]
        "Propagation": next((option for option in options if option in PROPAGATIONS), ""),
    }
    if not mount["name"]:
        del found["Name"]
    return found


def _namespaces(pid: int) -> dict[str, str]:
    """The files that setns(2) takes, while the container runs."""
    return {kind: f"/proc/{pid}/ns/{name}" for kind, name in _NAMESPACES.items()}


def _config(engine: Engine, container: Container, spec: dict[str, Any], args: list[str]) -> dict[str, Any]:
    record, options, process = container.record, container.record["options"], spec.get("process") or {}
    attached = record["attach"]
    anonymous = set(record["anonymous_volumes"])
    found: dict[str, Any] = {
        "Hostname": record["hostname"],
        "Domainname": options.get("domainname") or "",
        "User": record["user"],
        "AttachStdin": "stdin" in attached,
        "AttachStdout": "stdout" in attached,
        "AttachStderr": "stderr" in attached,
        "ExposedPorts": {port: {} for port in record["exposed_ports"]} or None,
        "Tty": record["tty"],
        "OpenStdin": record["interactive"],
        "StdinOnce": record["interactive"],
        "Env": process.get("env") or [],
        "Cmd": record["command"] or None,
        "Image": options.get("image", ""),
        "Volumes": {m["destination"]: {} for m in record["mounts"] if m["name"] in anonymous} or None,
        "WorkingDir": process.get("cwd", "/"),
        "Entrypoint": record["entrypoint"] or None,
        "OnBuild": None,
        "Labels": record["labels"],
        "Annotations": spec.get("annotations") or {},
        "StopSignal": signal_name(record["stop_signal"]),
        "StopTimeout": record["stop_timeout"],
        "Umask": f"{(process.get('user') or {}).get('umask', 0o022):04o}",
        "Timeout": options.get("timeout") or 0,
        "Passwd": False,
        "CreateCommand": record.get("create_command", []),
        "sdNotifyMode": "ignore",
    }
    if record["health"]:
        found["Healthcheck"] = record["health"]
    if record.get("secrets"):
        found["Secrets"] = [
            {"Name": use["name"], "ID": use["id"], "UID": use["uid"] or 0, "GID": use["gid"] or 0, "Mode": use["mode"]}
            for use in record["secrets"]
        ]
    return found
