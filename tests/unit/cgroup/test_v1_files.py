"""OCI linux.resources to v1 files."""

from __future__ import annotations

from typing import Any

import pytest

from crate.cgroup import v1
from crate.errors import HostError, UsageError

MIB = 1 << 20


def files(controller: str, resources: dict[str, Any], *missing: str) -> list[tuple[str, str]]:
    """The (file, value) pairs, on a kernel that has all files but the missing ones."""
    return [write[:2] for write in v1.CONTROLLERS[controller](resources, lambda file: file not in missing)]


def test_nothing_asked() -> None:
    empty: list[dict[str, Any]] = [
        {},
        {"cpu": None, "memory": {}, "pids": {}, "blockIO": None, "network": {}, "devices": [], "rdma": {}},
    ]
    for resources in empty:
        for controller in v1.CONTROLLERS:
            assert files(controller, resources) == []


def test_cpu() -> None:
    given = {"shares": 2, "quota": -1, "period": 50000, "burst": 7, "idle": 0, "cpus": "0"}
    assert files("cpu", {"cpu": given}) == [
        ("cpu.shares", "2"),
        ("cpu.cfs_period_us", "50000"),
        ("cpu.cfs_quota_us", "-1"),
        ("cpu.cfs_burst_us", "7"),
        ("cpu.idle", "0"),
    ]
    assert files("cpuset", {"cpu": given}) == [("cpuset.cpus", "0")]
    assert files("cpu", {"cpu": {"realtimePeriod": 5, "realtimeRuntime": 4}}) == [
        ("cpu.rt_period_us", "5"),
        ("cpu.rt_runtime_us", "4"),
    ]


@pytest.mark.parametrize("shares", [1, 262145])
def test_shares_that_the_kernel_would_clamp(shares: int) -> None:
    with pytest.raises(UsageError, match=f"cpu shares {shares}: the range is 2 to 262144"):
        files("cpu", {"cpu": {"shares": shares}})


def test_memory() -> None:
    given = {"limit": 64 * MIB, "swap": -1, "reservation": MIB, "kernel": 5, "swappiness": 0, "disableOOMKiller": True}
    assert files("memory", {"memory": given}) == [
        ("memory.limit_in_bytes", str(64 * MIB)),
        ("memory.memsw.limit_in_bytes", "-1"),
        ("memory.soft_limit_in_bytes", str(MIB)),
        ("memory.swappiness", "0"),
        ("memory.oom_control", "1"),
    ]


def test_unlimited_memory_takes_the_swap_with_it() -> None:
    assert files("memory", {"memory": {"limit": -1}}) == [
        ("memory.limit_in_bytes", "-1"),
        ("memory.memsw.limit_in_bytes", "-1"),
    ]


def test_a_kernel_that_does_not_count_swap() -> None:
    missing = "memory.memsw.limit_in_bytes"
    assert files("memory", {"memory": {"limit": -1}}, missing) == [("memory.limit_in_bytes", "-1")]
    assert files("memory", {"memory": {"limit": MIB, "swap": -1}}, missing) == [("memory.limit_in_bytes", str(MIB))]
    with pytest.raises(HostError, match="this kernel does not account for swap"):
        files("memory", {"memory": {"limit": MIB, "swap": 2 * MIB}}, missing)


def test_swap_below_the_memory() -> None:
    with pytest.raises(UsageError, match="memory swap 1048576: it includes the memory"):
        files("memory", {"memory": {"limit": 2 * MIB, "swap": MIB}})


@pytest.mark.parametrize(("limit", "value"), [(5, "5"), (0, "max"), (-1, "max")])
def test_pids(limit: int, value: str) -> None:
    assert files("pids", {"pids": {"limit": limit}}) == [("pids.max", value)]


def test_block_io() -> None:
    device = {"major": 8, "minor": 16}
    given = {
        "weight": 500,
        "leafWeight": 300,
        "weightDevice": [device | {"weight": 100, "leafWeight": 50}, device],
        "throttleReadBpsDevice": [device | {"rate": 1}],
        "throttleWriteBpsDevice": [device | {"rate": 2}],
        "throttleReadIOPSDevice": [device | {"rate": 3}],
        "throttleWriteIOPSDevice": [device | {"rate": 4}, device | {"rate": 0}],
    }
    assert files("blkio", {"blockIO": given}, "blkio.bfq.weight") == [
        ("blkio.weight", "500"),
        ("blkio.leaf_weight", "300"),
        ("blkio.weight_device", "8:16 100"),
        ("blkio.leaf_weight_device", "8:16 50"),
        ("blkio.throttle.read_bps_device", "8:16 1"),
        ("blkio.throttle.write_bps_device", "8:16 2"),
        ("blkio.throttle.read_iops_device", "8:16 3"),
        ("blkio.throttle.write_iops_device", "8:16 4"),
        ("blkio.throttle.write_iops_device", "8:16 0"),
    ]
    assert files("blkio", {"blockIO": {"weight": 7}}) == [("blkio.bfq.weight", "7")]


def test_the_rest() -> None:
    pages = {"hugepageLimits": [{"pageSize": "2MB", "limit": 9}]}
    assert files("hugetlb", pages) == [("hugetlb.2MB.limit_in_bytes", "9"), ("hugetlb.2MB.rsvd.limit_in_bytes", "9")]
    assert files("hugetlb", pages, "hugetlb.2MB.rsvd.limit_in_bytes") == [("hugetlb.2MB.limit_in_bytes", "9")]
    network = {"network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 500}]}}
    assert files("net_cls", network) == [("net_cls.classid", "1048577")]
    assert files("net_prio", network) == [("net_prio.ifpriomap", "eth0 500")]
    rdma = {"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 0}, "mlx4_0": {"hcaObjects": 9}}}
    assert files("rdma", rdma) == [
        ("rdma.max", "mlx5_1 hca_handle=3 hca_object=0"),
        ("rdma.max", "mlx4_0 hca_object=9"),
    ]


def test_devices() -> None:
    rules = [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"}]
    rules.append({"allow": True, "type": "b", "major": 8, "access": "r"})
    assert files("devices", {"devices": rules}) == [
        ("devices.deny", "a"),
        ("devices.allow", "c 1:3 rw"),
        ("devices.allow", "b 8:* r"),
    ]
    rules = [{"allow": True}, {"allow": False, "type": "c", "major": 1, "minor": 3, "access": "w"}]
    assert files("devices", {"devices": rules}) == [("devices.allow", "a"), ("devices.deny", "c 1:3 w")]


def test_each_limit_is_named_by_what_was_asked_for() -> None:
    resources = {"cpu": {"cpus": "0,9", "quota": 5}, "memory": {"limit": 7}, "pids": {"limit": 3}}
    named = [write[2] for translate in v1.CONTROLLERS.values() for write in translate(resources, lambda _: True)]
    assert named == ["cpu quota 5", "cpuset cpus 0,9", "memory limit 7", "pids limit 3"]
