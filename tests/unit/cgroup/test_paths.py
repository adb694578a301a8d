"""Paths of groups, and places in trees: the logic alone, on directories that are no cgroups."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from crate.cgroup import from_record
from crate.cgroup.delegation import base_directory, enable, handed_down, in_user_namespace, levels
from crate.cgroup.explain import absent, cpu_list
from crate.cgroup.group import Cgroup
from crate.cgroup.hierarchy import Hierarchy
from crate.cgroup.make import clean_path, controllers_asked
from crate.cgroup.mounts import mounts_for

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("/crate/abc", "/crate/abc"),
        ("crate/abc", "/crate/abc"),
        ("//crate/./abc/", "/crate/abc"),
        ("/../../etc", "/etc"),
        ("a/../../b", "/b"),
        ("system.slice:crate:abc", "/system.slice:crate:abc"),
        ("", "/"),
    ],
)
def test_paths_stay_beneath_the_mount(given: str, clean: str) -> None:
    assert clean_path(given) == clean


def test_levels() -> None:
    assert levels("/cg", "/cg/a/b/c") == ["/cg", "/cg/a", "/cg/a/b"]
    assert levels("/cg", "/cg/a") == ["/cg"]


def test_which_controllers_are_asked_for() -> None:
    assert controllers_asked({}) == []
    assert controllers_asked({"cpu": {"cpus": "0"}}) == ["cpuset"]
    assert controllers_asked({"cpu": {"shares": None}, "memory": {}}) == []
    assert controllers_asked({"cpu": {"idle": 0}, "network": {"classID": 1, "priorities": [{}]}}) == [
        "cpu",
        "net_cls",
        "net_prio",
    ]


@pytest.mark.parametrize(("text", "numbers"), [("0-3,7", {0, 1, 2, 3, 7}), ("", set()), ("5\n", {5}), ("1,1", {1})])
def test_lists_of_cpus(text: str, numbers: set[int]) -> None:
    assert cpu_list(text) == numbers


def test_absent_cpus() -> None:
    assert absent("0,9", "0-1")
    assert not absent("0-1", "0-3")
    assert not absent("0-7:1/2", "0-3")


def test_a_record_goes_round() -> None:
    group = Cgroup(
        "/crate/x", {"cpu": "/cg/cpu,cpuacct/crate/x", "cpuacct": "/cg/cpu,cpuacct/crate/x"}, "/cg/u/crate/x"
    )
    again = from_record(group.record())
    assert again.join_paths() == ["/cg/cpu,cpuacct/crate/x/tasks"]
    assert again.v2_path() == "/cg/u/crate/x"
    assert again.directory("memory") == "/cg/u/crate/x"
    assert again.directories() == ["/cg/cpu,cpuacct/crate/x", "/cg/u/crate/x"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0::/crate/x/init.scope", "/cg/crate/x/init.scope"),
        ("0::/crate/x", "/cg/crate/x"),
        ("0::/user.slice/crate/x/a b", "/cg/crate/x/a b"),
        ("0::/crate/xy/other", "/cg/crate/x"),
        ("0::/elsewhere", "/cg/crate/x"),
        ("0::/crate/x/../../evil", "/cg/crate/x"),
        ("4:memory:/crate/x/y", "/cg/crate/x"),
    ],
)
def test_where_exec_goes(tmp_path: Path, line: str, expected: str) -> None:
    (tmp_path / "42").mkdir()
    (tmp_path / "42" / "cgroup").write_text("9:pids:/\n" + line + "\n")
    assert Cgroup("/crate/x", {}, "/cg/crate/x").v2_path_of(42, str(tmp_path)) == expected


def fake(directory: Path, controllers: str, handed: str = "", procs: str = "") -> None:
    """A directory that looks like a v2 group."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "cgroup.controllers").write_text(controllers)
    (directory / "cgroup.subtree_control").write_text(handed)
    (directory / "cgroup.procs").write_text(procs)


def test_the_nearest_group_that_offers_all_is_taken(tmp_path: Path) -> None:
    fake(tmp_path, "cpu memory pids", "cpu memory pids")
    fake(tmp_path / "user", "cpu memory pids", "memory pids")
    fake(tmp_path / "user" / "app", "memory pids", "pids")
    fake(tmp_path / "user" / "app" / "own", "pids", "", f"{os.getpid()}\n1\n")
    tree = Hierarchy({}, (str(tmp_path), "/"), {"": "/user/app/own"})
    assert base_directory(tree, []) == f"{tmp_path}/user/app/own"
    assert base_directory(tree, ["pids"]) == f"{tmp_path}/user/app"
    assert base_directory(tree, ["pids", "memory"]) == f"{tmp_path}/user/app"
    assert base_directory(tree, ["pids", "memory", "cpu"]) == f"{tmp_path}/user"
    assert handed_down(f"{tmp_path}/user/app/own") == []


def test_a_group_that_we_stepped_aside_into_is_not_the_base(tmp_path: Path) -> None:
    fake(tmp_path, "pids", "pids")
    fake(tmp_path / "own", "pids", "pids")
    fake(tmp_path / "own" / "crate" / "caller", "pids", "", str(os.getpid()))
    tree = Hierarchy({}, (str(tmp_path), "/"), {"": "/own/crate/caller"})
    assert base_directory(tree, ["pids"]) == f"{tmp_path}/own"


def test_only_what_the_top_offers_is_handed_down(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "a", tmp_path / "a" / "b"):
        fake(directory, "cpu memory", "cpu")
    enable(str(tmp_path), str(tmp_path / "a" / "b"), ["cpu", "io", "memory"])
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"
    assert (tmp_path / "a" / "cgroup.subtree_control").read_text() == "+memory"
    assert (tmp_path / "a" / "b" / "cgroup.subtree_control").read_text() == "cpu"


def test_user_namespaces(tmp_path: Path) -> None:
    uid_map = tmp_path / "uid_map"
    uid_map.write_text("         0       1000          1\n")
    assert in_user_namespace(str(uid_map))
    uid_map.write_text("         0          0 4294967295\n")
    assert in_user_namespace(str(uid_map)) == (os.geteuid() != 0)


V1_GROUP = Cgroup(
    "/crate/x",
    {"cpu": "/cg/cpu,cpuacct/x", "cpuacct": "/cg/cpu,cpuacct/x", "name=systemd": "/cg/systemd/x"},
    "/cg/unified/x",
)


def parts(group: Cgroup, private: bool, *options: str) -> list[tuple[str, str, str, list[str]]]:
    """The parts as tuples, on /t."""
    found = mounts_for(group, private, options=options, target="/t")
    return [(part["type"], part["source"], part["destination"], part["options"]) for part in found]


def test_mounts_of_v1_in_a_private_namespace() -> None:
    assert parts(V1_GROUP, True, "nosuid", "ro") == [
        ("tmpfs", "tmpfs", "/t", ["nosuid", "mode=755"]),
        ("cgroup", "cgroup", "/t/cpu,cpuacct", ["nosuid", "ro", "cpu", "cpuacct"]),
        ("symlink", "cpu,cpuacct", "/t/cpu", []),
        ("symlink", "cpu,cpuacct", "/t/cpuacct", []),
        ("cgroup", "cgroup", "/t/systemd", ["nosuid", "ro", "name=systemd"]),
        ("cgroup2", "cgroup2", "/t/unified", ["nosuid", "ro"]),
        ("remount", "", "/t", ["nosuid", "ro"]),
    ]


def test_mounts_of_v1_in_the_host_s_namespace() -> None:
    assert parts(V1_GROUP, False, "rw") == [
        ("tmpfs", "tmpfs", "/t", ["mode=755"]),
        ("bind", "/cg/cpu,cpuacct/x", "/t/cpu,cpuacct", ["bind", "rw"]),
        ("symlink", "cpu,cpuacct", "/t/cpu", []),
        ("symlink", "cpu,cpuacct", "/t/cpuacct", []),
        ("bind", "/cg/systemd/x", "/t/systemd", ["bind", "rw"]),
        ("bind", "/cg/unified/x", "/t/unified", ["bind", "rw"]),
    ]


def test_mounts_of_v2_and_of_nothing() -> None:
    group = Cgroup("/crate/x", {}, "/cg/crate/x")
    assert parts(group, True, "ro") == [("cgroup2", "cgroup2", "/t", ["ro"])]
    assert parts(group, False, "ro") == [("bind", "/cg/crate/x", "/t", ["bind", "ro"])]
    assert parts(Cgroup("/crate/x", {}, None), True, "ro") == []
