"""Files of containers: `cp` of a large one both ways, `commit` of what a container wrote."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench.timing import Case, Row, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.engines import Engine
    from bench.stage import Stage

SIZE_MIB = 200


def _start(stage: Stage) -> str:
    """A container that runs, in each engine; gives the path of a file of 200 MB that does not compress."""
    for engine in stage.engines:
        engine("run", "-d", "--name", "bench", "--network", "none", stage.busybox, "sleep", "10000")
    large = stage.place / "large"
    large.write_bytes(os.urandom(SIZE_MIB << 20))
    return str(large)


def copying(stage: Stage, rounds: int) -> Iterator[Row]:
    """`cp` into a container that runs, and out of it; the copy is not there before."""
    large = _start(stage)

    def into(engine: Engine) -> Case:
        command = engine.command("cp", large, "bench:/large")
        return Case(
            engine.name, command, engine.environment, before=lambda: engine("exec", "bench", "rm", "-f", "/large")
        )

    yield from alternate(f"cp of {SIZE_MIB} MB into a container", [into(one) for one in stage.engines], rounds)

    def out(engine: Engine) -> Case:
        copy = stage.place / "copy"
        command = engine.command("cp", "bench:/large", str(copy))
        return Case(engine.name, command, engine.environment, before=lambda: copy.unlink(missing_ok=True))

    yield from alternate(f"cp of {SIZE_MIB} MB out of it", [out(one) for one in stage.engines], rounds)
    _clear(stage)


def committing(stage: Stage, rounds: int) -> Iterator[Row]:
    """`commit`; crate's answer means that the image is on the disk (syncfs), podman's does not."""
    large = _start(stage)

    def case(engine: Engine) -> Case:
        command = engine.command("commit", "--quiet", "bench", "committed")
        return Case(engine.name, command, engine.environment, before=os.sync, after=lambda: engine("rmi", "committed"))

    yield from alternate("commit of a few files", [case(one) for one in stage.engines], rounds)
    for engine in stage.engines:
        engine("cp", large, "bench:/large")
    yield from alternate(f"commit of {SIZE_MIB} MB", [case(one) for one in stage.engines], rounds)
    _clear(stage)


def _clear(stage: Stage) -> None:
    for engine in stage.engines:
        engine.clear()
    for name in ("large", "copy"):
        (stage.place / name).unlink(missing_ok=True)
