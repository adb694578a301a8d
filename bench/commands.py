"""Commands beside containers: `exec`, `ps`, `inspect`, `stop` and `rm`, and what looks at one or changes it."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING

from bench.timing import Case, Row, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.engines import Engine
    from bench.stage import Stage

CONTAINERS = 50
STOPPED = 500
OBEDIENT = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.02; done")


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


def among_the_stopped(stage: Stage, rounds: int) -> Iterator[Row]:
    """`ps -a`, `ps` and `inspect` where five hundred containers have ended and one runs."""
    for engine in stage.engines:
        for _ in range(STOPPED):
            engine("run", "--network", "none", stage.busybox, "true")
        engine("run", "-d", "--name", "bench", "--network", "none", stage.busybox, "sleep", "10000")
    for words in (["ps", "-a"], ["ps"], ["inspect", "bench"], ["inspect", "--format", "{{.State.Pid}}", "bench"]):
        cases = [Case(engine.name, engine.command(*words), engine.environment) for engine in stage.engines]
        yield from alternate(f"{' '.join(words)} among {STOPPED} stopped", cases, rounds)
    for engine in stage.engines:
        engine.clear()


def stopping(stage: Stage, rounds: int) -> Iterator[Row]:
    """`stop` and then `rm` of a container that ends when it is asked to."""

    def case(engine: Engine) -> Case:
        def run() -> None:
            engine("run", "-d", "--name", "bench", "--network", "none", stage.busybox, *OBEDIENT)
            time.sleep(0.5)  # it has set its trap, and its monitor has settled

        script = f"{shlex.join(engine.command('stop', 'bench'))} && {shlex.join(engine.command('rm', 'bench'))}"
        return Case(engine.name, ["sh", "-c", script], engine.environment, before=run)

    yield from alternate("stop and rm", [case(engine) for engine in stage.engines], rounds)


def beside(stage: Stage, rounds: int) -> Iterator[Row]:
    """What looks at a running container or changes it."""
    for engine in stage.engines:
        engine("run", "-d", "--name", "bench", "--network", "none", stage.busybox, "sleep", "10000")
    for title, words in {
        "pause and unpause": (["pause", "bench"], ["unpause", "bench"]),
        "update --memory": (["update", "--memory", "64m", "bench"],),
        "top": (["top", "bench", "pid", "user", "args"],),
        "stats --no-stream": (["stats", "--no-stream", "bench"],),
    }.items():
        cases = []
        for engine in stage.engines:
            script = " && ".join(shlex.join(engine.command(*command)) for command in words)
            cases.append(Case(engine.name, ["sh", "-c", script], engine.environment))
        yield from alternate(title, cases, rounds)
    for engine in stage.engines:
        engine.clear()


def helping(stage: Stage, rounds: int) -> Iterator[Row]:
    """`run --help`."""
    cases = [Case(engine.name, engine.command("run", "--help"), engine.environment) for engine in stage.engines]
    yield from alternate("run --help", cases, rounds)
