"""When nothing of an engine is left: no process, no mount, no interface; nothing is won by hiding work."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.timing import Row
from leftovers import processes_naming

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.engines import Engine

LIMIT_SECONDS = 60.0


def processes(engine: Engine) -> list[int]:
    """The processes of an engine and its containers."""
    return processes_naming([os.fsencode(trace) for trace in engine.traces])


def traces(engine: Engine) -> set[str]:
    """Everything that shows that an engine did something: processes, mounts, ends of veths."""
    found = {f"process {pid}" for pid in processes(engine)}
    points = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    found |= {f"mount {point}" for point in points if any(point.startswith(f"{trace}/") for trace in engine.traces)}
    found -= {f"mount {trace}/overlay" for trace in engine.traces}  # podman's store itself, which comes and goes
    members = Path("/sys/class/net", engine.bridge, "brif")
    return found | {f"link {name}" for name in (os.listdir(members) if members.is_dir() else ())}


def wait_until_quiet(engine: Engine, allowed: set[str]) -> None:
    """Waits until nothing but `allowed` is there. RuntimeError with the rest after a minute."""
    deadline = time.perf_counter() + LIMIT_SECONDS
    while left := traces(engine) - allowed:
        if time.perf_counter() > deadline:
            raise RuntimeError(f"{engine.name} is not quiet: {left}")
        time.sleep(0.001)


def time_to_quiet(topic: str, engine: Engine, act: Callable[[], object], rounds: int) -> Row:
    """From the start of an act to quiet. Measured by itself: looking costs 4 ms of one processor each time."""
    act()
    time.sleep(0.5)
    allowed = traces(engine)
    values = []
    for _ in range(rounds):
        begin = time.perf_counter()
        act()
        wait_until_quiet(engine, allowed)
        values.append((time.perf_counter() - begin) * 1000)
    return Row(f"{topic}, to quiet", engine.name, values)
