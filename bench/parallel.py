"""Throughput: `run --rm` four at a time on however many processors there are."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from bench.quiet import traces, wait_until_quiet
from bench.timing import Row, run_silently

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.engines import Engine
    from bench.stage import Stage

AT_A_TIME = 4
BATCH = 40


def throughput(stage: Stage, rounds: int) -> Iterator[Row]:
    """Containers a second, to the last answer and to quiet. A round is a batch of forty."""
    batches = max(3, rounds // 4)
    answered: dict[str, list[float]] = {engine.name: [] for engine in stage.engines}
    quiet: dict[str, list[float]] = {engine.name: [] for engine in stage.engines}
    for number in range(batches + 1):
        for engine in stage.engines:
            allowed = traces(engine)
            begin = time.perf_counter()
            _batch(engine, stage.busybox)
            answer = time.perf_counter() - begin
            wait_until_quiet(engine, allowed)
            if number:
                answered[engine.name].append(BATCH / answer)
                quiet[engine.name].append(BATCH / (time.perf_counter() - begin))
    for topic, values in ((f"run --rm, {AT_A_TIME} at a time", answered), (f"{AT_A_TIME} at a time, to quiet", quiet)):
        for name, found in values.items():
            yield Row(topic, name, found, "per second")


def _batch(engine: Engine, image: str) -> None:
    """Threads that only wait: they cost nothing beside what they start."""
    command = engine.command("run", "--rm", "--network", "none", image, "true")
    failures: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(BATCH // AT_A_TIME):
                run_silently(command, engine.environment)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(AT_A_TIME)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
