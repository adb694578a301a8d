"""Builds: twenty steps cold and warm, twenty thousand small files, two heavy stages side by side and in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.engines import buildah
from bench.timing import Case, Row, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.engines import Engine
    from bench.stage import Stage

STEPS, DIRECTORIES, FILES = 20, 200, 100
_HEAVY = "i=0; while [ $i -lt 3000000 ]; do i=$((i + 1)); done; echo $i > /{0}"


def steps(stage: Stage, rounds: int) -> Iterator[Row]:
    """Twenty steps, half of them RUN: without the cache, and with all of it; beside buildah too, in rows of its own."""
    place = _context(stage, "steps", f"FROM {stage.busybox}\n" + _twenty())
    (place / "file").write_text("content\n")
    options = ("build", "-q", "--layers", "--network", "none", "-t", "bench-steps")
    for title, more in (("build of 20 steps, cold", ("--no-cache",)), ("build of 20 steps, warm", ())):
        for engine in stage.engines:
            engine(*options, str(place))  # the cache is filled, and the base image there
        yield from alternate(title, [_case(engine, *options, *more, str(place)) for engine in stage.engines], rounds)
    yield from _beside_buildah(stage, place, options, rounds)


def _beside_buildah(stage: Stage, place: Path, options: tuple[str, ...], rounds: int) -> Iterator[Row]:
    """buildah's figures stand in podman's column, whose name the title takes back. Its time grows with the number of
    images in its store, which each cold round adds twenty to: the warm ones come first.
    """
    peer = buildah(stage.place, stage.run)
    words = {"crate": options, "buildah": ("bud", "--tls-verify=false", *options[1:])}
    for title, more in (("warm", ()), ("cold", ("--no-cache",))):
        engines = [stage.crate, peer]
        for engine in engines:
            engine(*words[engine.name], str(place))
        cases = [_case(engine, *words[engine.name], *more, str(place)) for engine in engines]
        for row in alternate(f"build of 20 steps, {title}, beside buildah instead of podman", cases, rounds):
            yield row._replace(engine={"buildah": "podman"}.get(row.engine, row.engine))


def _twenty() -> str:
    """RUN, COPY, ENV and LABEL by turns."""
    lines = []
    for number in range(STEPS // 4):
        lines += [f"RUN echo {number} > /run{number}", f"COPY file /copied{number}", f"ENV E{number}=1"]
        lines.append(f"RUN cat /copied{number} > /again{number}")
    return "\n".join(lines) + "\n"


def many_files(stage: Stage, rounds: int) -> Iterator[Row]:
    """COPY of 20,000 small files, without the cache."""
    place = _context(stage, "many", "FROM scratch\nCOPY files /files\n")
    for directory in range(DIRECTORIES):
        (place / "files" / str(directory)).mkdir(parents=True)
        for number in range(FILES):
            (place / "files" / str(directory) / str(number)).write_text(f"{directory} {number}\n" * 20)
    options = ("build", "-q", "--layers", "--no-cache", "-t", "bench-many", str(place))
    yield from alternate("COPY of 20,000 files", [_case(engine, *options) for engine in stage.engines], rounds)


def stages(stage: Stage, rounds: int) -> Iterator[Row]:
    """Two stages that compute for a while and do not need each other: as they come, and one after the other.

    podman's own default is one after the other; it gets --jobs, too. Some 10 s a build: take few rounds.
    """
    heavy = "".join(f"FROM {stage.busybox} AS {name}\nRUN {_HEAVY.format(name)}\n" for name in ("one", "two"))
    copies = "FROM scratch\nCOPY --from=one /one /\nCOPY --from=two /two /\n"
    place = _context(stage, "stages", heavy + copies)
    options = ("build", "-q", "--layers", "--no-cache", "--network", "none", "-t", "bench-stages")
    orders = {"side by side": "2", "in turn": "1"}
    cases = [
        Case(f"{engine.name} {order}", engine.command(*options, "--jobs", jobs, str(place)), engine.environment)
        for engine in stage.engines
        for order, jobs in orders.items()
    ]
    values = {row.engine: row.values for row in alternate("two stages", cases, rounds)}
    for order in orders:
        yield from (Row(f"two stages {order}", e.name, values[f"{e.name} {order}"]) for e in stage.engines)
    for engine in stage.engines:  # round by round, for the machine's speed changes between them
        pairs = zip(values[f"{engine.name} in turn"], values[f"{engine.name} side by side"], strict=True)
        yield Row("two stages, in turn : side by side", engine.name, [turn / side for turn, side in pairs], "times")


def _context(stage: Stage, name: str, dockerfile: str) -> Path:
    place: Path = stage.place / f"build-{name}"
    place.mkdir()
    (place / "Dockerfile").write_text(dockerfile)
    return place


def _case(engine: Engine, *arguments: str) -> Case:
    return Case(engine.name, engine.command(*arguments), engine.environment)
