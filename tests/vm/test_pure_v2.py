"""The tests that see cgroups, once more where there is nothing but cgroup v2: in a virtual machine."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from abilities import CHECKOUT, vm_runner

POD = "tests/cli/test_pods.py::test_limits_hold_for_all_together"
#: what is particular to v2, what limits do there, and what a container sees of them
SEEN = [f"tests/cgroup/test_{name}.py" for name in ("v2", "effects", "mounts")]
SECONDS = 1500  # emulation is 15 to 40 times slower than the host

pytestmark = [
    pytest.mark.requires("root", "vm"),
    pytest.mark.timeout(SECONDS + 60),
    pytest.mark.xdist_group("vm"),
]


@pytest.mark.parametrize(
    ("options", "tests", "least"),
    [
        pytest.param([], [*SEEN, "tests/cli/test_limits.py", POD], 30, id="root"),
        pytest.param([], ["tests/cgroup"], 60, id="all", marks=pytest.mark.slow),
        pytest.param(["--user", "tester"], ["tests/cli/test_rootless.py"], 8, id="user", marks=pytest.mark.slow),
    ],
)
def test_in_a_virtual_machine(options: list[str], tests: list[str], least: int) -> None:
    runner = vm_runner()
    assert runner
    command = [str(runner), "--timeout", str(SECONDS), "-e", "CRATE_IN_VM=1", *options, "--"]
    # nothing above tests is collected: an ordinary user may be allowed to pass through the checkout, but not to list it
    command += [str(CHECKOUT / ".venv/bin/python"), "-m", "pytest", "-c", "pyproject.toml", "--rootdir=tests"]
    command += ["--confcutdir=tests", "-p", "no:cacheprovider", "--timeout=900", *tests]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["PYTHONPATH"] = f"{CHECKOUT}/src:{CHECKOUT}/tests"
    done = subprocess.run(command, check=False, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    found = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0 and found and int(found[1]) >= least, done.stdout + done.stderr
    print(done.stdout.splitlines()[-1])
