"""What limits do to processes, on v1 and v2 alike."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from crate.linux.process import clone

if TYPE_CHECKING:
    from typing import NoReturn

    from cgroup.groups import Parent
    from crate.cgroup import Cgroup

MIB = 1 << 20
DENY_ALL = {"allow": False, "access": "rwm"}
NULL = {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"}
MAKE_ANY = {"allow": True, "type": "c", "access": "m"}
ZERO_FOR_READING = {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "rm"}
EAT = "data = bytearray(); [data.extend(bytes(1 << 20)) for _ in range(200)]"


def python(code: str) -> list[str]:
    """The words that run a line of Python with the interpreter of the host."""
    return ["/usr/bin/python3", "-I", "-S", "-c", code]


def test_the_kernel_kills_above_the_memory_limit(parent: Parent) -> None:
    group = parent.create({"memory": {"limit": 32 * MIB, "swap": 32 * MIB}})
    assert group.oom_kills() == 0
    status, _ = parent.run(group, *python(EAT))
    assert status == -9
    assert group.oom_kills() == 1
    stats = group.stats()
    assert stats["oom"]["oom_kill"] == 1
    assert stats["oom"]["limit_hits"] > 0 or "memory" in group.groups  # Linux 6.18 counts them in v2 only
    assert stats["memory"]["limit_bytes"] == 32 * MIB
    if stats["memory"]["max_usage_bytes"] is not None:
        assert 30 * MIB < stats["memory"]["max_usage_bytes"] <= 32 * MIB


def test_an_oom_kill_in_a_group_made_by_the_container(parent: Parent) -> None:
    group = parent.create({"memory": {"limit": 32 * MIB, "swap": 32 * MIB}})
    if "memory" in group.groups:
        pytest.skip("v1 counts in the group of the victim")
    inner = parent.create({}, "one/inner")
    status, _ = parent.run(inner, *python(EAT))
    assert (status, group.oom_kills()) == (-9, 1)


def test_no_more_processes_than_the_pids_limit(parent: Parent) -> None:
    group = parent.create({"pids": {"limit": 3}})
    _, out = parent.run(group, "sh", "-c", "for i in 1 2 3 4 5; do sleep 0.5 & done; wait")
    assert "fork" in out
    assert group.stats()["pids"]["limit"] == 3


def test_the_quota_throttles(parent: Parent) -> None:
    group = parent.create({"cpu": {"quota": 10000, "period": 100000}})
    parent.run(group, *python("import time\nwhile time.process_time() < 0.12: pass"))
    cpu = group.stats()["cpu"]
    assert cpu["throttled_periods"] > 3
    assert cpu["throttled_ns"] > 100_000_000
    assert 20_000_000 < cpu["usage_ns"] < 900_000_000


def test_the_cpuset_is_what_the_process_sees(parent: Parent) -> None:
    group = parent.create({"cpu": {"cpus": "0"}})
    _, out = parent.run(group, *python("import os; print(os.sched_getaffinity(0))"))
    assert out == "{0}\n"


def test_statistics_of_a_process_that_worked(parent: Parent) -> None:
    group = parent.create({"memory": {"limit": 64 * MIB}})
    process = parent.start(group, *python("data = bytes(range(256)) * 40000; input()"), stdin=-1)
    deadline = time.monotonic() + 60
    while group.stats()["memory"]["working_set_bytes"] < 10 * MIB and time.monotonic() < deadline:
        time.sleep(0.05)
    stats = group.stats()
    assert 10 * MIB < stats["memory"]["working_set_bytes"] <= stats["memory"]["usage_bytes"] < 64 * MIB
    assert stats["pids"] == {"current": 1, "limit": None}
    assert stats["cpu"]["usage_ns"] > 0
    assert stats["cpu"]["user_ns"] + stats["cpu"]["system_ns"] > 0
    assert set(stats["io"]) == {"read_bytes", "write_bytes", "read_ops", "write_ops", "devices"}
    if "cpuacct" in group.groups:
        assert sum(stats["cpu"]["per_cpu_ns"]) > 0
    process.communicate("\n", timeout=60)


def test_bytes_that_were_written_are_counted(parent: Parent, tmp_path: os.PathLike[str]) -> None:
    group = parent.create({"blockIO": {}}) if "blkio" not in parent.hierarchy.v1 else parent.create()
    group.update({"blockIO": {"throttleReadIOPSDevice": []}})
    command = ["dd", "if=/dev/zero", f"of={tmp_path}/file", "bs=1M", "count=4", "oflag=direct"]
    status, out = parent.run(group, *command)
    if status:
        pytest.skip(f"no direct writes here: {out}")
    io = group.stats()["io"]
    if not io["devices"]:
        pytest.skip("the directory of the tests is on no disk that counts")
    assert io["write_bytes"] >= 4 * MIB
    assert io["write_ops"] > 0


OPEN = """
import os, sys
for path, flags in (("null", os.O_RDWR), ("zero", os.O_RDONLY), ("zero", os.O_RDWR), ("full", os.O_RDONLY)):
    try:
        os.close(os.open("/dev/" + path, flags))
        print("ok", end=" ")
    except OSError as error:
        print(error.errno, end=" ")
for kind, number in ((0o020000, (1, 3)), (0o020000, (1, 7)), (0o060000, (7, 99))):
    try:
        os.mknod("node", kind | 0o600, os.makedev(*number))
        os.unlink("node")
        print("ok", end=" ")
    except OSError as error:
        print(error.errno, end=" ")
"""


def look(parent: Parent, group: Cgroup, directory: os.PathLike[str]) -> str:
    """The answers to opening and making device nodes in the group."""
    process = parent.start(group, *python(OPEN), cwd=directory)
    out, _ = process.communicate(timeout=60)
    return str(out).strip()


@pytest.mark.requires("root")
def test_device_rules_refuse_what_they_do_not_name(parent: Parent, tmp_path: os.PathLike[str]) -> None:
    group = parent.create({"devices": [DENY_ALL, NULL, ZERO_FOR_READING]})
    assert group.has_device_rules
    # null, zero for reading, zero for writing, full; mknod of null, full, a loop device
    assert look(parent, group, tmp_path) == "ok ok 1 1 ok 1 1"
    everything = parent.create({}, "two")
    assert look(parent, everything, tmp_path) == "ok ok ok ok ok ok ok"


@pytest.mark.requires("root")
def test_device_rules_of_docker_let_nodes_be_made_but_not_opened(parent: Parent, tmp_path: os.PathLike[str]) -> None:
    group = parent.create({"devices": [DENY_ALL, MAKE_ANY, NULL]})
    assert look(parent, group, tmp_path) == "ok 1 1 1 ok ok 1"


@pytest.mark.requires("root")
def test_device_rules_that_forbid_single_devices(parent: Parent, tmp_path: os.PathLike[str]) -> None:
    forbidden = {"allow": False, "type": "c", "major": 1, "minor": 5, "access": "w"}
    group = parent.create({"devices": [{"allow": True}, forbidden]})
    assert look(parent, group, tmp_path) == "ok ok 1 ok ok ok ok"


@pytest.mark.requires("root")
def test_device_rules_are_changed_while_it_runs(parent: Parent, tmp_path: os.PathLike[str]) -> None:
    group = parent.create({"devices": [DENY_ALL, NULL]})
    group.update({"devices": [DENY_ALL, NULL, ZERO_FOR_READING]})
    assert look(parent, group, tmp_path) == "ok ok 1 1 ok 1 1"
    group.update({"devices": [{"allow": True}]})
    assert look(parent, group, tmp_path) == "ok ok ok ok ok ok ok"


def test_a_clone_is_born_in_the_v2_group(parent: Parent) -> None:
    group = parent.create()
    path = group.v2_path()
    if path is None:
        pytest.skip("no v2 here")
    read_fd, write_fd = os.pipe()

    def child() -> NoReturn:
        with open("/proc/self/cgroup") as file:
            os.write(write_fd, next(line for line in file if line.startswith("0::")).encode())
        os._exit(0)

    cgroup_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    pid, pidfd = clone(0, child, cgroup_fd)
    os.waitpid(pid, 0)
    seen = os.read(read_fd, 4096).decode()
    for fd in (cgroup_fd, pidfd, read_fd, write_fd):
        os.close(fd)
    assert seen == f"0::{group.path}\n"
