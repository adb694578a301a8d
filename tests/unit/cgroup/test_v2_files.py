"""OCI linux.resources to v2 files, and the conversions from what OCI takes from v1."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.cgroup import v2
from crate.errors import HostError, UsageError

MIB = 1 << 20


def files(controller: str, resources: dict[str, Any], *missing: str) -> list[tuple[str, str]]:
    """The (file, value) pairs, on a kernel that has all files but the missing ones."""
    return [write[:2] for write in v2.CONTROLLERS[controller](resources, lambda file: file not in missing)]


@pytest.mark.parametrize(
    ("shares", "weight"),
    [(0, 0), (1, 1), (2, 1), (10, 4), (100, 17), (512, 59), (1024, 100), (1025, 101), (262144, 10000), (300000, 10000)],
)
def test_shares_become_a_weight(shares: int, weight: int) -> None:
    assert v2.shares_to_weight(shares) == weight


@given(st.integers(2, 262143))
def test_more_shares_are_never_less_weight(shares: int) -> None:
    assert 1 <= v2.shares_to_weight(shares) <= v2.shares_to_weight(shares + 1) <= 10000


@pytest.mark.parametrize(("weight", "converted"), [(10, 1), (500, 4950), (1000, 10000)])
def test_weights_of_block_io(weight: int, converted: int) -> None:
    assert v2.blkio_to_io_weight(weight) == converted


def test_nothing_asked() -> None:
    for controller in v2.CONTROLLERS:
        assert files(controller, {"cpu": {}, "memory": {}, "blockIO": {}, "unified": {}}) == []


def test_cpu() -> None:
    assert files("cpu", {"cpu": {"shares": 1024, "quota": 5000, "burst": 10}}) == [
        ("cpu.weight", "100"),
        ("cpu.max", "5000 100000"),
        ("cpu.max.burst", "10"),
    ]
    assert files("cpu", {"cpu": {"quota": -1, "period": 5000}}) == [("cpu.max", "max 5000")]
    assert files("cpu", {"cpu": {"period": 5000}}) == [("cpu.max", "max 5000")]
    assert files("cpu", {"cpu": {"shares": 9, "idle": 1}}) == [("cpu.idle", "1")]
    with pytest.raises(HostError, match="cgroup v2 has no such limit"):
        files("cpu", {"cpu": {"realtimeRuntime": 1}})


@pytest.mark.parametrize(
    ("limit", "swap", "expected"),
    [
        (64 * MIB, 0, [("memory.max", str(64 * MIB))]),
        (64 * MIB, 64 * MIB, [("memory.swap.max", "0"), ("memory.max", str(64 * MIB))]),
        (64 * MIB, 96 * MIB, [("memory.swap.max", str(32 * MIB)), ("memory.max", str(64 * MIB))]),
        (64 * MIB, -1, [("memory.swap.max", "max"), ("memory.max", str(64 * MIB))]),
        (-1, 0, [("memory.swap.max", "max"), ("memory.max", "max")]),
    ],
)
def test_memory_and_swap(limit: int, swap: int, expected: list[tuple[str, str]]) -> None:
    assert files("memory", {"memory": {"limit": limit, "swap": swap}}) == expected


def test_swap_that_makes_no_sense() -> None:
    with pytest.raises(UsageError, match="a memory limit must be given with it"):
        files("memory", {"memory": {"swap": MIB}})
    with pytest.raises(UsageError, match="it cannot be below the limit"):
        files("memory", {"memory": {"swap": MIB, "limit": 2 * MIB}})
    missing = "memory.swap.max"
    assert files("memory", {"memory": {"limit": MIB, "swap": MIB}}, missing) == [("memory.max", str(MIB))]
    with pytest.raises(HostError, match="does not account for swap"):
        files("memory", {"memory": {"limit": MIB, "swap": 2 * MIB}}, missing)


def test_memory_without_a_v2_form_is_left_out() -> None:
    resources = {"memory": {"reservation": 5, "swappiness": 7, "kernel": 8, "disableOOMKiller": True}}
    assert files("memory", resources) == [("memory.low", "5")]


def test_the_throttles_of_a_device_are_one_line() -> None:
    first, second = {"major": 8, "minor": 0}, {"major": 8, "minor": 16}
    resources = {
        "blockIO": {
            "throttleReadBpsDevice": [first | {"rate": 1}, second | {"rate": 2}],
            "throttleWriteBpsDevice": [first | {"rate": 0}],
            "throttleWriteIOPSDevice": [first | {"rate": 4}],
        }
    }
    assert files("io", resources) == [("io.max", "8:0 rbps=1 wbps=max wiops=4"), ("io.max", "8:16 rbps=2")]


def test_block_io_weights() -> None:
    resources = {"blockIO": {"weight": 500, "weightDevice": [{"major": 8, "minor": 0, "weight": 10}]}}
    assert files("io", resources) == [("io.bfq.weight", "500"), ("io.bfq.weight", "8:0 10")]
    assert files("io", resources, "io.bfq.weight") == [("io.weight", "default 4950"), ("io.weight", "8:0 1")]


def test_the_rest() -> None:
    assert files("hugetlb", {"hugepageLimits": [{"pageSize": "1GB", "limit": 0}]}) == [
        ("hugetlb.1GB.max", "0"),
        ("hugetlb.1GB.rsvd.max", "0"),
    ]
    assert files("cpuset", {"cpu": {"cpus": "0-1", "mems": "0"}}) == [("cpuset.cpus", "0-1"), ("cpuset.mems", "0")]
    assert files("pids", {"pids": {"limit": 0}}) == [("pids.max", "max")]


def test_unified() -> None:
    assert v2.unified({"unified": {"memory.high": "5"}}) == [("memory.high", "5", "cgroup file memory.high=5")]
    for file in ("../memory.high", "memory/high", "memory"):
        with pytest.raises(UsageError, match="it has the form CONTROLLER"):
            v2.unified({"unified": {file: "5"}})
