"""The main job: a container with its limits, read back from the kernel's own files inside it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from abilities import CHECKOUT
from program import Crate, until

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


SHOW = ("run", "--rm", "--network", "none", "--cgroupns", "host", IMAGE, "cat", "/proc/self/cgroup")


@pytest.mark.requires("root", "overlay", "busybox", "strace")
def test_groups_without_clone3(crate: Crate) -> None:
    crate.ok("pull", "--quiet", IMAGE)
    words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=clone3:error=ENOSYS", *crate.command(*SHOW)]
    done = subprocess.run(words, capture_output=True, text=True, env=crate.environment, check=False, timeout=60)
    places = {line.rpartition(":")[2].rpartition("/")[0] for line in done.stdout.splitlines() if crate.mark in line}
    assert done.stderr == "" and places == {f"/crate-test-{crate.mark}"}
    # every hierarchy in which the container has a group of its own, the second version's among them
    usual = [line.partition("/")[0] for line in crate.ok(*SHOW).splitlines() if crate.mark in line]
    assert [line.partition("/")[0] for line in done.stdout.splitlines() if crate.mark in line] == usual


@pytest.mark.requires("root", "overlay", "busybox")
def test_parent_group_and_its_path(crate: Crate) -> None:
    parent = f"/crate-test-{crate.mark}/given"
    words = ("--name", "one", "--network", "none", "--cgroupns", "host", "--cgroup-parent", parent, IMAGE)
    made = crate.ok("run", "-d", *words, "sleep", "60")
    shown = crate.ok("exec", "one", "cat", "/proc/1/cgroup").splitlines()
    assert f"{parent}/{made}" in {line.rpartition(":")[2] for line in shown}
    assert crate.inspect("one")["State"]["CgroupPath"] == f"{parent}/{made}"
    crate.ok("rm", "--force", "--time", "0", "one")
    mounts = Path("/sys/fs/cgroup")
    groups = {*mounts.glob(f"*{parent}"), *mounts.glob(parent[1:])}
    until(lambda: not [below for group in groups for below in group.glob("*/")])
    for group in groups:  # a parent that was given stays, as docker's does
        group.rmdir()


@pytest.mark.requires("unprivileged-user", "cgroup-v1", "busybox")
def test_parent_group_of_who_has_none(rootless_crate: Crate) -> None:
    words = ("run", "--rm", "--network", "none", "--cgroup-parent", "/given", IMAGE, "true")
    rootless_crate.ok("pull", "--quiet", IMAGE)
    assert "--cgroup-parent" in rootless_crate.fails(125, *words)
    rootless_crate.ok("run", "-d", "--name", "one", "--network", "none", IMAGE, "sleep", "60")
    assert rootless_crate.inspect("one")["State"]["CgroupPath"] == ""


@pytest.mark.requires("root", "overlay", "busybox", "two-cpus")
def test_run_alone_shows_the_limits(crate: Crate) -> None:
    environment = os.environ | {"CRATE_CONFIG": str(crate.config)}
    done = subprocess.run([CHECKOUT / "run"], check=False, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "cpus    0-1" in done.stdout and "memory  134217728 bytes" in done.stdout
