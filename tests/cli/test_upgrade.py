"""Containers that run while crate is replaced by a newer one, whose modules lie elsewhere."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from abilities import CHECKOUT
from program import until

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
#: ends with 3 when somebody says so, and says how often it has begun
PROGRAM = "echo begun >> /log; until [ -e /end ]; do sleep 0.05; done; rm /end; exit 3"

pytestmark = [pytest.mark.requires("overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def newer(package: Path) -> None:
    """A crate of tomorrow in its place: what serves and buries containers has moved."""
    made = package.with_name("made")
    shutil.copytree(CHECKOUT / "src/crate", made, ignore=shutil.ignore_patterns("__pycache__"))
    (made / "engine/monitor").rename(made / "engine/tomorrow")
    for path in made.rglob("*.py"):
        path.write_text(path.read_text().replace("crate.engine.monitor", "crate.engine.tomorrow"))
    package.rename(package.with_name("old"))
    made.rename(package)


def test_a_container_outlives_the_crate_that_started_it(
    crate: Crate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "crate"
    shutil.copytree(CHECKOUT / "src/crate", package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("CRATE_PROGRAM", f"{sys.executable} -I -S {package}/__main__.py")
    crate.ok("run", "-d", "--name", "again", "--restart", "on-failure:1", IMAGE, "sh", "-c", PROGRAM)
    crate.ok("run", "-d", "--name", "young", IMAGE, "sh", "-c", PROGRAM)
    monitor = crate.ok("inspect", "--format", "{{.State.ConmonPid}}", "again").strip()
    until(lambda: b"resume" in Path(f"/proc/{monitor}/cmdline").read_bytes(), what="the lean monitor")
    newer(package)
    crate.ok("exec", "young", "touch", "/end")
    crate.ok("exec", "again", "touch", "/end")
    state = "{{.RestartCount}} {{.State.Status}}"
    until(lambda: crate.ok("inspect", "--format", state, "again") == "1 running", what="the second begin")
    crate.ok("exec", "again", "touch", "/end")
    assert crate.ok("wait", "again", "young").split() == ["3", "3"]
    assert crate.inspect("young")["State"]["Error"] == ""
    crate.ok("start", "again")
    assert crate.ok("exec", "again", "wc", "-l", "/log").split()[0] == "3"
