"""What hot commands really import, from their start to the end of their containers (`pytest -rP` shows it)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from abilities import CHECKOUT
from program import Crate
from unit.cli.test_import_closure import FORBIDDEN

pytestmark = pytest.mark.requires("root", "overlay", "busybox", "nft")

IMAGE = "crate.local/busybox"


def imported(crate: Crate, *arguments: str) -> set[str]:
    """Modules that the command and the processes it forks import; those of a lean monitor are not among them."""
    start = [sys.executable, "-I", "-S", "-X", "importtime", str(CHECKOUT / "src/crate/__main__.py")]
    roots = ["--root", str(crate.root), "--runroot", str(crate.runroot), "--config", str(crate.config)]
    done = subprocess.run(
        [*start, *roots, *arguments], check=False, env=crate.environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines} - {"imported package"}


@pytest.fixture
def ready(crate: Crate) -> Crate:
    """With the image, a running container and all caches filled."""
    crate.ok("run", "-d", "--name", "one", "--network", "none", IMAGE, "sleep", "1000")
    crate.ok("run", "--rm", IMAGE, "true")
    return crate


@pytest.mark.parametrize(
    "line",
    [
        f"run --rm --network none {IMAGE} true",
        f"run --rm {IMAGE} true",
        f"run -d {IMAGE} true",
        f"create {IMAGE}",
        "exec one true",
        "ps",
        "ps --format {{.Names}}",
        "images",
        "logs one",
        "inspect one",
        "kill -s CONT one",
        "stop -t 0 one",
        "rm -f -t 0 one",
    ],
)
def test_nothing_slow_is_imported(ready: Crate, line: str) -> None:
    modules = imported(ready, *line.split())
    print(f"crate {line}: {len(modules)} modules\n" + "\n".join(sorted(modules)))
    assert not {name.partition(".")[0] for name in modules} & FORBIDDEN
    # what an ordinary user with a single id needs is of no use to others
    assert not modules & {"crate.runtime.owners", "crate.runtime.seccomp_agent", "crate.linux.seccomp_notify"}
