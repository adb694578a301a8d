"""The main job: a container with its limits, read back from the kernel's own files inside it."""

from __future__ import annotations

import os
import subprocess

import pytest

from abilities import CHECKOUT
from program import Crate

IMAGE = "crate.local/busybox"
V1 = "cat /sys/fs/cgroup/cpuset/cpuset.cpus /sys/fs/cgroup/memory/memory.limit_in_bytes"
V2 = "cat /sys/fs/cgroup/cpuset.cpus /sys/fs/cgroup/memory.max"


@pytest.mark.requires("root", "overlay", "busybox", "nft", "cgroup-v1", "two-cpus")
def test_limits_on_v1(crate: Crate) -> None:
    assert crate.ok("run", "--rm", "--cpuset", "0,1", "-m", "128m", IMAGE, "sh", "-c", V1) == "0-1\n134217728"


@pytest.mark.requires("root", "overlay", "busybox", "nft", "cgroup-v2", "two-cpus")
def test_limits_on_v2(crate: Crate) -> None:
    assert crate.ok("run", "--rm", "--cpuset", "0,1", "-m", "128m", IMAGE, "sh", "-c", V2) == "0-1\n134217728"


@pytest.mark.requires("root", "overlay", "busybox")
def test_out_of_memory(crate: Crate) -> None:
    eat = "dd if=/dev/zero of=/dev/null bs=200M count=1"
    result = crate(
        "run", "--name", "glutton", "--network", "none", "-m", "32m", "--memory-swap", "32m", IMAGE, *eat.split()
    )
    assert result.status == 137
    state = crate.inspect("glutton")["State"]
    assert state["OOMKilled"] is True
    assert state["ExitCode"] == 137


@pytest.mark.requires("root", "overlay", "busybox", "two-cpus")
def test_run_alone_shows_the_limits(crate: Crate) -> None:
    environment = os.environ | {"CRATE_CONFIG": str(crate.config)}
    done = subprocess.run([CHECKOUT / "run"], check=False, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "cpus    0-1" in done.stdout and "memory  134217728 bytes" in done.stdout
