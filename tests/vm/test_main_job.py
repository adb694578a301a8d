"""The main job where there is nothing but cgroup v2, in one start of a virtual machine: as root, and as a user."""

from __future__ import annotations

import os
import subprocess

import pytest

from abilities import CHECKOUT, vm_runner

IMAGE = "crate.local/busybox"
LIMITS = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpuset.cpus.effective"
SCRIPT = f"""
crate() {{ "{CHECKOUT}/.venv/bin/crate" "$@"; }}
crate pull -q {IMAGE} > /dev/null
crate run --rm --network none --cpuset 0,1 -m 128m {IMAGE} sh -c '{LIMITS}'
crate run --name greedy --network none -m 16m {IMAGE} tail /dev/zero
echo $? $(crate inspect --format '{{{{.State.OOMKilled}}}}' greedy)
"""

pytestmark = [
    pytest.mark.requires("root", "vm", "busybox"),
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("vm"),
]


@pytest.mark.parametrize(
    "options", [pytest.param((), id="root", marks=pytest.mark.slow), pytest.param(("--user", "tester"), id="user")]
)
def test_limits_of_the_main_job(options: tuple[str, ...]) -> None:
    runner = vm_runner()
    assert runner
    command = [str(runner), "--timeout", "200", *options, "--", "sh", "-c", SCRIPT]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, check=False, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["134217728", "0-1", "137", "true"], done.stdout + done.stderr
