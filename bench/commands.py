"""Commands beside a running container: `exec`, `ps` with fifty containers, `run --help`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.timing import Case, Row, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.stage import Stage

CONTAINERS = 50


def executing(stage: Stage, rounds: int) -> Iterator[Row]:
    """`exec C true`."""
    for engine in stage.engines:
        engine("run", "-d", "--name", "bench", "--network", "none", stage.busybox, "sleep", "10000")
    cases = [Case(engine.name, engine.command("exec", "bench", "true"), engine.environment) for engine in stage.engines]
    yield from alternate("exec C true", cases, rounds)
    for engine in stage.engines:
        engine.clear()


def listing(stage: Stage, rounds: int) -> Iterator[Row]:
    """`ps` while fifty containers run."""
    for engine in stage.engines:
        for _ in range(CONTAINERS):
            engine("run", "-d", "--network", "none", stage.busybox, "sleep", "10000")
    cases = [Case(engine.name, engine.command("ps"), engine.environment) for engine in stage.engines]
    yield from alternate(f"ps of {CONTAINERS}", cases, rounds)
    for engine in stage.engines:
        engine.clear()


def helping(stage: Stage, rounds: int) -> Iterator[Row]:
    """`run --help`."""
    cases = [Case(engine.name, engine.command("run", "--help"), engine.environment) for engine in stage.engines]
    yield from alternate("run --help", cases, rounds)
