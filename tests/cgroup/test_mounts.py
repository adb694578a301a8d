"""The parts of a container's /sys/fs/cgroup, mounted for real in a mount namespace of their own."""

from __future__ import annotations

from shlex import join
from typing import TYPE_CHECKING, Any

import pytest

from crate.cgroup.mounts import mounts_for

if TYPE_CHECKING:
    from pathlib import Path

    from cgroup.groups import Parent

pytestmark = pytest.mark.requires("root")


def command(part: dict[str, Any]) -> str:
    """A part as a line of shell."""
    kind, source, target, options = part["type"], part["source"], part["destination"], part["options"]
    if kind == "symlink":
        return join(["ln", "-s", source, target])
    if kind == "remount":
        return join(["mount", "-o", ",".join(["remount", "bind", *options]), target])
    make = join(["mkdir", "-p", target])
    if kind == "bind":
        rest = join(["mount", "-o", ",".join(["remount", *options]), target])
        return f"{make} && {join(['mount', '--bind', source, target])} && {rest}"
    return f"{make} && {join(['mount', '-t', kind, '-o', ','.join(options), source, target])}"


@pytest.mark.parametrize("private", [True, False])
def test_the_container_sees_its_limit_and_no_other_group(parent: Parent, tmp_path: Path, private: bool) -> None:
    group = parent.create({"memory": {"limit": 64 << 20}, "pids": {"limit": 55}})
    parent.create({}, "neighbour")
    target = str(tmp_path)
    lines = [command(part) for part in mounts_for(group, private, target=target)]
    v1 = bool(group.groups)
    memory = f"{target}/memory/memory.limit_in_bytes" if v1 else f"{target}/memory.max"
    pids = f"{target}/pids/pids.max" if v1 else f"{target}/pids.max"
    looks = [f"cat {memory} {pids}", f"mkdir {target}/new 2>&1 | grep -o 'Read-only.*'"]
    looks.append(f"find {target} -maxdepth 3 -name neighbour -o -maxdepth 3 -name 'crate*'")
    script = " && ".join(lines) + "\n" + "\n".join(looks)
    status, out = parent.run(group, "unshare", "-mC" if private else "-m", "sh", "-c", script)
    assert out.split("\n") == [str(64 << 20), "55", "Read-only file system", ""]
    assert status == 0
