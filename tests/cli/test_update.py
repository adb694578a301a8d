"""update: the kernel's files of a running container, the records, and what the next start makes of them."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from program import until

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")
MIB = 1 << 20
TOP = Path("/sys/fs/cgroup")
PURE_V2 = (TOP / "cgroup.controllers").exists()

pytestmark = pytest.mark.requires("busybox")


def _file(crate: Crate, name: str, v1: str, v2: str) -> str:
    """The text of a file of the container's group: `v1` with its controller first, `v2` beneath the only tree."""
    path = str(crate.inspect(name)["State"]["CgroupPath"]).strip("/")
    controller, _, file = v1.partition("/")
    place = TOP / path / v2 if PURE_V2 else TOP / controller / path / file
    return place.read_text().strip()


def _memory(crate: Crate, name: str) -> tuple[str, str]:
    """The limit of memory, and the one of memory and swap in v1, of swap alone in v2."""
    limit = _file(crate, name, "memory/memory.limit_in_bytes", "memory.max")
    return limit, _file(crate, name, "memory/memory.memsw.limit_in_bytes", "memory.swap.max")


def _cpu(crate: Crate, name: str) -> str:
    if PURE_V2:
        return _file(crate, name, "", "cpu.max")
    files = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    return " ".join(_file(crate, name, f"cpu/{file}", "") for file in files).replace("-1 ", "max ")


@pytest.fixture
def web(crate: Crate, busybox: str) -> str:
    """A running container without limits but the default one of processes."""
    crate.ok("run", "-d", "--name", "web", *NONE, IMAGE, "sleep", "1000")
    return "web"


@pytest.mark.requires("root", "overlay")
def test_memory(crate: Crate, web: str) -> None:
    assert crate.ok("update", "-m", "64m", web) == web
    assert _memory(crate, web) == (str(64 * MIB), str(64 * MIB if PURE_V2 else 128 * MIB))
    crate.ok("update", "-m", "200m", "--memory-swap", "200m", "--memory-reservation", "32m", web)
    assert _memory(crate, web) == (str(200 * MIB), "0" if PURE_V2 else str(200 * MIB))
    assert _file(crate, web, "memory/memory.soft_limit_in_bytes", "memory.low") == str(32 * MIB)
    host = crate.inspect(web)["HostConfig"]
    assert [host[key] // MIB for key in ("Memory", "MemorySwap", "MemoryReservation")] == [200, 200, 32]
    assert "already set memoryswap" in crate.fails(125, "update", "-m", "300m", web)
    assert _memory(crate, web)[0] == str(200 * MIB)
    crate.ok("update", "--memory-swap", "-1", web)
    crate.ok("update", "-m", "0", "--memory-reservation", "0", web)
    assert all(text == "max" or int(text) > 1 << 60 for text in _memory(crate, web))
    assert _file(crate, web, "memory/memory.soft_limit_in_bytes", "memory.low") in ("0", "9223372036854771712")


@pytest.mark.requires("root", "overlay")
def test_processors(crate: Crate, web: str) -> None:
    crate.ok("update", "--cpus", "1.5" if (os.cpu_count() or 1) > 1 else "0.5", "--cpuset-cpus", "0", "-c", "512", web)
    assert _cpu(crate, web) in ("150000 100000", "50000 100000")
    assert _file(crate, web, "cpuset/cpuset.cpus", "cpuset.cpus") == "0"
    assert _file(crate, web, "cpu/cpu.shares", "cpu.weight") == ("59" if PURE_V2 else "512")
    crate.ok("update", "--cpu-quota", "20000", web)
    assert _cpu(crate, web) == "20000 100000" and crate.inspect(web)["HostConfig"]["NanoCpus"] == 0
    crate.ok("update", "--cpu-period", "50000", web)
    assert _cpu(crate, web) == "20000 50000"
    crate.ok("update", "--cpu-quota", "0", "--cpu-period", "0", "-c", "0", "--cpuset-cpus", "", web)
    assert _cpu(crate, web) == "max 100000"
    assert _file(crate, web, "cpu/cpu.shares", "cpu.weight") == ("100" if PURE_V2 else "1024")
    everywhere = (TOP / ("cpuset.cpus.effective" if PURE_V2 else "cpuset/cpuset.cpus")).read_text().strip()
    assert _file(crate, web, "cpuset/cpuset.cpus", "cpuset.cpus.effective") == everywhere


@pytest.mark.requires("root", "overlay")
def test_processes_and_restart_policy(crate: Crate, web: str) -> None:
    crate.ok("update", "--pids-limit", "50", "--restart", "on-failure:3", web)
    assert _file(crate, web, "pids/pids.max", "pids.max") == "50"
    host = crate.inspect(web)["HostConfig"]
    assert host["PidsLimit"] == 50 and host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    crate.ok("container", "update", "--pids-limit", "-1", "--restart", "no", web)
    assert _file(crate, web, "pids/pids.max", "pids.max") == "max"
    assert crate.inspect(web)["HostConfig"]["RestartPolicy"]["Name"] == "no"


def _disk() -> str:
    for entry in sorted(Path("/sys/block").iterdir()):
        node = Path("/dev") / entry.name
        if int((entry / "size").read_text()) and node.exists() and stat.S_ISBLK(node.stat().st_mode):
            return entry.name
    pytest.skip("no disk")


@pytest.mark.requires("root", "overlay")
def test_rates_of_a_disk(crate: Crate, web: str) -> None:
    """On v1 the group for it is made while the container runs: its processes, and later ones, are in it."""
    disk = _disk()
    number = Path(f"/sys/block/{disk}/dev").read_text().strip()
    rate = f"/dev/{disk}:1mb"
    crate.ok("update", "--device-read-bps", rate, "--device-write-iops", f"/dev/{disk}:70000", web)
    if PURE_V2:
        assert _file(crate, web, "", "io.max") == f"{number} rbps={MIB} wbps=max riops=max wiops=70000"
    else:
        assert _file(crate, web, "blkio/blkio.throttle.read_bps_device", "") == f"{number} {MIB}"
        pids = _file(crate, web, "blkio/cgroup.procs", "").split()
        assert pids == [str(crate.inspect(web)["State"]["Pid"])]
        path = crate.inspect(web)["State"]["CgroupPath"]
        assert f"blkio:{path}" in crate.ok("exec", web, "cat", "/proc/self/cgroup")
    (shown,) = crate.inspect(web)["HostConfig"]["BlkioDeviceReadBps"]
    assert shown["rate"] == MIB
    crate.ok("update", "--device-read-bps", f"/dev/{disk}:0", web)
    assert str(MIB) not in _file(crate, web, "blkio/blkio.throttle.read_bps_device", "io.max")
    crate.ok("stop", "-t", "0", web)
    path = crate.inspect(web)["State"]["CgroupPath"].strip("/")
    until(lambda: not any((top / path).exists() for top in (TOP, *TOP.iterdir())), what="no group is left")
    crate.ok("start", web)
    assert "70000" in _file(crate, web, "blkio/blkio.throttle.write_iops_device", "io.max")


@pytest.mark.requires("root", "overlay")
def test_a_stopped_container(crate: Crate, busybox: str) -> None:
    crate.ok("create", "--name", "idle", *NONE, "--cpus", "0.5", IMAGE, "sleep", "1000")
    second = crate.ok("create", "--name", "other", *NONE, IMAGE, "sleep", "1000")
    assert crate.ok("update", "-m", "64m", "--cpu-quota", "30000", "idle", second) == f"idle\n{second}"
    crate.ok("start", "idle", "other")
    for name in ("idle", "other"):
        assert _memory(crate, name)[0] == str(64 * MIB) and _cpu(crate, name) == "30000 100000"
    crate.ok("restart", "-t", "0", "idle")
    assert _memory(crate, "idle")[0] == str(64 * MIB)


@pytest.mark.requires("root", "overlay")
def test_a_container_that_removes_itself(crate: Crate, busybox: str) -> None:
    crate.ok("run", "-d", "--rm", "--name", "brief", *NONE, IMAGE, "sleep", "1000")
    crate.ok("update", "-m", "64m", "brief")
    assert _memory(crate, "brief")[0] == str(64 * MIB)
    assert "--rm" in crate.fails(125, "update", "--restart", "always", "brief")


@pytest.mark.requires("root", "overlay")
def test_nonsense_is_refused_and_changes_nothing(crate: Crate, web: str) -> None:
    crate.ok("update", "-m", "64m", "--cpus", "0.5", web)
    before = crate.inspect(web)["HostConfig"]
    for words, said in {
        "-m 1m": "6MB", "-m many": "invalid", "--memory-swap 10m": "memoryswap", "--cpuset-cpus 4096": "not available",
        "--cpus 0.005": "range of CPUs", "--cpu-quota 5": "1ms", "--cpu-period 5": "1ms", "-c 1": "range is 2",
        "--restart sometimes": "restart policy", "--blkio-weight 5": "10 to 1000",
        "--device-read-bps /dev/null:1": "block", "--memory-reservation 1g": "reservation",
    }.items():  # fmt: skip
        assert said in crate.fails(125, "update", *words.split(), web), words
    assert crate.inspect(web)["HostConfig"] == before
    assert _memory(crate, web)[0] == str(64 * MIB)
    assert "one or more flags" in crate.fails(125, "update", web)
    assert "no such container" in crate.fails(125, "update", "-m", "1g", "nobody")


@pytest.mark.requires("root", "overlay")
def test_a_limit_below_what_is_in_use(crate: Crate, busybox: str) -> None:
    hold = "x=$(head -c 14000000 /dev/zero | tr '\\0' x); echo full; while :; do sleep 0.05; done"
    crate.ok("run", "-d", "--name", "full", *NONE, "-m", "512m", "--memory-swap", "512m", IMAGE, "sh", "-c", hold)
    crate.await_line("full", "full")
    assert "in use" in crate.fails(125, "update", "-m", "8m", "--memory-swap", "8m", "-c", "600", "full")
    shares = _file(crate, "full", "cpu/cpu.shares", "cpu.weight")
    assert shares == ("100" if PURE_V2 else "1024"), "what was set before the refusal is undone"
    assert crate.inspect("full")["State"]["Running"] and _memory(crate, "full")[0] == str(512 * MIB)


@pytest.mark.requires("root", "overlay", "strace")
@pytest.mark.parametrize("number", [1, 2])
def test_killed_on_the_way(crate: Crate, web: str, number: int) -> None:
    """Between the kernel's files and the two records: all can be read, and the next update makes them agree."""
    subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject=rename:signal=SIGKILL:when={number}",
         *crate.command("update", "-m", "64m", web)],
        env=crate.environment, cwd=crate.place, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert crate.inspect(web)["HostConfig"]["Memory"] in (0, 64 * MIB)
    assert _memory(crate, web)[0] == str(64 * MIB)
    crate.ok("update", "-m", "96m", web)
    assert crate.inspect(web)["HostConfig"]["Memory"] == 96 * MIB and _memory(crate, web)[0] == str(96 * MIB)
    crate.ok("restart", "-t", "0", web)
    assert _memory(crate, web)[0] == str(96 * MIB)


@pytest.mark.requires("unprivileged-user")
def test_of_an_ordinary_user(rootless_crate: Crate) -> None:
    """Where controllers were delegated; else a limit is refused and not recorded, and a policy is taken."""
    rootless_crate.ok("run", "-d", "--name", "web", *NONE, IMAGE, "sleep", "1000")
    result = rootless_crate("update", "--pids-limit", "50", "web")
    limit = rootless_crate.inspect("web")["HostConfig"]["PidsLimit"]
    if result.status:
        assert "cgroup" in result.err and limit != 50
    else:
        (group,) = TOP.rglob(rootless_crate.inspect("web")["Id"])
        assert (group / "pids.max").read_text() == "50\n" and limit == 50
    rootless_crate.ok("update", "--restart", "on-failure", "web")
    assert rootless_crate.inspect("web")["HostConfig"]["RestartPolicy"]["Name"] == "on-failure"
