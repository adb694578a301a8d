"""OCI linux.resources → the files of cgroup v1: one pure function a controller.

A write is (file, value, limit): the limit is what the user asked for, such as "memory limit 4096", for the error when
the kernel refuses it. Files as in the kernel's Documentation/admin-guide/cgroup-v1/. `has(file)` tells whether the
controller has a file here.
"""

from __future__ import annotations

from crate.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Resources = dict[str, Any]
    Write = tuple[str, str, str]
    Has = Callable[[str], bool]

SHARES_MIN, SHARES_MAX = 2, 262144


def cpu(resources: Resources, has: Has) -> list[Write]:
    """cpu.shares, the quota with its period and burst, idle and the real-time pair."""
    given = resources.get("cpu") or {}
    writes: list[Write] = []
    if shares := given.get("shares"):
        # The kernel clamps silently, and a limit that differs from what was asked for is a lie.
        if not SHARES_MIN <= shares <= SHARES_MAX:
            raise UsageError(f"cpu shares {shares}: the range is {SHARES_MIN} to {SHARES_MAX}")
        writes.append(("cpu.shares", str(shares), f"cpu shares {shares}"))
    for key, file, option in (
        ("period", "cpu.cfs_period_us", "cpu period"),
        ("quota", "cpu.cfs_quota_us", "cpu quota"),
        ("burst", "cpu.cfs_burst_us", "cpu burst"),
        ("realtimePeriod", "cpu.rt_period_us", "cpu real-time period"),
        ("realtimeRuntime", "cpu.rt_runtime_us", "cpu real-time runtime"),
    ):
        if given.get(key):
            writes.append((file, str(given[key]), f"{option} {given[key]}"))
    if given.get("idle") is not None:
        writes.append(("cpu.idle", str(given["idle"]), f"cpu idle {given['idle']}"))
    return writes


def cpuset(resources: Resources, has: Has) -> list[Write]:
    """cpuset.cpus and cpuset.mems; filling them from the parent is the business of whoever makes the group."""
    given = resources.get("cpu") or {}
    pairs = (("cpus", "cpuset.cpus", "cpuset cpus"), ("mems", "cpuset.mems", "cpuset mems"))
    return [(file, given[key], f"{option} {given[key]}") for key, file, option in pairs if given.get(key)]


def memory(resources: Resources, has: Has) -> list[Write]:
    """Limit, memory+swap, reservation, swappiness, the OOM killer. `kernel` is gone from the kernel: ignored."""
    given = resources.get("memory") or {}
    writes: list[Write] = []
    limit, swap = given.get("limit"), given.get("swap")
    if limit:
        writes.append(("memory.limit_in_bytes", str(limit), f"memory limit {limit}"))
        if limit == -1 and not swap and has("memory.memsw.limit_in_bytes"):
            swap = -1  # a limit of memory+swap below "unlimited memory" would be refused
    if swap:
        if swap > 0 and not has("memory.memsw.limit_in_bytes"):
            raise HostError(
                "cannot limit swap: this kernel does not account for swap",
                "boot with swapaccount=1, or leave --memory-swap out",
            )
        if swap > 0 and limit and 0 < swap < limit:
            raise UsageError(f"memory swap {swap}: it includes the memory, so it cannot be below the limit of {limit}")
        if has("memory.memsw.limit_in_bytes"):
            writes.append(("memory.memsw.limit_in_bytes", str(swap), f"memory swap {swap}"))
    for key, file, option in (
        ("reservation", "memory.soft_limit_in_bytes", "memory reservation"),
        ("kernelTCP", "memory.kmem.tcp.limit_in_bytes", "kernel memory for tcp"),
    ):
        if given.get(key):
            writes.append((file, str(given[key]), f"{option} {given[key]}"))
    swappiness = given.get("swappiness")
    if swappiness is not None:
        if not 0 <= swappiness <= 100:
            raise UsageError(f"memory swappiness {swappiness}: the range is 0 to 100")
        writes.append(("memory.swappiness", str(swappiness), f"memory swappiness {swappiness}"))
    if given.get("disableOOMKiller"):
        writes.append(("memory.oom_control", "1", "oom kill disable"))
    return writes


def pids(resources: Resources, has: Has) -> list[Write]:
    """pids.max; zero and below mean no limit."""
    limit = (resources.get("pids") or {}).get("limit")
    if limit is None:
        return []
    return [("pids.max", str(limit) if limit > 0 else "max", f"pids limit {limit}")]


def blkio(resources: Resources, has: Has) -> list[Write]:
    """Weights (of bfq where that has them) and the four throttles, a line a device."""
    given = resources.get("blockIO") or {}
    bfq = "bfq." if has("blkio.bfq.weight") else ""
    writes: list[Write] = []
    kinds = (("weight", f"blkio.{bfq}weight", "blkio weight"), ("leafWeight", "blkio.leaf_weight", "blkio leaf weight"))
    for key, file, option in kinds:
        if given.get(key):
            writes.append((file, str(given[key]), f"{option} {given[key]}"))
    for device in given.get("weightDevice") or ():
        for key, file, option in kinds:
            if device.get(key):
                line = f"{device['major']}:{device['minor']} {device[key]}"
                writes.append((f"{file}_device", line, f"{option} {line}"))
    for key, file, option in (
        ("throttleReadBpsDevice", "blkio.throttle.read_bps_device", "device read bps"),
        ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "device write bps"),
        ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "device read iops"),
        ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "device write iops"),
    ):
        for device in given.get(key) or ():
            line = f"{device['major']}:{device['minor']} {device['rate']}"
            writes.append((file, line, f"{option} {line}"))
    return writes


def hugetlb(resources: Resources, has: Has, file: str = "limit_in_bytes") -> list[Write]:
    """A limit a page size, of the pages in use and, where the kernel has it, of the reserved ones."""
    writes: list[Write] = []
    for entry in resources.get("hugepageLimits") or ():
        size = entry["pageSize"]
        option = f"hugetlb limit {size}={entry['limit']}"
        writes.append((f"hugetlb.{size}.{file}", str(entry["limit"]), option))
        if has(f"hugetlb.{size}.rsvd.{file}"):
            writes.append((f"hugetlb.{size}.rsvd.{file}", str(entry["limit"]), option))
    return writes


def net_cls(resources: Resources, has: Has) -> list[Write]:
    """The class id that tc(8) and the firewall see on the packets."""
    class_id = (resources.get("network") or {}).get("classID")
    return [("net_cls.classid", str(class_id), f"network class id {class_id}")] if class_id else []


def net_prio(resources: Resources, has: Has) -> list[Write]:
    """A priority an interface of the host."""
    entries = (resources.get("network") or {}).get("priorities") or ()
    lines = [f"{entry['name']} {entry['priority']}" for entry in entries]
    return [("net_prio.ifpriomap", line, f"network priority {line}") for line in lines]


def rdma(resources: Resources, has: Has) -> list[Write]:
    """Handles and objects an RDMA device; the file is the same in v2."""
    writes: list[Write] = []
    for name, entry in (resources.get("rdma") or {}).items():
        words = [name]
        if entry.get("hcaHandles") is not None:
            words.append(f"hca_handle={entry['hcaHandles']}")
        if entry.get("hcaObjects") is not None:
            words.append(f"hca_object={entry['hcaObjects']}")
        writes.append(("rdma.max", " ".join(words), f"rdma limit {' '.join(words)}"))
    return writes


def devices(resources: Resources, has: Has) -> list[Write]:
    """devices.deny and devices.allow, from the rules taken together: the kernel's list knows no order."""
    if not resources.get("devices"):
        return []
    from crate.cgroup.device_rules import settle

    allow_all, exceptions = settle(resources["devices"])
    first, other = ("devices.allow", "devices.deny") if allow_all else ("devices.deny", "devices.allow")
    writes: list[Write] = [(first, "a", "device rule")]
    for (kind, major, minor), access in exceptions.items():
        number = f"{'*' if major is None else major}:{'*' if minor is None else minor}"
        line = f"{kind} {number} {access}"
        writes.append((other, line, f"device rule {line}"))
    return writes


CONTROLLERS: dict[str, Callable[[Resources, Has], list[Write]]] = {
    "cpu": cpu,
    "cpuset": cpuset,
    "memory": memory,
    "pids": pids,
    "blkio": blkio,
    "hugetlb": hugetlb,
    "net_cls": net_cls,
    "net_prio": net_prio,
    "rdma": rdma,
    "devices": devices,
}
