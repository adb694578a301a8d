"""Limits of the container's cgroup: memory, processors, processes, block devices, with docker's checks."""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.oci.runtime_spec import LinuxBlockIO, LinuxCPU, LinuxMemory, LinuxResources
    from crate.plan.host import Host
    from crate.plan.shapes import Options
    from crate.settings import Settings

_MIN_MEMORY = 6 << 20
MEMORY = ("memory", "memory_swap", "memory_reservation", "memory_swappiness", "oom_kill_disable", "kernel_memory")
_DISCARDED = "WARNING: Your kernel does not support {}. {} discarded."
CPU = (
    *("cpus", "cpu_period", "cpu_quota", "cpu_shares", "cpu_rt_period", "cpu_rt_runtime", "cpuset_cpus"),
    "cpuset_mems",
)
BLOCK_IO = (
    *("blkio_weight", "blkio_weight_device", "device_read_bps", "device_write_bps", "device_read_iops"),
    "device_write_iops",
)


def make_resources(options: Options, host: Host, settings: Settings, warnings: list[str]) -> LinuxResources:
    """`linux.resources` without its devices. What the host cannot do and nobody depends on becomes a warning."""
    resources: LinuxResources = {}
    if any(options.get(name) not in (None, False) for name in MEMORY):
        memory = _memory(options, host, warnings)
        if memory:
            resources["memory"] = memory
    if any(options.get(name) is not None for name in CPU):
        cpu = _cpu(options, host)
        if cpu:
            resources["cpu"] = cpu
    limit = _pids(options, host, settings)
    if limit:
        resources["pids"] = {"limit": limit}
    if any(options.get(name) is not None for name in BLOCK_IO):
        from crate.plan.block_io import make_block_io

        block_io: LinuxBlockIO = make_block_io(options, host)
        if block_io:
            resources["blockIO"] = block_io
    if options.get("net_cls_classid"):
        resources["network"] = {"classID": _class_id(options["net_cls_classid"])}
    for entry in options.get("cgroup_conf") or ():
        _add_file(resources, entry)
    mode = options.get("limits") or settings.get("containers.limits")
    if mode == "best-effort" and resources:
        from crate.plan.best_effort import keep_possible

        keep_possible(resources, host, warnings)
    elif mode not in ("strict", "best-effort"):
        raise UsageError(f"invalid --limits {mode!r}", "strict or best-effort")
    return resources


def _class_id(text: str) -> int:
    """`10:1` in hexadecimal digits, as tc(8) writes it, or the number itself: 0x100001."""
    major, colon, minor = text.partition(":")
    try:
        number = int(major, 16) << 16 | int(minor, 16) if colon else int(text, 0)
        if not 0 < number < 1 << 32 or (colon and max(len(major), len(minor)) > 4):
            raise ValueError
    except ValueError:
        raise UsageError(f"invalid net_cls class {text}", "write it as tc does, 10:1, or as 0x100001") from None
    return number


def _memory(options: Options, host: Host, warnings: list[str]) -> LinuxMemory:
    from crate.plan.quantities import integer, size_bytes

    memory: LinuxMemory = {}
    limit = size_bytes("memory", options.get("memory") or 0)
    given_swap = options.get("memory_swap")
    swap = -1 if str(given_swap) == "-1" else size_bytes("memory-swap", given_swap or 0)
    reservation = size_bytes("memory-reservation", options.get("memory_reservation") or 0)
    if 0 < limit < _MIN_MEMORY:
        raise UsageError("minimum memory limit allowed is 6MB", "give --memory 6m or more")
    if swap > 0 and not limit:
        raise UsageError("you should always set the memory limit when using memoryswap limit, see usage")
    if 0 < swap < limit:
        raise UsageError("minimum memoryswap limit should be larger than memory limit, see usage")
    if 0 < reservation < _MIN_MEMORY:
        raise UsageError("minimum memory reservation allowed is 6MB")
    if 0 < limit < reservation:
        raise UsageError("minimum memory limit can not be less than memory reservation limit, see usage")
    if limit:
        memory["limit"] = limit
        swap = swap or 2 * limit
    if swap and limit:
        if host.limits_swap():
            memory["swap"] = swap
        elif given_swap is not None:
            warnings.append("WARNING: this kernel does not limit swap: memory is limited without swap")
    if reservation:
        memory["reservation"] = reservation
    swappiness = options.get("memory_swappiness")
    if swappiness is not None:
        number = integer("memory-swappiness", swappiness)
        if not -1 <= number <= 100:
            raise UsageError(f"invalid value: {number}, valid memory swappiness range is 0-100")
        if number >= 0 and host.has_memory_v1():
            memory["swappiness"] = number
        elif number >= 0:
            warnings.append(
                _DISCARDED.format("memory swappiness capabilities or the cgroup is not mounted", "Memory swappiness")
            )
    if options.get("kernel_memory"):
        warnings.append(_DISCARDED.format("kernel memory limit capabilities", "Limitation"))
    if options.get("oom_kill_disable") and not host.has_memory_v1():
        warnings.append(_DISCARDED.format("OomKillDisable", "OomKillDisable"))
    elif options.get("oom_kill_disable"):
        memory["disableOOMKiller"] = True
        if not limit:
            warnings.append(
                "WARNING: Disabling the OOM killer on containers without a '-m/--memory' limit may be dangerous."
            )
    return memory


def _cpu(options: Options, host: Host) -> LinuxCPU:
    from crate.plan.quantities import integer, nano_cpus

    cpu: LinuxCPU = {}
    cpus = options.get("cpus")
    numbers = {
        name: integer(name.replace("_", "-"), options[name])
        for name in ("cpu_period", "cpu_quota", "cpu_shares", "cpu_rt_period", "cpu_rt_runtime")
        if options.get(name) is not None
    }
    period, quota = numbers.get("cpu_period", 0), numbers.get("cpu_quota", 0)
    if cpus is not None and (nano := nano_cpus("cpus", cpus)):
        for value, name in ((period, "Period"), (quota, "Quota")):
            if value:
                raise UsageError(f"conflicting options: Nano CPUs and CPU {name} cannot both be set")
        if nano < 10_000_000:
            raise UsageError("range of CPUs is from 0.01 on", "give --cpus a number within that range")
        period, quota = 100_000, nano // 10_000
    if period and not 1_000 <= period <= 1_000_000:
        raise UsageError("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < quota < 1_000:
        raise UsageError("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    shares = numbers.get("cpu_shares", 0)
    if shares < 0:
        raise UsageError(f"invalid CPU shares ({shares}): value must be a positive integer")
    if shares and not 2 <= shares <= 262144:
        raise UsageError(f"cpu shares {shares}: the range is 2 to 262144")
    if period:
        cpu["period"] = period
    if quota:
        cpu["quota"] = quota
    if shares:
        cpu["shares"] = shares
    if numbers.get("cpu_rt_period"):
        cpu["realtimePeriod"] = numbers["cpu_rt_period"]
    if numbers.get("cpu_rt_runtime"):
        cpu["realtimeRuntime"] = numbers["cpu_rt_runtime"]
    if options.get("cpuset_cpus"):
        cpu["cpus"] = _list("cpuset-cpus", options["cpuset_cpus"], "CPUs", host)
    if options.get("cpuset_mems"):
        cpu["mems"] = _list("cpuset-mems", options["cpuset_mems"], "memory nodes", host)
    return cpu


def _list(option: str, text: str, what: str, host: Host) -> str:
    """Checks a list such as `0-3,7` against what the host has (cpuset(7), "List format")."""
    from crate.plan.number_list import parse_number_list

    wanted = parse_number_list(text)
    if wanted is None:
        raise UsageError(f"invalid value {text} for {option.replace('-', ' ')}", "write it as 0-3,7")
    path = "/sys/devices/system/cpu/online" if option == "cpuset-cpus" else "/sys/devices/system/node/online"
    try:
        there = host.read_text(path).strip()
    except OSError:
        return text
    available = parse_number_list(there)
    if available is not None and not wanted <= available:
        raise UsageError(f"requested {what} are not available - requested {text}, available: {there}")
    return text


def _pids(options: Options, host: Host, settings: Settings) -> int:
    from crate.plan.quantities import integer

    given = options.get("pids_limit")
    if given is not None:
        return max(integer("pids-limit", given), 0)
    limit = max(int(settings.get("containers.pids_limit")), 0)
    return limit if limit and host.can_limit("pids") else 0  # nobody asked: no reason to fail where it cannot be


def _add_file(resources: LinuxResources, entry: str) -> None:
    """`--cgroup-conf KEY=VALUE`: a file of cgroup v2; `hugetlb.SIZE.max` is for both versions."""
    name, equals, value = entry.partition("=")
    if not equals or "." not in name or "/" in name:
        raise UsageError(f'invalid --cgroup-conf "{entry}"', "write it as CONTROLLER.FILE=VALUE")
    controller, _, rest = name.partition(".")
    size, _, file = rest.partition(".")
    if controller == "hugetlb" and file in ("max", "limit_in_bytes"):
        from crate.plan.quantities import size_bytes

        limit = (1 << 63) - 1 if value == "max" else size_bytes("cgroup-conf", value)
        resources.setdefault("hugepageLimits", []).append({"pageSize": size, "limit": limit})
    else:
        resources.setdefault("unified", {})[name] = value
