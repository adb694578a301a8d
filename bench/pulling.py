"""Pulling Debian (120 MB, one layer) from a registry on loopback: downloaded, checked, unpacked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench.engines import crate, podman
from bench.timing import Case, Row, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.engines import Engine
    from bench.stage import Stage


def pulling(stage: Stage, rounds: int) -> Iterator[Row]:
    """To the answer; crate's answer means that the image is on the disk (syncfs), podman's does not.

    Each pull goes into a store of its own and nothing is removed before the end: ext4 goes round the inodes that were
    freed in the last minutes, one by one, which slows down whoever makes many files next.
    """
    place = stage.place / "pulling"
    place.mkdir()
    run = stage.run / "pulling"
    run.mkdir()

    def case(engine: Engine, *options: str) -> Case:
        command = engine.command("pull", "--quiet", *options, stage.debian)
        turn = 0

        def fresh() -> None:
            nonlocal turn
            turn += 1
            for directory in (place, run):
                if (directory / engine.name).exists():
                    (directory / engine.name).rename(directory / f"{engine.name}.{turn}")
            engine("images")  # makes the store
            os.sync()

        return Case(engine.name, command, engine.environment, before=fresh)

    cases = [case(crate(place, run, stage.crate.words[0])), case(podman(place, run), "--tls-verify=false")]
    yield from alternate("pull debian:bookworm", cases, rounds)
