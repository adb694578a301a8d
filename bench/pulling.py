"""Pulling Debian (120 MB, one layer) from a registry on loopback: downloaded, checked, unpacked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench.timing import Case, Row, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.engines import Engine
    from bench.stage import Stage


def pulling(stage: Stage, rounds: int) -> Iterator[Row]:
    """To the answer; crate's answer means that the image is on the disk (syncfs), podman's does not."""

    def case(engine: Engine, *options: str) -> Case:
        command = engine.command("pull", "--quiet", *options, stage.debian)
        return Case(engine.name, command, engine.environment, before=os.sync, after=lambda: remove(engine))

    def remove(engine: Engine) -> None:
        engine("rmi", stage.debian)
        os.sync()

    cases = [case(stage.crate), case(stage.podman, "--tls-verify=false")]
    yield from alternate("pull debian:bookworm", cases, rounds)
