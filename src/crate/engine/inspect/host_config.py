"""The HostConfig of `inspect`: what was asked of the host for a container, in docker's fields and units."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine


def host_config(engine: Engine, container: Container, spec: dict[str, Any]) -> dict[str, Any]:
    """The object: names and limits as they are in force, lists as they were given."""
    record = container.record
    options, modes, linux = record["options"], record["modes"], spec.get("linux") or {}
    process = spec.get("process") or {}

    def given(name: str) -> list[str]:
        return list(options.get(name) or ())

    found: dict[str, Any] = {
        "Binds": [_bind(mount) for mount in record["mounts"] if mount["type"] != "tmpfs"],
        "CgroupManager": "cgroupfs",
        "CgroupMode": modes["cgroup"],
        "CgroupnsMode": modes["cgroup"],
        "CgroupParent": options.get("cgroup_parent") or "",
        "CgroupConf": dict(text.partition("=")[::2] for text in given("cgroup_conf")) or None,
        "Cgroup": "",
        "Cgroups": "default",
        "ContainerIDFile": options.get("cidfile") or "",
        "LogConfig": _log_config(container),
        "NetworkMode": _network_mode(engine, record["network"], modes),
        "PortBindings": port_bindings(record["network"].get("ports") or []),
        "NetworkRate": given("network_rate"),
        "PublishAllPorts": bool(options.get("publish_all")),
        "RestartPolicy": {
            "Name": record["restart"]["name"],
            "MaximumRetryCount": record["restart"]["maximum_retry_count"],
        },
        "AutoRemove": record["remove"],
        "VolumeDriver": "",
        "VolumesFrom": given("volumes_from") or None,
        "CapAdd": [_capability(text) for text in given("cap_add")],
        "CapDrop": [_capability(text) for text in given("cap_drop")],
        "Dns": record["files"]["dns"],
        "DnsOptions": record["files"]["dns_options"],
        "DnsSearch": record["files"]["dns_search"],
        "ExtraHosts": record["files"]["hosts"] or [],
        "GroupAdd": given("group_add"),
        "Init": bool(options.get("init")),
        "IpcMode": modes["ipc"],
        "PidMode": "" if modes["pid"] == "private" else modes["pid"],
        "UTSMode": "" if modes["uts"] == "private" else modes["uts"],
        "UsernsMode": "" if modes["user"] == "host" else modes["user"],
        "Links": _links(engine, record),
        "OomScoreAdj": process.get("oomScoreAdj", 0),
        "Privileged": record["privileged"],
        "ReadonlyRootfs": bool((spec.get("root") or {}).get("readonly")),
        "SecurityOpt": given("security_opt"),
        "Sysctls": dict(text.partition("=")[::2] for text in given("sysctl")),
        "Tmpfs": {m["destination"]: ",".join(m["options"]) for m in record["mounts"] if m["type"] == "tmpfs"},
        "ShmSize": _shm_size(spec),
        "Runtime": "crate",
        "ConsoleSize": [0, 0],
        "Isolation": "",
        "Devices": [_device(text) for text in given("device")],
        "DeviceCgroupRules": given("device_cgroup_rule"),
        "Ulimits": [
            {
                "Name": limit["type"].removeprefix("RLIMIT_").lower(),
                "Soft": _limit(limit["soft"]),
                "Hard": _limit(limit["hard"]),
            }
            for limit in process.get("rlimits") or []
        ],
        "MaskedPaths": linux.get("maskedPaths") or [],
        "ReadonlyPaths": linux.get("readonlyPaths") or [],
        **_resources(linux.get("resources") or {}, options),
    }
    ids = record.get("ids")
    if ids:
        found["IDMappings"] = {
            "UidMap": _mappings(ids["uids"]),
            "GidMap": _mappings(ids["gids"]),
        }
    return found


def _resources(resources: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    memory, cpu = resources.get("memory") or {}, resources.get("cpu") or {}
    block = resources.get("blockIO") or {}
    nano_cpus = 0
    if options.get("cpus"):
        nano_cpus = cpu.get("quota", 0) * 1_000_000_000 // (cpu.get("period") or 100_000)
    return {
        "CpuShares": cpu.get("shares", 0),
        "NanoCpus": nano_cpus,
        "CpuPeriod": cpu.get("period", 0),
        "CpuQuota": cpu.get("quota", 0),
        "CpuRealtimePeriod": cpu.get("realtimePeriod", 0),
        "CpuRealtimeRuntime": cpu.get("realtimeRuntime", 0),
        "CpusetCpus": cpu.get("cpus", ""),
        "CpusetMems": cpu.get("mems", ""),
        "CpuCount": 0,
        "CpuPercent": 0,
        "Memory": memory.get("limit", 0),
        "MemoryReservation": memory.get("reservation", 0),
        "MemorySwap": memory.get("swap", 0),
        "MemorySwappiness": memory.get("swappiness", -1),
        "KernelMemory": memory.get("kernel", 0),
        "OomKillDisable": bool(memory.get("disableOOMKiller")),
        "PidsLimit": (resources.get("pids") or {}).get("limit", 0),
        "BlkioWeight": block.get("weight", 0),
        "BlkioWeightDevice": block.get("weightDevice"),
        "BlkioDeviceReadBps": block.get("throttleReadBpsDevice"),
        "BlkioDeviceWriteBps": block.get("throttleWriteBpsDevice"),
        "BlkioDeviceReadIOps": block.get("throttleReadIOPSDevice"),
        "BlkioDeviceWriteIOps": block.get("throttleWriteIOPSDevice"),
        "DiskQuota": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
    }


def _links(engine: Engine, record: dict[str, Any]) -> list[str] | None:
    if not record.get("links"):
        return None
    from crate.engine.networks import links

    return links.shown(engine, record)


def _bind(mount: dict[str, Any]) -> str:
    """`SOURCE:DESTINATION[:OPTIONS]`, the volume's name where it has one."""
    options = [option for option in mount["options"] if option not in ("rbind", "rprivate", "rro")]
    return ":".join(filter(None, (mount["name"] or mount["source"], mount["destination"], ",".join(options))))


def _log_config(container: Container) -> dict[str, Any]:
    log = container.record["log"]
    options = log["options"]
    return {
        "Type": log["driver"],
        "Config": options,
        "Path": container.log_path(),
        "Tag": options.get("tag", ""),
        "Size": _shown_size(options.get("max-size", "-1")),
    }


def _shown_size(size: str) -> str:
    """As go-units' HumanSize shows it: `64MB`."""
    if size == "-1":
        return "0B"
    from crate.plan.quantities import size_bytes

    number, units = float(size_bytes("log-opt max-size", size, 1000)), ["B", "kB", "MB", "GB", "TB"]
    while number >= 1000 and len(units) > 1:
        number /= 1000
        del units[0]
    return f"{number:.4g}{units[0]}"


def _network_mode(engine: Engine, request: dict[str, Any], modes: dict[str, str]) -> str:
    if request["mode"] in ("container", "ns"):
        return str(modes["network"])
    if request["mode"] == "bridge" and engine.roots.rootless:
        from crate.net.sandbox import rootless_mode

        return rootless_mode(engine.settings, request)  # type: ignore[arg-type]
    return str(request["mode"])


def port_bindings(ports: list[dict[str, Any]]) -> dict[str, list[dict[str, str]]]:
    """`{"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}`; an empty HostPort is one that a start chooses."""
    found: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        key = f"{port['container_port']}/{port['protocol']}"
        number = str(port["host_port"]) if port["host_port"] else ""
        found.setdefault(key, []).append({"HostIp": port["host_ip"], "HostPort": number})
    return found


def _capability(text: str) -> str:
    name = text.upper()
    return name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"


def _shm_size(spec: dict[str, Any]) -> int:
    for mount in spec.get("mounts") or []:
        if mount["destination"] == "/dev/shm":
            for option in mount.get("options") or []:
                name, _, value = option.partition("=")
                if name == "size" and value.isdigit():
                    return int(value)
    return 0


def _device(text: str) -> dict[str, str]:
    parts = text.split(":")
    inside = next((part for part in parts[1:] if part.startswith("/")), parts[0])
    rights = parts[-1] if len(parts) > 1 and not parts[-1].startswith("/") else "rwm"
    return {"PathOnHost": parts[0], "PathInContainer": inside, "CgroupPermissions": rights}


def _limit(value: int) -> int:
    return -1 if value >= 1 << 63 else value


def _mappings(mappings: list[dict[str, int]]) -> list[str]:
    return [f"{entry['containerID']}:{entry['hostID']}:{entry['size']}" for entry in mappings]
