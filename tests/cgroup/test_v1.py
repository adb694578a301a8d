"""What is particular to cgroup v1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crate import cgroup
from crate.cgroup.hierarchy import Hierarchy
from crate.errors import UsageError

if TYPE_CHECKING:
    from cgroup.groups import Parent

pytestmark = pytest.mark.requires("root", "cgroup-v1")


def text(path: str) -> str:
    """The content of a cgroup file."""
    with open(path) as file:
        return file.read().strip()


def test_the_cpusets_above_are_filled(parent: Parent) -> None:
    group = parent.create({}, "a/b/c")
    top = parent.hierarchy.v1["cpuset"][0]
    for path in ("", "/a", "/a/b", "/a/b/c"):
        assert text(f"{top}{parent.path}{path}/cpuset.cpus") == text(top + "/cpuset.cpus")
        assert text(f"{top}{parent.path}{path}/cpuset.mems") == text(top + "/cpuset.mems")
    assert parent.run(group, "echo", "in") == (0, "in\n")


def test_a_cpuset_that_the_parent_does_not_have(parent: Parent) -> None:
    parent.create({"cpu": {"cpus": "0"}}, "narrow")
    if text("/sys/devices/system/cpu/online") == "0":
        pytest.skip("one CPU")
    with pytest.raises(UsageError, match=r"cpuset cpus 1: this host has .*, of which the cgroup above allows 0"):
        parent.create({"cpu": {"cpus": "1"}}, "narrow/inner")


def test_without_v2_the_v1_freezer_is_taken(parent_without_v2: Parent) -> None:
    group = parent_without_v2.create()
    assert group.unified is None
    assert "freezer" in group.groups
    process = parent_without_v2.start(group, "sleep", "1000")
    group.freeze()
    assert text(group.groups["freezer"] + "/freezer.state") == "FROZEN"
    group.kill()
    assert process.wait(timeout=60) == -9


def test_with_v2_beside_it_that_freezes(parent: Parent) -> None:
    if parent.hierarchy.unified:
        assert "freezer" not in parent.create().groups


def test_a_group_leaves_the_groups_of_the_caller(parent: Parent) -> None:
    parent.hierarchy.own["blkio"] = "/limited"
    assert "blkio" in parent.create().groups


def test_only_one_controller_is_mounted(parent: Parent) -> None:
    only = Hierarchy({"memory": parent.hierarchy.v1["memory"]}, None, {"memory": "/"})
    group = cgroup.create(parent.path + "/one", {"memory": {"limit": 1 << 26}}, hierarchy=only)
    assert list(group.groups) == ["memory"]
    assert len(group.join_paths()) == 1
    group.remove()


def test_oom_kill_disable_and_swappiness(parent: Parent) -> None:
    group = parent.create({"memory": {"limit": 1 << 26, "disableOOMKiller": True, "swappiness": 7}})
    assert "oom_kill_disable 1" in text(group.groups["memory"] + "/memory.oom_control")
    assert text(group.groups["memory"] + "/memory.swappiness") == "7"
    with pytest.raises(UsageError, match="memory swappiness 101: the range is 0 to 100"):
        parent.create({"memory": {"swappiness": 101}}, "two")


def test_cpu_shares_out_of_range(parent: Parent) -> None:
    with pytest.raises(UsageError, match="cpu shares 1: the range is 2 to 262144"):
        parent.create({"cpu": {"shares": 1}})


def test_burst_and_idle(parent: Parent) -> None:
    group = parent.create({"cpu": {"quota": 50000, "period": 100000, "burst": 20000}})
    assert text(group.groups["cpu"] + "/cpu.cfs_burst_us") == "20000"
    group.update({"cpu": {"idle": 1}})
    assert text(group.groups["cpu"] + "/cpu.idle") == "1"


def test_a_weight_of_block_io(parent: Parent) -> None:
    group = parent.create({"blockIO": {"weight": 300}})
    directory = group.groups["blkio"]
    try:
        assert text(directory + "/blkio.bfq.weight") == "300"
    except FileNotFoundError:
        assert text(directory + "/blkio.weight") == "300"
