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
    ("files", "least"),
    [
        pytest.param(("test_names.py", "test_run_process.py", "test_exit_status.py"), 20, id="slice"),
        pytest.param(("",), 500, id="all", marks=pytest.mark.slow),
    ],
)
def test_as_an_ordinary_user(files: tuple[str, ...], least: int) -> None:
    words = [sys.executable, str(CHECKOUT / "tests/as_user.py"), "-q", *(f"tests/cli/{file}" for file in files)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        words, check=False, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    found = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0 and found and int(found[1]) >= least, done.stdout + done.stderr
