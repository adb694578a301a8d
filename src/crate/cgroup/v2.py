"""OCI linux.resources → the files of cgroup v2: one pure function a controller.

A write is (file, value, limit) as in `v1`. Files as in the kernel's Documentation/admin-guide/cgroup-v2.rst; where
OCI still speaks v1, the conversions are those of runc 1.3.2 and crun 1.23.
"""

from __future__ import annotations

from crate.cgroup import v1
from crate.cgroup.v1 import pids, rdma  # the same files in both versions
from crate.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Resources = dict[str, Any]
    Write = tuple[str, str, str]
    Has = Callable[[str], bool]

DEFAULT_PERIOD = 100000


def shares_to_weight(shares: int) -> int:
    """cpu.weight (1 to 10000) for v1 cpu.shares (2 to 262144): 2 → 1, 1024 → 100, 262144 → 10000; 0 stays 0, unset.

    The quadratic that all three points lie on (https://github.com/opencontainers/cgroups/pull/20).
    """
    if shares <= 2:
        return int(shares > 0)
    if shares >= 262144:
        return 10000
    import math

    exponent = math.log2(shares)
    return math.ceil(10 ** ((exponent * exponent + 125 * exponent) / 612.0 - 7.0 / 34.0))


def blkio_to_io_weight(weight: int) -> int:
    """io.weight (1 to 10000) for v1 blkio.weight (10 to 1000)."""
    return 1 + (weight - 10) * 9999 // 990


def cpu(resources: Resources, has: Has) -> list[Write]:
    """cpu.weight from shares, cpu.max from quota and period, burst and idle."""
    given = resources.get("cpu") or {}
    writes: list[Write] = []
    idle = given.get("idle")
    if idle is not None:
        writes.append(("cpu.idle", str(idle), f"cpu idle {idle}"))
    if (shares := given.get("shares")) and not idle:  # an idle group has no weight: EINVAL
        writes.append(("cpu.weight", str(shares_to_weight(shares)), f"cpu shares {shares}"))
    quota, period = given.get("quota"), given.get("period")
    if quota or period:
        limit = f"cpu quota {quota}" if quota else f"cpu period {period}"
        text = "max" if quota is None or quota <= 0 else str(quota)
        writes.append(("cpu.max", f"{text} {period or DEFAULT_PERIOD}", limit))
    if given.get("burst"):
        writes.append(("cpu.max.burst", str(given["burst"]), f"cpu burst {given['burst']}"))
    if given.get("realtimeRuntime") or given.get("realtimePeriod"):
        raise HostError("cannot set cpu real-time runtime: cgroup v2 has no such limit")
    return writes


def cpuset(resources: Resources, has: Has) -> list[Write]:
    """cpuset.cpus and cpuset.mems; the kernel takes CPUs that are not there, so whoever writes looks at the effect."""
    given = resources.get("cpu") or {}
    pairs = (("cpus", "cpuset.cpus", "cpuset cpus"), ("mems", "cpuset.mems", "cpuset mems"))
    return [(file, given[key], f"{option} {given[key]}") for key, file, option in pairs if given.get(key)]


def swap_alone(swap: int, limit: int) -> str | None:
    """memory.swap.max for the OCI swap, which counts memory and swap together; None leaves it as it is."""
    if swap == -1 or (limit == -1 and swap == 0):
        return "max"
    if swap == 0:
        return None
    if limit <= 0:
        raise UsageError(f"memory swap {swap}: it includes the memory, so a memory limit must be given with it")
    if swap < limit:
        raise UsageError(f"memory swap {swap}: it includes the memory, so it cannot be below the limit of {limit}")
    return str(swap - limit)


def memory(resources: Resources, has: Has) -> list[Write]:
    """memory.max, memory.swap.max, memory.low. v2 has no swappiness, kernel limit or way to turn OOM kills off."""
    given = resources.get("memory") or {}
    writes: list[Write] = []
    limit, swap = given.get("limit") or 0, given.get("swap") or 0
    alone = swap_alone(swap, limit)
    if alone is not None and not has("memory.swap.max"):
        if alone not in ("0", "max"):
            raise HostError(
                "cannot limit swap: this kernel does not account for swap",
                "boot with swapaccount=1, or leave --memory-swap out",
            )
    elif alone is not None:
        writes.append(("memory.swap.max", alone, f"memory swap {swap}"))
    if limit:
        writes.append(("memory.max", "max" if limit < 0 else str(limit), f"memory limit {limit}"))
    if reservation := given.get("reservation"):
        writes.append(
            ("memory.low", "max" if reservation < 0 else str(reservation), f"memory reservation {reservation}")
        )
    return writes


def io(resources: Resources, has: Has) -> list[Write]:
    """io.bfq.weight (1 to 1000) where bfq is, else io.weight; the throttles of a device go into one io.max line."""
    given = resources.get("blockIO") or {}
    bfq = has("io.bfq.weight")
    writes: list[Write] = []
    if weight := given.get("weight"):
        if bfq:
            writes.append(("io.bfq.weight", str(weight), f"blkio weight {weight}"))
        else:
            writes.append(("io.weight", f"default {blkio_to_io_weight(weight)}", f"blkio weight {weight}"))
    for device in given.get("weightDevice") or ():
        if weight := device.get("weight"):
            value = weight if bfq else blkio_to_io_weight(weight)
            file, number = "io.bfq.weight" if bfq else "io.weight", f"{device['major']}:{device['minor']}"
            writes.append((file, f"{number} {value}", f"blkio weight {number} {weight}"))
    limits: dict[str, list[str]] = {}
    options: dict[str, str] = {}
    for key, word, option in (
        ("throttleReadBpsDevice", "rbps", "device read bps"),
        ("throttleWriteBpsDevice", "wbps", "device write bps"),
        ("throttleReadIOPSDevice", "riops", "device read iops"),
        ("throttleWriteIOPSDevice", "wiops", "device write iops"),
    ):
        for device in given.get(key) or ():
            number = f"{device['major']}:{device['minor']}"
            limits.setdefault(number, []).append(f"{word}={device['rate'] or 'max'}")
            options.setdefault(number, f"{option} {number} {device['rate']}")
    writes += [("io.max", " ".join([number, *words]), options[number]) for number, words in limits.items()]
    return writes


def hugetlb(resources: Resources, has: Has) -> list[Write]:
    """As in v1, in files of another name."""
    return v1.hugetlb(resources, has, "max")


def unified(resources: Resources) -> list[Write]:
    """The OCI `unified` map (`--cgroup-conf`): file names of cgroup v2 with what goes into them."""
    writes: list[Write] = []
    for file, value in (resources.get("unified") or {}).items():
        if "/" in file or "." not in file:
            raise UsageError(f"cgroup file {file}: it has the form CONTROLLER.NAME, such as memory.high")
        writes.append((file, value, f"cgroup file {file}={value}"))
    return writes


CONTROLLERS: dict[str, Callable[[Resources, Has], list[Write]]] = {
    "cpu": cpu,
    "cpuset": cpuset,
    "memory": memory,
    "pids": pids,
    "io": io,
    "hugetlb": hugetlb,
    "rdma": rdma,
}
