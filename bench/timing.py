"""Timing of commands, turn by turn, so that whatever else the machine does hits all engines alike."""

from __future__ import annotations

import os
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: Before each turn, so that what the one before still had to clean up is not paid for by this one.
REST_SECONDS = 0.1


class Case(NamedTuple):
    """One command of one engine: `before` and `after` are not timed."""

    engine: str
    command: list[str]
    environment: Mapping[str, str]
    before: Callable[[], object] | None = None
    after: Callable[[], object] | None = None


class Row(NamedTuple):
    """What was measured of one engine in one topic, in `unit`."""

    topic: str
    engine: str
    values: list[float]
    unit: str = "ms"

    @property
    def median(self) -> float:
        return statistics.median(self.values)


def run_silently(command: list[str], environment: Mapping[str, str]) -> float:
    """Runs a command with /dev/null as its stdio and returns its wall time in milliseconds."""
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1)]
    begin = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, environment, file_actions=actions)
    _, status = os.waitpid(pid, 0)
    elapsed = time.perf_counter() - begin
    os.close(null)
    code = os.waitstatus_to_exitcode(status)
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with {code}")
    return elapsed * 1000


def alternate(topic: str, cases: Sequence[Case], rounds: int) -> list[Row]:
    """Each case once per round, the order rotating; one round before that does not count."""
    values: dict[str, list[float]] = {case.engine: [] for case in cases}
    for number in range(rounds + 1):
        turn = number % len(cases)
        for case in [*cases[turn:], *cases[:turn]]:
            if case.before:
                case.before()
            time.sleep(REST_SECONDS)
            elapsed = run_silently(case.command, case.environment)
            if case.after:
                case.after()
            if number:
                values[case.engine].append(elapsed)
    return [Row(topic, engine, found) for engine, found in values.items()]
