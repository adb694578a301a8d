"""What a container uses: one sample of its counters, and what two of them say of the time between."""

from __future__ import annotations

import os
import time

from crate import cgroup
from crate.cgroup.hierarchy import read
from crate.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine


class Sample:
    """The counters of a container at one moment; those of one that does not run are 0.

    Times in nanoseconds, amounts in bytes; `limit` is that of the host's memory where there is no lower one.
    `pids` is None where the kernel does not count them.
    """

    __slots__ = (
        "block_in", "block_out", "container", "cpu_ns", "limit", "memory", "net_in", "net_out", "per_cpu", "pids",
        "started_at", "system_ns", "time_ns",
    )  # fmt: skip

    def __init__(self, container: Container) -> None:
        self.container = container
        self.time_ns = time.time_ns()
        self.started_at = self.cpu_ns = self.system_ns = self.memory = self.limit = 0
        self.net_in = self.net_out = self.block_in = self.block_out = 0
        self.pids: int | None = 0
        self.per_cpu: list[int] = []


def sample(engine: Engine, container: Container) -> Sample:
    """The counters now. NotFoundError when the container is gone."""
    if not os.access(container.paths.record, os.F_OK):
        raise NotFoundError(f"no such container: {container.name}")
    found = Sample(container)
    state = container.state(engine, fresh=True)
    if state["status"] not in ("running", "paused"):
        return found
    found.started_at = state["started_at"]
    group = cgroup.from_record(state["cgroup"])
    if group.directories():
        _read_group(found, group)
    else:
        _read_processes(found, engine, container)
    memory = host_memory()
    found.limit = min(found.limit or memory, memory)
    found.net_in, found.net_out = _network(state["pid"])
    return found


def _read_group(found: Sample, group: cgroup.Cgroup) -> None:
    from crate.cgroup import stats

    cpu, memory, io = stats.cpu(group), stats.memory(group), stats.io(group)
    found.cpu_ns, found.system_ns = cpu.get("usage_ns") or 0, cpu.get("system_ns") or 0
    found.per_cpu = cpu.get("per_cpu_ns") or []
    found.memory, found.limit = memory.get("working_set_bytes") or 0, memory.get("limit_bytes") or 0
    found.block_in, found.block_out = io["read_bytes"], io["write_bytes"]
    found.pids = stats.pids(group).get("current")


def _read_processes(found: Sample, engine: Engine, container: Container) -> None:
    """Without a control group: the sum over the processes that live now, and over the children that they waited for."""
    from crate.engine.usage import processes
    from crate.errors import StateError

    try:
        living = processes.of(engine, container)
    except StateError:
        return
    tick = 1_000_000_000 // processes.TICKS
    found.system_ns = sum(process.number(15) + process.number(17) for process in living) * tick
    found.cpu_ns = found.system_ns + sum(process.number(14) + process.number(16) for process in living) * tick
    found.memory = sum(process.rss_kib for process in living) * 1024
    found.pids = sum(process.number(20) for process in living)
    for process in living:
        for line in read(f"/proc/{process.pid}/io").split("\n"):
            key, _, value = line.partition(": ")
            if key == "read_bytes":
                found.block_in += int(value)
            elif key == "write_bytes":
                found.block_out += int(value)


def _network(pid: int) -> tuple[int, int]:
    """(bytes received, sent) in the container's own network: not on lo, and not in the host's network."""
    try:
        if os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            return 0, 0
    except OSError:
        return 0, 0
    received = sent = 0
    for line in read(f"/proc/{pid}/net/dev").split("\n"):
        name, colon, numbers = line.partition(":")
        if colon and name.strip() != "lo":
            words = numbers.split()
            received, sent = received + int(words[0]), sent + int(words[8])
    return received, sent


def host_memory() -> int:
    """The memory of the host in bytes, as /proc/meminfo has it."""
    for line in read("/proc/meminfo").split("\n"):
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_percent(now: Sample, before: Sample | None = None) -> float:
    """Processor time since `before`, or since the start, in percent of the time: 100 is one processor."""
    if before and before.started_at == now.started_at:
        used, span = now.cpu_ns - before.cpu_ns, now.time_ns - before.time_ns
    else:
        used, span = now.cpu_ns, now.time_ns - now.started_at if now.started_at else 0
    return max(used, 0) / span * 100 if span > 0 else 0.0


def memory_percent(now: Sample) -> float:
    """Memory in use in percent of the limit."""
    return now.memory / now.limit * 100 if now.limit else 0.0


def described(now: Sample) -> dict[str, Any]:
    """The counters themselves, for templates that want them."""
    return {name: getattr(now, name) for name in Sample.__slots__ if name != "container"}
