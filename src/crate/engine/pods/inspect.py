"""`pod inspect`: podman's object, from the pod's record and its containers."""

from __future__ import annotations

from crate.engine.inspect.container import mount_point, when
from crate.engine.inspect.host_config import port_bindings
from crate.engine.networks import attachments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.engine.pods.pod import Pod

#: key of the JSON -> name in templates, where they differ by more than their first letter
GO_NAMES = {
    "Id": "ID",
    "pid_ns": "PidNS",
    "userns": "UserNS",
    "uts_ns": "UtsNS",
    "mounts": "Mounts",
    "devices": "Devices",
    "security_opt": "SecurityOpts",
    "volumes_from": "VolumesFrom",
    "cpu_period": "CPUPeriod",
    "cpu_quota": "CPUQuota",
    "cpu_shares": "CPUShares",
    "cpuset_cpus": "CPUSetCPUs",
    "cpuset_mems": "CPUSetMems",
    "memory_limit": "MemoryLimit",
    "memory_swap": "MemorySwap",
    "blkio_weight": "BlkioWeight",
    "blkio_weight_device": "BlkioWeightDevice",
    "device_read_bps": "BlkioDeviceReadBps",
    "device_write_bps": "BlkioDeviceWriteBps",
}


def inspect(engine: Engine, pod: Pod) -> dict[str, Any]:
    """The object of podman-pod-inspect(1); what a pod has nothing of is left out, as there."""
    record, sandbox = pod.record, pod.sandbox
    found: dict[str, Any] = {
        "Id": pod.id,
        "Name": pod.name,
        "Created": when(record["created"]),
        "CreateCommand": record["create_command"],
        "ExitPolicy": record["exit_policy"],
        "State": pod.status(engine),
        "Hostname": record["hostname"],
        "Labels": record["labels"],
        "CreateCgroup": record["share_parent"],
        "CgroupParent": record["cgroup_parent"],
        "CgroupPath": record["cgroup"],
        "CreateInfra": bool(record["sandbox"]),
        "InfraContainerID": sandbox.id if sandbox else "",
        "InfraConfig": _infra(sandbox, record) if sandbox else None,
        "SharedNamespaces": record["share"],
        "NumContainers": len(pod.members),
        "Containers": [
            {"Id": member.id, "Name": member.name, "State": member.state(engine)["status"]} for member in pod.members
        ],
        **_limits(record["resources"]),
        "mounts": [mount_point(mount) for mount in sandbox.record["mounts"]] if sandbox else [],
        "devices": record["options"].get("device") or [],
        "security_opt": record["options"].get("security_opt") or [],
        "volumes_from": record["sandbox"].get("volumes_from") or [],
        "RestartPolicy": record["options"].get("restart") or "",
    }
    kept = ("State", "Hostname", "CreateInfra", "CreateCgroup", "NumContainers")
    return {key: value for key, value in found.items() if value or key in kept}


def _infra(sandbox: Container, record: dict[str, Any]) -> dict[str, Any]:
    network, files, modes = sandbox.record["network"], sandbox.record["files"], sandbox.record["modes"]
    first = network["networks"][0] if network["networks"] else {"ip": "", "mac": ""}
    return {
        "PortBindings": port_bindings(network["ports"]),
        "HostNetwork": network["mode"] == "host",
        "StaticIP": first["ip"],
        "StaticMAC": first["mac"],
        "NoManageResolvConf": files["dns"] == ["none"],
        "DNSServer": files["dns"] or None,
        "DNSSearch": files["dns_search"] or None,
        "DNSOption": files["dns_options"] or None,
        "NoManageHosts": files["hosts"] is None,
        "HostAdd": files["hosts"] or None,
        "Networks": attachments.names(network) or None,
        "NetworkOptions": None,
        "pid_ns": modes["pid"],
        "userns": modes["user"],
        "uts_ns": modes["uts"],
    }


def _limits(resources: dict[str, Any]) -> dict[str, Any]:
    cpu, memory, block = (resources.get(name) or {} for name in ("cpu", "memory", "blockIO"))
    return {
        "cpu_period": cpu.get("period"),
        "cpu_quota": cpu.get("quota"),
        "cpu_shares": cpu.get("shares"),
        "cpuset_cpus": cpu.get("cpus"),
        "cpuset_mems": cpu.get("mems"),
        "memory_limit": memory.get("limit"),
        "memory_swap": memory.get("swap"),
        "blkio_weight": block.get("weight"),
        "blkio_weight_device": block.get("weightDevice"),
        "device_read_bps": block.get("throttleReadBpsDevice"),
        "device_write_bps": block.get("throttleWriteBpsDevice"),
    }
