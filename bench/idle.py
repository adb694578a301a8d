"""What idle containers cost: a hundred started in a loop, and the memory of the engine's own processes."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.quiet import processes
from bench.timing import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.engines import Engine
    from bench.stage import Stage

MANY = 100
SETTLE_SECONDS = 2.0  # monitors re-execute themselves after the answer


def hundred(stage: Stage, rounds: int) -> Iterator[Row]:
    """A hundred detached containers, with Private_Dirty of each and the slope of Pss and of the machine's memory."""
    for engine in stage.engines:
        begin = time.perf_counter()
        used = [_used_mib()]
        shares = []
        for number in range(MANY):
            engine("run", "-d", stage.busybox, "sleep", "10000")
            if number + 1 in (10, MANY):
                elapsed = time.perf_counter() - begin
                time.sleep(SETTLE_SECONDS)
                own = _own(engine)
                used.append(_used_mib())
                shares.append(sum(_memory(pid, "Pss") for pid in own))
                dirty = [_memory(pid, "Private_Dirty") for pid in own]
        running = len(engine("ps", "--quiet").split())
        yield Row(f"{MANY} containers up in a loop", engine.name, [elapsed], "s")
        yield Row(f"running of {MANY}", engine.name, [running], "containers")
        yield Row("own processes a container", engine.name, [len(own) / MANY], "")
        yield Row("Private_Dirty of an own process", engine.name, dirty, "MiB")
        yield Row("Pss of own processes, slope", engine.name, [(shares[1] - shares[0]) / (MANY - 10)], "MiB each")
        yield Row("memory of the machine, slope", engine.name, [(used[2] - used[1]) / (MANY - 10)], "MiB each")
        engine.clear()


def _own(engine: Engine) -> list[int]:
    """The engine's processes outside of its containers: those in our pid namespace."""
    ours = os.stat("/proc/self/ns/pid").st_ino
    found = []
    for pid in processes(engine):
        try:
            if os.stat(f"/proc/{pid}/ns/pid").st_ino == ours:
                found.append(pid)
        except OSError:
            pass
    return found


def _memory(pid: int, field: str) -> float:
    """A field of smaps_rollup in MiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def _used_mib() -> float:
    """Memory of the machine that is neither free nor to be had back, as the median of some looks."""
    looks = []
    for _ in range(5):
        fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        looks.append((int(fields["MemTotal"].split()[0]) - int(fields["MemAvailable"].split()[0])) / 1024)
        time.sleep(0.1)
    return statistics.median(looks)
