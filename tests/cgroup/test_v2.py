"""What is particular to cgroup v2: handing controllers down, one writer, conversions, delegation."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from crate import cgroup
from crate.cgroup.facts import facts
from crate.cgroup.hierarchy import discover
from crate.errors import HostError
from crate.linux import bpf
from crate.oci import json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cgroup.groups import Parent

pytestmark = pytest.mark.requires("root", "cgroup-v2")

MIB = 1 << 20
NOBODY = 65534
ALL = ("cpu", "memory", "pids", "io")


def text(path: str | Path) -> str:
    """The content of a cgroup file."""
    with open(path) as file:
        return file.read().strip()


def put(path: str | Path, value: str) -> None:
    """Writes a cgroup file."""
    with open(path, "w") as file:
        file.write(value)


def test_controllers_are_handed_down_from_the_top(parent: Parent) -> None:
    group = parent.create({"cpu": {"cpus": "0"}}, "a/b/c")
    top = parent.hierarchy.unified[0] if parent.hierarchy.unified else ""
    for path in ("", "/a", "/a/b"):
        assert {*ALL, "cpuset"} <= set(text(f"{top}{parent.path}{path}/cgroup.subtree_control").split())
    assert text(f"{group.unified}/cgroup.subtree_control") == ""
    assert text(f"{group.unified}/cpuset.cpus.effective") == "0"


def test_a_parent_with_processes_cannot_have_limits_below(parent: Parent) -> None:
    above = parent.create({}, "busy")
    parent.start(above, "sleep", "1000")
    free = parent.create({}, "busy/free")
    assert free.v2_path()
    with pytest.raises(HostError) as caught:
        parent.create({"memory": {"limit": MIB}}, "busy/limited")
    assert caught.value.message == f"cannot limit memory: cgroup {above.unified} holds processes of its own"
    assert caught.value.hint == "cgroup v2 wants a --cgroup-parent without processes"
    assert not os.path.exists(f"{above.unified}/limited")


@pytest.mark.parametrize(
    ("limit", "swap", "alone"), [(64, 64, "0"), (64, 96, str(32 * MIB)), (64, -1, "max"), (-1, 0, "max")]
)
def test_swap_is_counted_alone(parent: Parent, limit: int, swap: int, alone: str) -> None:
    size = {key: value * MIB if value > 0 else value for key, value in (("limit", limit), ("swap", swap))}
    group = parent.create({"memory": size})
    assert text(f"{group.unified}/memory.swap.max") == alone
    assert text(f"{group.unified}/memory.max") == ("max" if limit < 0 else str(limit * MIB))


def test_conversions(parent: Parent) -> None:
    group = parent.create(
        {
            "cpu": {"shares": 1024, "quota": 50000, "period": 100000, "burst": 10000},
            "unified": {"memory.high": "33554432", "pids.max": "9"},
            "memory": {"reservation": MIB},
        }
    )
    for file, value in (
        ("cpu.weight", "100"),
        ("cpu.max", "50000 100000"),
        ("cpu.max.burst", "10000"),
        ("memory.high", "33554432"),
        ("memory.low", "1048576"),
        ("pids.max", "9"),
    ):
        assert text(f"{group.unified}/{file}") == value
    group.update({"cpu": {"idle": 1, "shares": 512}})
    assert text(f"{group.unified}/cpu.idle") == "1"


def test_a_weight_of_block_io(parent: Parent) -> None:
    try:
        group = parent.create({"blockIO": {"weight": 500}})
    except HostError as error:
        assert "this kernel has no io.weight" in error.message
        return
    if os.path.exists(f"{group.unified}/io.bfq.weight"):
        assert text(f"{group.unified}/io.bfq.weight") == "default 500"
    else:
        assert text(f"{group.unified}/io.weight") == "default 4950"


def test_exec_goes_where_the_container_lets_it(parent: Parent) -> None:
    group = parent.create()
    inner = parent.create({}, "one/init.scope")
    process = parent.start(inner, "sleep", "1000")
    assert group.v2_path_of(process.pid) == inner.unified
    assert group.v2_path_of(os.getpid()) == group.unified


def test_there_is_one_device_program_after_updates(parent: Parent) -> None:
    group = parent.create({"devices": [{"allow": False}]})
    group.update({"devices": [{"allow": False}, {"allow": True, "type": "c"}]})
    directory_fd = os.open(str(group.unified), os.O_RDONLY)
    assert len(bpf.prog_query(directory_fd, bpf.BPF_CGROUP_DEVICE)) == 1
    group.update({"devices": [{"allow": True}]})
    assert bpf.prog_query(directory_fd, bpf.BPF_CGROUP_DEVICE) == []
    os.close(directory_fd)


def as_nobody(own: str, action: Callable[[], Any]) -> Any:
    """What `action` returns in a process of an ordinary user in the cgroup directory `own`."""
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            put(own + "/cgroup.procs", "0")
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            answer = action()
        except BaseException:  # told to the parent, which fails
            answer = traceback.format_exc()
        os.write(write_fd, json.dumps(answer).encode())
        os._exit(0)
    os.close(write_fd)
    with os.fdopen(read_fd, "rb") as file:
        answer = json.loads(file.read())
    os.waitpid(pid, 0)
    return answer


def delegated(parent: Parent, *inner: str) -> str:
    """A subtree of the user, with all controllers and groups in it; its directory."""
    top = parent.create({}, "user").unified or ""
    directories = [top]
    for name in inner:
        os.mkdir(f"{directories[-1]}/{name}")
        directories.append(f"{directories[-1]}/{name}")
    for directory in directories:
        for name in ("", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"):
            os.chown(directory + name, NOBODY, NOBODY)
    return top


def limited() -> list[Any]:
    """Makes a group with a limit as an ordinary user; gives its directory, the limit, and what facts told before."""
    told = facts()
    group = cgroup.create("/crate/abc", {"memory": {"limit": 32 * MIB}, "devices": [{"allow": False}]})
    held = text(f"{group.unified}/memory.max")
    group.adopt(os.getpid())
    inside = group.pids()
    put(os.path.dirname(os.path.dirname(str(group.unified))) + "/session/cgroup.procs", "0")
    group.remove()
    return [group.unified, held, len(inside), told["base"], "memory" in told["controllers"], group.has_device_rules]


def test_an_ordinary_user_limits_beside_its_session(parent: Parent) -> None:
    """As under user@1000.service/app.slice: the slice is the user's and holds no processes."""
    top = delegated(parent, "session")
    assert as_nobody(top + "/session", limited) == [top + "/crate/abc", str(32 * MIB), 1, top, True, False]


def alone() -> list[Any]:
    """As `limited`, by a process that is alone in its group."""
    group = cgroup.create("/crate/abc", {"memory": {"limit": 32 * MIB}})
    held = text(f"{group.unified}/memory.max")
    group.remove()
    return [group.unified, held, discover().own[""]]


def test_a_process_alone_in_what_it_was_given_steps_aside(parent: Parent) -> None:
    """As under `systemd-run --scope -p Delegate=yes crate run`."""
    top = delegated(parent)
    path = f"{parent.path}/user"
    assert as_nobody(top, alone) == [top + "/crate/abc", str(32 * MIB), path + "/crate/caller"]


def refused() -> list[Any]:
    """A limit that cannot be had, and no limit."""
    group = cgroup.create("/crate/abc", {"devices": [{"allow": False}]})
    try:
        cgroup.create("/crate/abc", {"memory": {"limit": 32 * MIB}})
    except HostError as error:
        return [group.directories(), error.message, error.hint]
    return ["not refused"]


def test_nothing_was_delegated(parent: Parent) -> None:
    own = parent.create({}, "session").unified or ""
    assert as_nobody(own, refused) == [
        [],
        f"cannot limit memory: cgroup {parent.path}/session is not delegated to this user",
        "start it with: systemd-run --user --scope -p Delegate=yes crate ...; --limits=best-effort goes on without",
    ]


def test_others_are_not_moved(parent: Parent) -> None:
    """In a delegated group with somebody else's process in it, limits cannot be had; a group without them can."""
    top = delegated(parent)
    other = parent.start(parent.groups[-1], "sleep", "1000")
    directories, message, _ = as_nobody(top, refused)
    assert directories == [top + "/crate/abc"]
    assert message == f"cannot limit memory: cgroup {top} holds processes of its own"
    assert text(top + "/cgroup.procs") == str(other.pid)


def test_facts_of_root(parent: Parent) -> None:
    told = facts()
    assert (told["version"], told["driver"], told["base"]) == ("2", "cgroupfs", "/sys/fs/cgroup")
    assert {"cpu", "cpuset", "memory", "pids", "blkio", "devices"} <= set(told["controllers"])
    assert told["has_freezer"]
    assert told["cpus"].startswith("0")
