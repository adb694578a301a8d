"""What a container logs: how long it takes to write it, and `logs` to show it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.timing import Case, Row, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.engines import Engine
    from bench.stage import Stage

LINES = 1_000_000
WRITING = f"a container writes {LINES:,} lines of 88 bytes"
#: The container itself reads the clock, in hundredths of a second: what it waits for is its log.
SCRIPT = f"""
cut -d ' ' -f 1 /proc/uptime > /begin
yes {"x" * 87} | head -n {LINES}
cut -d ' ' -f 1 /proc/uptime > /end
exec sleep 1000
"""


def reading(stage: Stage, rounds: int) -> Iterator[Row]:
    """`logs` of a million short lines, of a container that has ended."""
    for engine in stage.engines:
        engine("run", "--name", "bench", "--network", "none", "--log-opt", "max-size=1g", "--attach", "stderr",
               stage.busybox, "seq", "1", str(LINES))  # fmt: skip
    cases = [Case(engine.name, engine.command("logs", "bench"), engine.environment) for engine in stage.engines]
    yield from alternate(f"logs of {LINES:,} lines", cases, rounds)
    for engine in stage.engines:
        engine.clear()


def writing(stage: Stage, rounds: int) -> Iterator[Row]:
    """The container's own time for a million lines."""
    values: dict[str, list[float]] = {engine.name: [] for engine in stage.engines}
    for number in range(rounds + 1):
        turn = number % len(stage.engines)
        for engine in [*stage.engines[turn:], *stage.engines[:turn]]:
            milliseconds = _written(engine, stage.busybox)
            if number:
                values[engine.name].append(milliseconds)
    for engine in stage.engines:
        yield Row(WRITING, engine.name, values[engine.name])


def _written(engine: Engine, image: str) -> float:
    engine("run", "-d", "--name", "bench", "--network", "none", "--log-opt", "max-size=1g", image, "sh", "-c", SCRIPT)
    shown = ""
    while shown.count("\n") < 1:
        time.sleep(0.2)
        shown = engine("exec", "bench", "sh", "-c", "cat /begin; test -e /end && cat /end; true")
    engine("rm", "--force", "--time", "0", "bench")
    begin, end = map(float, shown.split())
    return (end - begin) * 1000
