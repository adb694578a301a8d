"""`info`: this host as crate sees it, what the store holds, and each setting in force with its origin.

The keys in lower case are podman's, those that begin with a capital are docker's.
"""

from __future__ import annotations

import os
import time

from crate.cgroup.hierarchy import discover
from crate.linux.caller import effective_capabilities
from crate.linux.mountinfo import unescape
from crate.plan.log_config import DRIVERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.cgroup.hierarchy import Hierarchy
    from crate.engine.context import Engine

_STATES = ("paused", "running", "stopped")


def info(engine: Engine) -> dict[str, Any]:
    """podman's groups `host`, `store`, `registries`, `version`, with ours: `settings`."""
    from crate import API_VERSION, __version__
    from crate.net.definition import DRIVERS as NETWORK_DRIVERS

    hierarchy = discover()
    memory = _table("/proc/meminfo")
    return {
        "host": _host(engine, hierarchy, memory),
        "store": _store(engine),
        "registries": {
            "search": ["docker.io"],
            "insecure": engine.settings.get("registries.insecure"),
            "mirrors": engine.settings.get("registries.mirrors"),
        },
        "plugins": {
            "volume": ["local"],
            "network": [*NETWORK_DRIVERS, "cni", "host", "none", "pasta", "slirp4netns"],
            "log": list(DRIVERS),
        },
        "settings": {key: {"value": value, "origin": origin} for key, value, origin in engine.settings.items()},
        "version": {"Version": __version__, "APIVersion": API_VERSION, "OsArch": f"linux/{_architecture()}"},
    }


def with_docker(engine: Engine, found: dict[str, Any]) -> dict[str, Any]:
    """The same with docker's fields, for templates and JSON."""
    host, store = found["host"], found["store"]
    containers = store["containerStore"]
    controllers = host["cgroupControllers"]
    return {
        **found,
        "ID": host["hostname"],
        "Containers": containers["number"],
        "ContainersRunning": containers["running"],
        "ContainersPaused": containers["paused"],
        "ContainersStopped": containers["stopped"],
        "Images": store["imageStore"]["number"],
        "Driver": store["graphDriverName"],
        "DriverStatus": [list(pair) for pair in store["graphStatus"].items()],
        "Plugins": {"Volume": ["local"], "Network": found["plugins"]["network"], "Log": found["plugins"]["log"]},
        "MemoryLimit": "memory" in controllers,
        "SwapLimit": host["swapLimit"],
        "CpuCfsPeriod": "cpu" in controllers,
        "CpuCfsQuota": "cpu" in controllers,
        "CPUShares": "cpu" in controllers,
        "CPUSet": "cpuset" in controllers,
        "PidsLimit": "pids" in controllers,
        "OomKillDisable": host["cgroupVersion"] == "v1",
        "IPv4Forwarding": _read("/proc/sys/net/ipv4/ip_forward").strip() == "1",
        "Debug": False,
        "SystemTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "LoggingDriver": host["logDriver"],
        "CgroupDriver": host["cgroupManager"],
        "CgroupVersion": host["cgroupVersion"].removeprefix("v"),
        "KernelVersion": host["kernel"],
        "OperatingSystem": host["distribution"]["name"],
        "OSVersion": host["distribution"]["version"],
        "OSType": "linux",
        "Architecture": os.uname().machine,
        "NCPU": host["cpus"],
        "MemTotal": host["memTotal"],
        "DockerRootDir": store["graphRoot"],
        "HttpProxy": engine.settings.get("proxies.http"),
        "HttpsProxy": engine.settings.get("proxies.https"),
        "NoProxy": engine.settings.get("proxies.no_proxy"),
        "Name": host["hostname"],
        "Labels": [],
        "ExperimentalBuild": False,
        "ServerVersion": found["version"]["Version"],
        "Runtimes": {"crate": {"path": host["ociRuntime"]["path"]}},
        "DefaultRuntime": "crate",
        "InitBinary": host["initProgram"],
        "SecurityOptions": ["name=seccomp,profile=builtin", *(["name=rootless"] if engine.roots.rootless else [])],
        "Warnings": None,
    }


def _host(engine: Engine, hierarchy: Hierarchy, memory: dict[str, str]) -> dict[str, Any]:
    import sys

    from crate.plan.host import Host

    system, host = os.uname(), Host(engine.roots.rootless)
    release = _release()
    up = float(_read("/proc/uptime").split()[0])
    version = "v1" if hierarchy.v1 else "v2"
    return {
        "arch": _architecture(),
        "cgroupManager": "cgroupfs",
        "cgroupVersion": version,
        "cgroupsVersion": version,
        "cgroupControllers": sorted({*hierarchy.v1, *hierarchy.v2_controllers()} - {"name=systemd"}),
        "cpus": host.cpus(),
        "distribution": {
            "distribution": release.get("ID", "unknown"),
            "version": release.get("VERSION_ID", "unknown"),
            "name": release.get("PRETTY_NAME", "Linux"),
        },
        "eventLogger": "none",
        "hostname": system.nodename,
        "idMappings": {"uidmap": _id_map("uid_map"), "gidmap": _id_map("gid_map")} if engine.roots.rootless else {},
        "initProgram": host.init_program(),
        "kernel": system.release,
        "logDriver": engine.settings.get("logs.driver"),
        "memFree": _bytes(memory, "MemFree"),
        "memTotal": _bytes(memory, "MemTotal"),
        "swapFree": _bytes(memory, "SwapFree"),
        "swapTotal": _bytes(memory, "SwapTotal"),
        "swapLimit": host.limits_swap(),
        "networkBackend": "crate",
        "ociRuntime": {
            "name": "crate",
            "package": "built in",
            "path": os.path.abspath(sys.argv[0]),
            "version": f"Python {sys.version.split()[0]}",
        },
        "os": "linux",
        "security": {
            "apparmorEnabled": False,
            "capabilities": ",".join(engine.settings.get("containers.capabilities")),
            "callerCapabilities": ",".join(effective_capabilities()),
            "rootless": engine.roots.rootless,
            "seccompEnabled": os.access("/proc/sys/kernel/seccomp", os.F_OK),
            "seccompProfilePath": engine.settings.get("containers.seccomp_profile") or "default",
            "selinuxEnabled": False,
        },
        "serviceIsRemote": False,
        "uptime": f"{int(up // 3600)}h {int(up // 60 % 60)}m {up % 60:.2f}s",
    }


def _store(engine: Engine) -> dict[str, Any]:
    from crate.engine import containers
    from crate.storage import image_record

    roots = engine.roots
    counted = dict.fromkeys(_STATES, 0)
    listed = containers.listing(engine)
    for container in listed:
        status = container.state(engine)["status"]
        counted[status if status in counted else "stopped"] += 1
    return {
        "configFile": ", ".join(engine.settings.files),
        "containerStore": {"number": len(listed), **counted},
        "graphDriverName": roots.driver or "overlay",
        "graphOptions": {},
        "graphRoot": roots.graphroot,
        "graphStatus": {"Backing Filesystem": _file_system(roots.graphroot)},
        "imageStore": {"number": len(image_record.list_ids(roots))},
        "runRoot": roots.runroot,
        "volumePath": f"{roots.graphroot}/volumes",
    }


def _architecture() -> str:
    from crate.oci import platform

    return platform.host().architecture


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _id_map(name: str) -> list[dict[str, int]]:
    """The ids of an ordinary user's containers; a single line means that there are no subordinate ones."""
    lines = [line.split() for line in _read(f"/proc/self/{name}").splitlines()]
    return [{"container_id": int(a), "host_id": int(b), "size": int(size)} for a, b, size in lines]


def _table(path: str) -> dict[str, str]:
    """`Key: value` lines."""
    lines = (line.partition(":") for line in _read(path).splitlines())
    return {key: value.strip() for key, _, value in lines}


def _bytes(memory: dict[str, str], key: str) -> int:
    return int(memory.get(key, "0 kB").split()[0]) * 1024


def _release() -> dict[str, str]:
    """os-release(5)."""
    lines = (_read("/etc/os-release") or _read("/usr/lib/os-release")).splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key: value.strip("\"'") for key, _, value in pairs}


def _file_system(path: str) -> str:
    """The type of the file system that holds `path`, by the mount that lies nearest above it."""
    best, found = "", "unknown"
    for line in _read("/proc/self/mountinfo").splitlines():
        fields = line.split(" ")
        point = unescape(fields[4])
        if (path + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best):
            best, found = point, fields[fields.index("-") + 1]
    return found
