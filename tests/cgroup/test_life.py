"""The life of a group: its processes, freezing, killing, removing, finding it again."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from crate import cgroup
from crate.cgroup.make import create_monitor
from crate.errors import CrateError, HostError, UsageError
from crate.oci import json

if TYPE_CHECKING:
    from collections.abc import Callable

    from cgroup.groups import Parent

FAMILY = "sh -c 'sleep 1000 & sleep 1000' & sleep 1000 & wait"
BOMB = "while true; do sleep 0.01 & sleep 1000 & done"


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def states(pids: list[int]) -> set[str]:
    """The states of processes, as ps shows them."""
    found = set()
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            found.add(file.read().rpartition(")")[2].split()[0])
    return found


def test_a_group_is_found_again_from_its_record(parent: Parent) -> None:
    group = parent.create({"devices": [{"allow": True}]})
    again = cgroup.from_record(json.loads(json.dumps(group.record())))
    assert again.record() == group.record()
    assert again.join_paths() == group.join_paths()
    assert (again.v2_path(), again.has_device_rules) == (group.v2_path(), group.has_device_rules)


def test_a_group_without_a_record_is_found_by_its_path(parent: Parent) -> None:
    group = parent.create()
    found = cgroup.find(group.path)
    assert (found.path, found.unified) == (group.path, group.unified)
    assert found.groups.items() >= group.groups.items()
    found.remove()
    gone = cgroup.find(group.path)
    assert gone.directories() == []
    gone.kill()
    gone.remove()


def test_processes_of_inner_groups_belong_to_it(parent: Parent) -> None:
    group = parent.create()
    inner = parent.create({}, "one/inner/most")
    process = parent.start(inner, "sleep", "1000")
    until(lambda: process.pid in group.pids())
    group.kill()
    assert process.wait(timeout=60) == -9


@pytest.mark.parametrize("fixture", ["parent", "parent_without_v2"])
def test_freeze_and_thaw(fixture: str, request: pytest.FixtureRequest) -> None:
    parent: Parent = request.getfixturevalue(fixture)
    group = parent.create()
    process = parent.start(group, "sh", "-c", "while true; do echo .; sleep 0.01; done")
    assert process.stdout is not None
    process.stdout.readline()
    group.freeze()
    assert group.is_frozen()
    output_fd = process.stdout.fileno()
    os.set_blocking(output_fd, False)
    time.sleep(0.05)
    said(output_fd)
    time.sleep(0.2)
    assert not said(output_fd)
    group.freeze()  # once more is no error
    group.thaw()
    assert not group.is_frozen()
    until(lambda: said(output_fd))
    group.thaw()


def said(output_fd: int) -> bool:
    """Whether something was written to a pipe since it was last looked at."""
    try:
        return bool(os.read(output_fd, 1 << 16))
    except BlockingIOError:
        return False


@pytest.mark.parametrize("fixture", ["parent", "parent_without_v2"])
@pytest.mark.parametrize("frozen", [False, True])
def test_kill_takes_all_frozen_or_not(fixture: str, frozen: bool, request: pytest.FixtureRequest) -> None:
    parent: Parent = request.getfixturevalue(fixture)
    group = parent.create()
    process = parent.start(group, "sh", "-c", FAMILY)
    until(lambda: len(group.pids()) >= 5)
    if frozen:
        group.freeze()
    group.kill()
    assert process.wait(timeout=60) == -9
    until(lambda: not group.pids())
    group.remove()
    assert not any(os.path.exists(directory) for directory in group.directories())


@pytest.mark.parametrize("fixture", ["parent", "parent_without_v2"])
def test_kill_is_faster_than_a_process_that_forks(fixture: str, request: pytest.FixtureRequest) -> None:
    parent: Parent = request.getfixturevalue(fixture)
    group = parent.create({"pids": {"limit": 60}})
    process = parent.start(group, "sh", "-c", BOMB)
    until(lambda: len(group.pids()) > 20)
    group.kill()
    process.wait(timeout=60)
    until(lambda: not group.pids())


def test_kill_of_an_empty_group(parent: Parent) -> None:
    parent.create().kill()


def test_remove_takes_groups_made_by_the_container_and_is_content_when_gone(parent: Parent) -> None:
    group = parent.create()
    for directory in group.directories():
        os.makedirs(directory + "/system.slice/app.service")
    group.remove()
    group.remove()
    assert not any(os.path.exists(directory) for directory in group.directories())


def test_remove_waits_for_the_dying(parent: Parent) -> None:
    group = parent.create()
    process = parent.start(group, "sh", "-c", FAMILY)
    until(lambda: len(group.pids()) >= 5)
    group.kill()
    group.remove()
    process.wait(timeout=60)


def test_remove_tells_who_is_in_it(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crate.cgroup.group.REMOVE_SECONDS", 0.05)
    group = parent.create()
    process = parent.start(group, "sleep", "1000")
    until(lambda: bool(group.pids()))
    with pytest.raises(CrateError, match=r"cannot remove cgroup .*: Device or resource busy") as caught:
        group.remove()
    assert caught.value.hint == f"processes are in it: {process.pid}"


def test_adopt(parent: Parent) -> None:
    first, second = parent.create({}, "one"), parent.create({}, "two")
    process = parent.start(first, "sleep", "1000")
    until(lambda: first.pids() == [process.pid])
    second.adopt(process.pid)
    assert (first.pids(), second.pids()) == ([], [process.pid])
    assert states(second.pids()) <= {"S", "R"}


def test_the_root_of_the_hierarchy_is_no_group(parent: Parent) -> None:
    for path in ("/", "", "/../..", "//."):
        with pytest.raises(UsageError, match="a container needs a group of its own"):
            cgroup.create(path, {})


def test_a_path_cannot_leave_the_hierarchy(parent: Parent) -> None:
    group = cgroup.create(f"/../..{parent.path}/../{parent.path}/one", {}, hierarchy=parent.hierarchy)
    assert group.path == f"{parent.path}/one"


def test_without_any_cgroup_there_is_an_empty_group_until_a_limit_is_asked_for(parent: Parent) -> None:
    nothing = type(parent.hierarchy)({}, None, {})
    group = cgroup.create("/crate/x", {"devices": [{"allow": False}]}, hierarchy=nothing)
    assert (group.join_paths(), group.v2_path(), group.pids(), group.oom_kills()) == ([], None, [], 0)
    assert not group.has_device_rules
    assert group.stats()["memory"] == {}
    group.kill()
    group.thaw()
    group.remove()
    with pytest.raises(HostError, match="cannot freeze"):
        group.freeze()
    with pytest.raises(HostError, match="cannot limit memory: no cgroups are mounted"):
        cgroup.create("/crate/x", {"memory": {"limit": 1 << 30}}, hierarchy=nothing)


def test_the_group_of_the_monitors_is_only_where_the_caller_is_in_a_group(parent: Parent) -> None:
    group = create_monitor(parent.hierarchy)
    for name, directory in group.groups.items():
        assert parent.hierarchy.own[name] != "/"
        assert directory.endswith("/crate/monitor")
    assert group.unified is None or parent.hierarchy.own[""] != "/"
    assert create_monitor(parent.hierarchy).record() == group.record()
