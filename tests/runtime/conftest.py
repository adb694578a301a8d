"""Bundles, and two runtimes that run them: crate, and runc as the oracle that tests the tests."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from abilities import disk_directory, need
from bundles import Bundle, Ran

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from program import Crate


@pytest.fixture
def bundle() -> Iterator[Bundle]:
    """A bundle on a disk."""
    need("root", "runc", "busybox")
    place = Path(tempfile.mkdtemp(prefix="crate-bundle-", dir=disk_directory()))
    place.chmod(0o755)
    yield Bundle(place)
    shutil.rmtree(place)


@pytest.fixture(params=["crate", "runc"])
def run(request: pytest.FixtureRequest, bundle: Bundle, crate: Crate) -> Callable[[], Ran]:
    """Runs the bundle to its end by one of the runtimes."""
    name = f"t-{bundle.place.name}"
    command = ["runc", "run", "--bundle", str(bundle.place), name]
    if request.param == "crate":
        command = crate.command("runtime", "run", "--bundle", str(bundle.place), name)

    def go() -> Ran:
        bundle.write()
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
            env=crate.environment,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    return go


@pytest.fixture
def crate_run(bundle: Bundle, crate: Crate) -> Callable[[], Ran]:
    """Runs the bundle by crate alone: for what Debian's runc does not have."""

    def go() -> Ran:
        bundle.write()
        result = crate("runtime", "run", "--bundle", str(bundle.place), f"t-{bundle.place.name}")
        return Ran(result.status, result.out, result.err)

    return go
