"""Moving Debian with nginx (two layers, 160 MB): pulled, saved, loaded, pushed through a registry on loopback."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from bench.engines import crate, podman
from bench.timing import Case, Row, alternate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.engines import Engine
    from bench.stage import Stage

_PLAIN = {"podman": ["--tls-verify=false"]}
_COMMITTED = "localhost/committed"


def moving(stage: Stage, rounds: int) -> Iterator[Row]:
    """To the answer. crate's pull and load are on the disk by then (syncfs), podman's are not.

    A pull or load goes into a store of its own each time (see bench.pulling); what was pushed is forgotten by the
    registry before, so that all of it is sent. `push` of what was committed compresses, with nothing kept from before.
    """
    place, run = stage.place / "moving", stage.run / "moving"
    place.mkdir()
    run.mkdir()
    image = stage.registry.reference("nginx")
    engines = [crate(place, run, stage.crate.words[0]), podman(place, run)]
    archive = place / "image.tar"

    def each(topic: str, words: Callable[[Engine], list[str]], before: Callable[[Engine], object]) -> Iterator[Row]:
        def case(engine: Engine) -> Case:
            command = engine.command(*words(engine))
            return Case(engine.name, command, engine.environment, before=lambda: before(engine))

        yield from alternate(topic, [case(engine) for engine in engines], rounds)

    yield from each(
        "pull nginx", lambda engine: ["pull", "--quiet", *_PLAIN.get(engine.name, []), image], _fresh(place, run)
    )
    for engine in engines:  # the last pull is the image of what follows
        engine("run", "--name", "made", "--network", "none", image, "cp", "-r", "/usr/lib", "/copy")
        engine("commit", "--quiet", "made", _COMMITTED)
        engine("rm", "made")
    yield from each(
        "save nginx",
        lambda engine: ["save", "--quiet", "-o", str(place / f"{engine.name}.tar"), image],
        lambda engine: (place / f"{engine.name}.tar").unlink(missing_ok=True),
    )
    (place / "podman.tar").rename(archive)

    def forgotten(engine: Engine) -> None:
        repositories = stage.registry.storage / "docker/registry/v2/repositories"
        shutil.rmtree(repositories / "bench" / engine.name, ignore_errors=True)
        shutil.rmtree(place / "crate/images/compressed", ignore_errors=True)
        os.sync()

    def push(source: str) -> Callable[[Engine], list[str]]:
        return lambda engine: [
            "push", "--quiet", *_PLAIN.get(engine.name, []), source, stage.registry.reference(f"bench/{engine.name}")
        ]  # fmt: skip

    yield from each("push nginx", push(image), forgotten)
    yield from each("push nginx again", push(image), lambda _: None)
    yield from each("push what was committed", push(_COMMITTED), forgotten)
    yield from each("load nginx", lambda _: ["load", "--quiet", "-i", str(archive)], _fresh(place, run))


def _fresh(place: Path, run: Path) -> Callable[[Engine], None]:
    """Gives an engine an empty store, and lets the old one lie."""
    turns: dict[str, int] = {}

    def make(engine: Engine) -> None:
        turn = turns[engine.name] = turns.get(engine.name, 0) + 1
        for directory in (place, run):
            if (directory / engine.name).exists():
                (directory / engine.name).rename(directory / f"{engine.name}.{id(turns)}.{turn}")
        engine("images")
        os.sync()

    return make
