"""Where the controllers are, on machines that were recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crate.cgroup.hierarchy import discover, read

if TYPE_CHECKING:
    from pathlib import Path

    from crate.cgroup.hierarchy import Hierarchy

HYBRID = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/memory rw,nosuid shared:10 master:1 - cgroup cgroup rw,memory
34 31 0:31 / /sys/fs/cgroup/systemd rw,nosuid - cgroup systemd rw,xattr,release_agent=/lib/systemd/agent,name=systemd
35 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
90 22 0:30 / /srv/chroot/sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory
91 22 0:38 / /srv/chroot/sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
"""
HYBRID_OWN = "9:name=systemd:/user.slice/session-3.scope\n4:memory:/\n1:cpu,cpuacct:/user.slice\n0::/user.slice/a:b\n"
PURE_V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
NESTED = """\
600 590 0:30 /docker/abc /sys/fs/cgroup/memory ro,nosuid master:10 - cgroup cgroup rw,memory
601 590 0:31 /../.. /sys/fs/cgroup/pids ro,nosuid master:10 - cgroup cgroup rw,pids
602 590 0:32 / /odd\\040place/cpu ro,nosuid - cgroup cgroup rw,cpu
"""
NESTED_OWN = "4:memory:/docker/abc/inner\n3:pids:/\n2:cpu:/\n"


def machine(tmp_path: Path, mountinfo: str, own: str) -> Hierarchy:
    """The hierarchy of a recorded machine."""
    (tmp_path / "mountinfo").write_text(mountinfo)
    (tmp_path / "cgroup").write_text(own)
    return discover(str(tmp_path / "mountinfo"), str(tmp_path / "cgroup"))


def test_hybrid(tmp_path: Path) -> None:
    found = machine(tmp_path, HYBRID, HYBRID_OWN)
    assert found.version == "hybrid"
    assert found.v1 == {
        "cpu": ("/sys/fs/cgroup/cpu,cpuacct", "/"),
        "cpuacct": ("/sys/fs/cgroup/cpu,cpuacct", "/"),
        "memory": ("/sys/fs/cgroup/memory", "/"),
        "name=systemd": ("/sys/fs/cgroup/systemd", "/"),
    }
    assert found.unified == ("/sys/fs/cgroup/unified", "/")
    assert found.own["name=systemd"] == "/user.slice/session-3.scope"
    assert (found.own["cpu"], found.own["cpuacct"]) == ("/user.slice", "/user.slice")
    assert found.own[""] == "/user.slice/a:b"
    assert found.own_directory("cpu") == "/sys/fs/cgroup/cpu,cpuacct/user.slice"
    assert found.own_directory("memory") == "/sys/fs/cgroup/memory"
    assert found.own_directory("pids") is None


def test_without_the_v2_mount(tmp_path: Path) -> None:
    lines = [line for line in HYBRID.splitlines(keepends=True) if "cgroup2" not in line]
    found = machine(tmp_path, "".join(lines), HYBRID_OWN)
    assert (found.version, found.unified, found.v2_controllers()) == ("1", None, [])
    assert found.own_directory("") is None


def test_pure_v2(tmp_path: Path) -> None:
    found = machine(tmp_path, PURE_V2, "0::/user.slice/user-1000.slice/session-2.scope\n")
    assert (found.version, found.v1) == ("2", {})
    assert found.own_directory("") == "/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope"


def test_inside_another_container(tmp_path: Path) -> None:
    found = machine(tmp_path, NESTED, NESTED_OWN)
    assert found.own_directory("memory") == "/sys/fs/cgroup/memory/inner"
    assert found.own_directory("pids") is None
    assert found.own_directory("cpu") == "/odd place/cpu"


@pytest.mark.parametrize("mountinfo", ["", "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"])
def test_no_cgroups(tmp_path: Path, mountinfo: str) -> None:
    found = machine(tmp_path, mountinfo, "")
    assert (found.version, found.v1, found.unified) == ("none", {}, None)


def test_this_machine() -> None:
    assert discover().version in ("1", "2", "hybrid", "none")


def test_read_is_empty_where_nothing_is(tmp_path: Path) -> None:
    assert read(str(tmp_path / "none")) == ""
    assert read(str(tmp_path)) == ""
