"""Limits as the kernel holds them, on v1 and v2 alike: create, update, and what is refused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from crate.errors import CrateError, HostError, NameInUseError, UsageError

if TYPE_CHECKING:
    from cgroup.groups import Parent
    from crate.cgroup import Cgroup

MIB = 1 << 20
V1 = {
    "memory": ("memory", "memory.limit_in_bytes"),
    "pids": ("pids", "pids.max"),
    "cpus": ("cpuset", "cpuset.cpus"),
    "mems": ("cpuset", "cpuset.mems"),
    "reservation": ("memory", "memory.soft_limit_in_bytes"),
}
V2 = {
    "memory": "memory.max",
    "pids": "pids.max",
    "cpus": "cpuset.cpus",
    "mems": "cpuset.mems",
    "reservation": "memory.low",
}


def held(group: Cgroup, what: str) -> str:
    """What the kernel holds for a limit."""
    controller, file = V1[what]
    if controller in group.groups:
        return text(f"{group.groups[controller]}/{file}")
    return text(f"{group.unified}/{V2[what]}")


def text(path: str) -> str:
    """The content of a cgroup file."""
    with open(path) as file:
        return file.read().strip()


def cpu_time(group: Cgroup) -> tuple[str, str]:
    """(quota, period) of the group."""
    if "cpu" in group.groups:
        directory = group.groups["cpu"]
        return text(directory + "/cpu.cfs_quota_us"), text(directory + "/cpu.cfs_period_us")
    quota, period = text(f"{group.unified}/cpu.max").split()
    return quota, period


def swap(group: Cgroup) -> int:
    """Memory and swap together."""
    if "memory" in group.groups:
        return int(text(group.groups["memory"] + "/memory.memsw.limit_in_bytes"))
    return int(text(f"{group.unified}/memory.swap.max")) + int(text(f"{group.unified}/memory.max"))


def test_the_limits_of_a_usual_run(parent: Parent) -> None:
    group = parent.create(
        {
            "memory": {"limit": 128 * MIB, "swap": 256 * MIB, "reservation": 64 * MIB},
            "cpu": {"cpus": "0", "mems": "0", "quota": 50000, "period": 100000},
            "pids": {"limit": 77},
        }
    )
    assert held(group, "memory") == str(128 * MIB)
    assert held(group, "reservation") == str(64 * MIB)
    assert swap(group) == 256 * MIB
    assert (held(group, "cpus"), held(group, "mems"), held(group, "pids")) == ("0", "0", "77")
    assert cpu_time(group) == ("50000", "100000")


def test_shares(parent: Parent) -> None:
    group = parent.create({"cpu": {"shares": 512}})
    if "cpu" in group.groups:
        assert text(group.groups["cpu"] + "/cpu.shares") == "512"
    else:
        assert text(f"{group.unified}/cpu.weight") == "59"


def test_no_limits_at_all(parent: Parent) -> None:
    group = parent.create()
    assert held(group, "pids") == "max"
    assert parent.run(group, "echo", "in") == (0, "in\n")


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ((64 * MIB, 64 * MIB), (128 * MIB, 256 * MIB)),
        ((128 * MIB, 256 * MIB), (64 * MIB, 64 * MIB)),
        ((64 * MIB, 128 * MIB), (256 * MIB, 256 * MIB)),
    ],
)
def test_memory_and_swap_are_raised_and_lowered_in_the_right_order(
    parent: Parent, first: tuple[int, int], then: tuple[int, int]
) -> None:
    group = parent.create({"memory": {"limit": first[0], "swap": first[1]}})
    group.update({"memory": {"limit": then[0], "swap": then[1]}})
    assert (held(group, "memory"), swap(group)) == (str(then[0]), then[1])


def test_memory_without_limit_again(parent: Parent) -> None:
    group = parent.create({"memory": {"limit": 64 * MIB, "swap": 64 * MIB}})
    group.update({"memory": {"limit": -1, "swap": -1}})
    assert held(group, "memory") in ("max", "9223372036854771712")


def test_period_and_quota_are_changed_together(parent: Parent) -> None:
    group = parent.create({"cpu": {"quota": 100000, "period": 100000}})
    below = parent.create({"cpu": {"quota": 100000, "period": 100000}}, "one/inner") if group.groups else group
    below.update({"cpu": {"quota": 5000, "period": 5000}})
    assert cpu_time(below) == ("5000", "5000")
    below.update({"cpu": {"quota": -1}})
    assert cpu_time(below)[0] in ("-1", "max")
    if below is not group:
        below.remove()


def test_update_adds_a_controller_with_the_processes(parent: Parent) -> None:
    group = parent.create()
    process = parent.start(group, "sh", "-c", "sleep 1000 & wait")
    while len(group.pids()) < 2:
        pass
    group.update({"cpu": {"cpus": "0"}, "blkio": {}, "blockIO": {"throttleReadBpsDevice": [disk() | {"rate": MIB}]}})
    assert held(group, "cpus") == "0"
    if "blkio" in group.groups:
        assert text(group.groups["blkio"] + "/blkio.throttle.read_bps_device").endswith(f" {MIB}")
        assert set(text(group.groups["blkio"] + "/cgroup.procs").split()) == {str(pid) for pid in group.pids()}
    else:
        assert f"rbps={MIB}" in text(f"{group.unified}/io.max")
    group.kill()
    process.wait()


def disk() -> dict[str, int]:
    """A whole disk of this host."""
    for name in sorted(os.listdir("/sys/block")):
        major, _, minor = text(f"/sys/block/{name}/dev").partition(":")
        if not name.startswith(("ram", "loop", "zram", "dm-")):
            return {"major": int(major), "minor": int(minor)}
    pytest.skip("no disk")


def test_throttles_of_one_device(parent: Parent) -> None:
    rates = {"throttleReadBpsDevice": 1, "throttleWriteBpsDevice": 2, "throttleReadIOPSDevice": 3}
    group = parent.create({"blockIO": {key: [disk() | {"rate": rate * 1000}] for key, rate in rates.items()}})
    if "blkio" in group.groups:
        directory = group.groups["blkio"]
        assert text(directory + "/blkio.throttle.write_bps_device").endswith(" 2000")
        assert text(directory + "/blkio.throttle.read_iops_device").endswith(" 3000")
    else:
        assert text(f"{group.unified}/io.max").split(" ", 1)[1] == "rbps=1000 wbps=2000 riops=3000 wiops=max"


def refusal(parent: Parent, resources: dict[str, Any]) -> CrateError:
    """The error for resources; nothing is left of the group."""
    with pytest.raises(CrateError) as caught:
        parent.create(resources)
    assert [path for directory in parent.directories() for path in directory.iterdir() if path.is_dir()] == []
    return caught.value


ONLINE = text("/sys/devices/system/cpu/online")


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"cpu": {"cpus": "0,999"}}, f"cpuset cpus 0,999: this host has {ONLINE}"),
        ({"cpu": {"cpus": "fast"}}, f"cpuset cpus fast: this host has {ONLINE}"),
        ({"cpu": {"mems": "7"}}, "cpuset mems 7: this host has 0"),
        ({"memory": {"limit": 8 * MIB, "swap": 4 * MIB}}, "memory swap 4194304: it includes the memory"),
        ({"cpu": {"quota": 5}}, "cpu quota 5"),
        ({"cpu": {"period": 5}}, "cpu period 5"),
        ({"cpu": {"idle": 7}}, "cpu idle 7: 0 or 1"),
        ({"pids": {"limit": 1 << 40}}, "pids limit 1099511627776: the range is 0 to 4194304"),
        ({"blockIO": {"throttleReadBpsDevice": [{"major": 99, "minor": 9, "rate": 1}]}}, "there is no disk 99:9"),
        ({"unified": {"../cpu.max": "1"}}, "cgroup file ../cpu.max"),
        ({"devices": [{"allow": False, "type": "x"}]}, "device rule x"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(parent: Parent, resources: dict[str, Any], message: str) -> None:
    error = refusal(parent, resources)
    assert isinstance(error, UsageError)
    assert message in error.message


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"network": {"classID": 1}}, "cannot limit the network class: this host has no cgroup controller net_cls"),
        ({"unified": {"memory.nonsense": "1"}}, "cannot set cgroup file memory.nonsense=1"),
    ],
)
def test_what_the_host_does_not_have(parent: Parent, resources: dict[str, Any], message: str) -> None:
    if "net_cls" in parent.hierarchy.v1:
        pytest.skip("net_cls is mounted here")
    error = refusal(parent, resources)
    assert isinstance(error, HostError)
    assert message in error.message


def test_huge_pages_of_a_size_that_is_not_there(parent: Parent) -> None:
    if "hugetlb" not in [*parent.hierarchy.v1, *parent.hierarchy.v2_controllers()]:
        pytest.skip("no hugetlb controller")
    error = refusal(parent, {"hugepageLimits": [{"pageSize": "3MB", "limit": 0}]})
    assert "this host has huge pages of these sizes: " in error.message
    group = parent.create({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]})
    assert group.stats()["hugetlb"]["2MB"]["limit_bytes"] == 4 * MIB


def test_a_group_with_processes_is_not_taken(parent: Parent) -> None:
    group = parent.create()
    process = parent.start(group, "sleep", "1000")
    while not group.pids():
        pass
    with pytest.raises(NameInUseError, match=f"is in use by process {process.pid}"):
        parent.create()
    assert group.pids() == [process.pid]


def test_an_empty_group_that_is_there_is_used(parent: Parent) -> None:
    parent.create({"pids": {"limit": 5}})
    assert held(parent.create({"pids": {"limit": 6}}), "pids") == "6"


def test_a_limit_below_the_usage_is_refused_when_told_so(parent: Parent) -> None:
    group = parent.create({"memory": {"limit": 64 * MIB}})
    with pytest.raises(UsageError, match=r"memory limit 1: .* bytes are in use"):
        _hold_a_page(parent, group)
        group.update({"memory": {"limit": 1, "checkBeforeUpdate": True}})


def _hold_a_page(parent: Parent, group: Cgroup) -> None:
    process = parent.start(group, "sleep", "1000")
    while not group.stats()["memory"]["usage_bytes"]:
        pass
    assert process.poll() is None
