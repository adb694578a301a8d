"""The tests of root's crate once more, by an ordinary user that is made for it: tests/as_user.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from abilities import CHECKOUT

SECONDS = 1800

pytestmark = [pytest.mark.requires("root", "unprivileged-user"), pytest.mark.timeout(SECONDS + 60)]


@pytest.mark.parametrize(
    ("words", "least"),
    [
        pytest.param(("cli/test_run_process.py",), 10, id="slice"),
        pytest.param(("--inside", "storage/test_layers.py"), 5, id="slice-inside"),
        pytest.param(("cli",), 500, id="cli", marks=pytest.mark.slow),
        pytest.param(("build", "security", "reliability", "net"), 100, id="others", marks=pytest.mark.slow),
        pytest.param(("--inside", "storage", "runtime", "registry"), 300, id="inside", marks=pytest.mark.slow),
    ],
)
def test_as_an_ordinary_user(words: tuple[str, ...], least: int) -> None:
    inside = [word for word in words if word.startswith("--")]
    places = [f"tests/{word}" for word in words if not word.startswith("--")]
    command = [sys.executable, str(CHECKOUT / "tests/as_user.py"), *inside, "-q", *places]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command, check=False, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    found = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0 and found and int(found[1]) >= least, done.stdout + done.stderr
