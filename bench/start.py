"""Starting containers: `run --rm` without and with the network, `run -d`; bare runtimes beside them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.quiet import time_to_quiet
from bench.timing import Case, Row, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.engines import Engine
    from bench.stage import Stage

NO_NETWORK = "run --rm --network none IMAGE true"
BRIDGE = "run --rm IMAGE true"
DETACHED = "run -d --network none IMAGE sleep"
REMOVE = "rm -f of a running container"


def without_network(stage: Stage, rounds: int) -> Iterator[Row]:
    """The least that an engine does, beside crun and runc with their bundle ready."""
    arguments = ["run", "--rm", "--network", "none", stage.busybox, "true"]
    cases = [Case(engine.name, engine.command(*arguments), engine.environment) for engine in stage.engines]
    for runtime in ("crun", "runc"):
        command = [
            runtime,
            "--root",
            str(stage.run / runtime),
            "run",
            "--bundle",
            str(stage.bundle),
            f"bench-{runtime}",
        ]
        cases.append(Case(runtime, command, stage.podman.environment))
    yield from alternate(NO_NETWORK, cases, rounds)
    for engine in stage.engines:
        yield time_to_quiet(NO_NETWORK, engine, partial(engine, *arguments), rounds)


def on_the_bridge(stage: Stage, rounds: int) -> Iterator[Row]:
    """With veth, address and firewall."""
    arguments = ["run", "--rm", stage.busybox, "true"]
    cases = [Case(engine.name, engine.command(*arguments), engine.environment) for engine in stage.engines]
    yield from alternate(BRIDGE, cases, rounds)
    for engine in stage.engines:
        yield time_to_quiet(BRIDGE, engine, partial(engine, *arguments), rounds)


def detached(stage: Stage, rounds: int) -> Iterator[Row]:
    """Until the id is printed; the container is removed after each turn."""

    def case(engine: Engine) -> Case:
        command = engine.command("run", "-d", "--name", "bench", "--network", "none", stage.busybox, "sleep", "1000")
        return Case(engine.name, command, engine.environment, after=lambda: remove(engine))

    def remove(engine: Engine) -> None:
        engine("rm", "--force", "--time", "0", "bench")

    yield from alternate(DETACHED, [case(engine) for engine in stage.engines], rounds)


def removal(stage: Stage, rounds: int) -> Iterator[Row]:
    """`rm -f -t 0`, to the answer and to quiet."""
    run = ["run", "-d", "--name", "bench", "--network", "none", stage.busybox, "sleep", "1000"]
    rm = ["rm", "--force", "--time", "0", "bench"]

    def both(engine: Engine) -> None:
        engine(*run)
        engine(*rm)

    cases = [
        Case(engine.name, engine.command(*rm), engine.environment, before=partial(engine, *run))
        for engine in stage.engines
    ]
    yield from alternate(REMOVE, cases, rounds)
    for engine in stage.engines:
        yield time_to_quiet(f"run -d and {REMOVE}", engine, partial(both, engine), rounds)
