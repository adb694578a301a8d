"""What a control group has used: one shape for v1, v2 and mixtures, each figure from where the kernel has it.

Names end in their unit; a figure that this kernel does not have is None.
"""

from __future__ import annotations

import os

from crate.cgroup.group import Cgroup, keyed
from crate.cgroup.hierarchy import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNLIMITED = 0x7FFFFFFFFFFFF000
"""What v1 shows for a limit of memory that was never set: the greatest page count of a signed 64 bit number."""


def stats(group: Cgroup) -> dict[str, Any]:
    """The statistics of a group, by kind: cpu, memory, pids, io, hugetlb, rdma, oom. Empty kinds are {}."""
    return {
        "cpu": cpu(group),
        "memory": memory(group),
        "pids": pids(group),
        "io": io(group),
        "hugetlb": hugetlb(group),
        "oom": oom(group),
    }


def number(path: str) -> int | None:
    """The number in a file; None when there is no file or it says "max"."""
    text = read(path)
    return int(text) if text.isdigit() else None


def cpu(group: Cgroup) -> dict[str, Any]:
    """usage_ns, user_ns, system_ns, per_cpu_ns (v1 only, a list), periods, throttled_periods, throttled_ns.

    The periods count those of the quota in which the group wanted to run.
    """
    found: dict[str, Any] = {}
    if accounting := group.groups.get("cpuacct"):
        found["usage_ns"] = number(accounting + "/cpuacct.usage")
        found["user_ns"] = number(accounting + "/cpuacct.usage_user")
        found["system_ns"] = number(accounting + "/cpuacct.usage_sys")
        found["per_cpu_ns"] = [int(word) for word in read(accounting + "/cpuacct.usage_percpu").split()]
    elif group.unified:
        # Every v2 group counts this much, with the cpu controller or without.
        used = keyed(group.unified + "/cpu.stat")
        for key in ("usage", "user", "system"):
            found[key + "_ns"] = used.get(key + "_usec", 0) * 1000
        found["per_cpu_ns"] = None
    if directory := group.directory("cpu"):
        held = keyed(directory + "/cpu.stat")
        found["periods"] = held.get("nr_periods")
        found["throttled_periods"] = held.get("nr_throttled")
        found["throttled_ns"] = held.get("throttled_time", held.get("throttled_usec", 0) * 1000)
    return found


def memory(group: Cgroup) -> dict[str, Any]:
    """usage_bytes, max_usage_bytes, limit_bytes (None: no limit), swap_bytes, working_set_bytes, and the kernel's stat.

    The working set is what docker's `stats` shows as used: without the file pages that were not touched lately.
    """
    if directory := group.groups.get("memory"):
        usage, swap = number(directory + "/memory.usage_in_bytes"), number(directory + "/memory.memsw.usage_in_bytes")
        limit = number(directory + "/memory.limit_in_bytes")
        stat = keyed(directory + "/memory.stat")
        idle = stat.get("total_inactive_file", 0)
        found: dict[str, Any] = {
            "max_usage_bytes": number(directory + "/memory.max_usage_in_bytes"),
            "limit_bytes": None if limit is None or limit >= UNLIMITED else limit,
            "swap_bytes": None if swap is None or usage is None else max(swap - usage, 0),
        }
    elif group.unified and os.path.exists(group.unified + "/memory.current"):
        directory = group.unified
        usage, stat = number(directory + "/memory.current"), keyed(directory + "/memory.stat")
        idle = stat.get("inactive_file", 0)
        found = {
            "max_usage_bytes": number(directory + "/memory.peak"),  # from 5.19
            "limit_bytes": number(directory + "/memory.max"),
            "swap_bytes": number(directory + "/memory.swap.current"),
        }
    else:
        return {}
    usage = usage or 0
    return {"usage_bytes": usage, "working_set_bytes": usage - idle if idle < usage else usage, **found, "stat": stat}


def pids(group: Cgroup) -> dict[str, Any]:
    """current and limit (None: no limit), both counting threads."""
    directory = group.directory("pids")
    if directory is None or not os.path.exists(directory + "/pids.current"):
        return {}
    return {"current": number(directory + "/pids.current"), "limit": number(directory + "/pids.max")}


def io(group: Cgroup) -> dict[str, Any]:
    """read_bytes, write_bytes, read_ops, write_ops, and `devices`: the same for each "major:minor".

    v1 counts only in the blkio group, which is made when a limit on it is asked for. Without one the figures are the
    sum over the processes that live now (bytes only), and `devices` is {}.
    """
    devices: dict[str, dict[str, int]] = {}
    if directory := group.groups.get("blkio"):
        for kind, file in (("bytes", "io_service_bytes_recursive"), ("ops", "io_serviced_recursive")):
            for line in read(f"{directory}/blkio.throttle.{file}").split("\n"):
                words = line.split(" ")
                if len(words) == 3 and words[1] in ("Read", "Write"):
                    devices.setdefault(words[0], {})[f"{words[1].lower()}_{kind}"] = int(words[2])
    elif group.unified and os.path.exists(group.unified + "/io.stat"):
        names = {"rbytes": "read_bytes", "wbytes": "write_bytes", "rios": "read_ops", "wios": "write_ops"}
        for line in read(group.unified + "/io.stat").split("\n"):
            device, *pairs = line.split(" ")
            for pair in pairs:
                key, _, value = pair.partition("=")
                if key in names and value.isdigit():
                    devices.setdefault(device, {})[names[key]] = int(value)
    else:
        return {**_io_of_processes(group), "read_ops": None, "write_ops": None, "devices": {}}
    keys = ("read_bytes", "write_bytes", "read_ops", "write_ops")
    return {**{key: sum(each.get(key, 0) for each in devices.values()) for key in keys}, "devices": devices}


def _io_of_processes(group: Cgroup) -> dict[str, int]:
    read_bytes = write_bytes = 0
    for pid in group.pids():
        for line in read(f"/proc/{pid}/io").split("\n"):
            key, _, value = line.partition(": ")
            if key == "read_bytes":
                read_bytes += int(value)
            elif key == "write_bytes":
                write_bytes += int(value)
    return {"read_bytes": read_bytes, "write_bytes": write_bytes}


def hugetlb(group: Cgroup) -> dict[str, Any]:
    """page size ("2MB") → usage_bytes, max_usage_bytes (v1 only), limit_bytes, failures."""
    found: dict[str, Any] = {}
    v1_directory = group.groups.get("hugetlb")
    directory = v1_directory or group.unified
    if directory is None:
        return found
    last = "usage_in_bytes" if v1_directory else "current"
    try:
        names = os.listdir(directory)
    except OSError:
        return found
    for name in names:
        words = name.split(".")
        if len(words) != 3 or words[0] != "hugetlb" or words[2] != last:
            continue
        prefix = f"{directory}/hugetlb.{words[1]}"
        if v1_directory:
            found[words[1]] = {
                "usage_bytes": number(prefix + ".usage_in_bytes"),
                "max_usage_bytes": number(prefix + ".max_usage_in_bytes"),
                "limit_bytes": number(prefix + ".limit_in_bytes"),
                "failures": number(prefix + ".failcnt"),
            }
        else:
            found[words[1]] = {
                "usage_bytes": number(prefix + ".current"),
                "max_usage_bytes": None,
                "limit_bytes": number(prefix + ".max"),
                "failures": keyed(prefix + ".events").get("max"),
            }
    return found


def oom(group: Cgroup) -> dict[str, Any]:
    """oom_kill: processes killed for want of memory; oom: how often the limit left no way out (None on v1);
    limit_hits: how often the limit was met, reclaim having helped."""
    if directory := group.groups.get("memory"):
        hits = sum(number(f"{directory}/memory.{kind}failcnt") or 0 for kind in ("", "memsw."))
        return {"oom_kill": group.oom_kills(), "oom": None, "limit_hits": hits}
    if group.unified and os.path.exists(group.unified + "/memory.events"):
        events = keyed(group.unified + "/memory.events")
        return {"oom_kill": events.get("oom_kill", 0), "oom": events.get("oom", 0), "limit_hits": events.get("max", 0)}
    return {}


def host_cpu(path: str = "/proc/stat") -> tuple[int, int]:
    """(CPU time of the whole host in nanoseconds, idle included; number of CPUs): what percentages are taken of."""
    total = cpus = 0
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    for line in read(path).split("\n"):
        words = line.split()
        if not words or not words[0].startswith("cpu"):
            break
        if words[0] == "cpu":
            total = sum(int(word) for word in words[1:8]) * tick  # guest time is in user time already
        else:
            cpus += 1
    return total, cpus
