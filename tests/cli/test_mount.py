"""`mount` and `unmount`: the files of containers and images on the host."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from program import Crate

NONE = ("--network", "none")
root = pytest.mark.requires("root", "overlay", "busybox")


def mounts(crate: Crate) -> list[str]:
    """The mount points of this crate in the host's namespace."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if point.startswith((str(crate.root), str(crate.runroot)))]


@root
def test_running(crate: Crate, busybox: str) -> None:
    crate.ok("run", "-d", "--name", "box", *NONE, busybox, "sleep", "1000")
    place = Path(crate.ok("mount", "box"))
    crate.ok("exec", "box", "touch", "/inside")
    assert (place / "inside").exists()
    (place / "outside").touch()
    assert crate.ok("exec", "box", "ls", "/outside") == "/outside"
    identity = crate.inspect("box")["Id"]
    assert crate.ok("mount").split() == [identity[:12], str(place)]
    assert crate.ok("container", "mount", "--no-trunc").split() == [identity, str(place)]
    assert json.loads(crate.ok("mount", "--format", "json")) == [
        {"id": identity, "Names": ["box"], "mountpoint": str(place)}
    ]
    assert crate.ok("umount", "box") == "box" and not place.exists() and not mounts(crate)
    assert crate.ok("unmount", "box") == "box" and crate.ok("mount") == ""


@root
def test_stopped_then_started(crate: Crate, busybox: str) -> None:
    crate.ok("create", "--name", "box", *NONE, busybox, "cat", "/given")
    place = Path(crate.ok("mount", "--latest"))
    (place / "given").write_text("from the host\n")
    assert crate.ok("start", "--attach", "box") == "from the host"
    crate.ok("cp", "box:/given", str(crate.place / "back"))
    assert (crate.place / "back").read_text() == "from the host\n"
    assert crate.ok("umount", "--all") == crate.inspect("box")["Id"]
    assert crate.ok("start", "--attach", "box") == "from the host"


@root
def test_read_only_container_starts_while_mounted(crate: Crate, busybox: str) -> None:
    crate.ok("run", "-d", "--name", "box", *NONE, "--read-only", "-v", "kept:/new/kept", busybox, "sleep", "1000")
    crate.ok("mount", "box")
    crate.ok("stop", "--time", "0", "box")
    crate.ok("start", "box")
    assert crate("exec", "box", "touch", "/x").status == 1 and crate("exec", "box", "touch", "/new/kept/x").status == 0
    crate.ok("umount", "box")
    crate.ok("stop", "--time", "0", "box")
    crate.ok("mount", "box")
    crate.ok("start", "box")


@root
def test_removal_takes_the_mount_away(crate: Crate, busybox: str) -> None:
    crate.ok("create", "--name", "box", *NONE, busybox)
    crate.ok("mount", "--all")
    assert len(mounts(crate)) == 1
    crate.ok("rm", "box")
    assert not mounts(crate) and not os.listdir(crate.root / "trash")


@root
def test_image(crate: Crate, busybox: str) -> None:
    place = Path(crate.ok("image", "mount", busybox))
    assert (place / "bin/busybox").exists()
    with pytest.raises(OSError, match="Read-only"):
        (place / "new").touch()
    assert crate.ok("image", "mount").split() == [f"{busybox}:latest", str(place)]
    assert crate.ok("image", "mount", "--all").split() == [f"{busybox}:latest", str(place)]
    (found,) = json.loads(crate.ok("image", "mount", "--format", "json"))
    assert found["mountpoint"] == str(place) and found["Repositories"] == [f"{busybox}:latest"]
    assert crate.ok("image", "umount", busybox) == found["id"]
    assert crate.ok("image", "unmount", busybox) == "" == crate.ok("image", "mount")
    assert "none: image not known" in crate.fails(125, "image", "umount", "none")
    assert 'unknown --format argument: "x"' in crate.fails(125, "image", "mount", "--format", "x")


@pytest.mark.requires("unprivileged-user", "busybox")
def test_ordinary_user_is_told_where(rootless_crate: Crate) -> None:
    rootless_crate.ok("pull", "--quiet", "crate.local/busybox")
    rootless_crate.ok("create", "--name", "box", *NONE, "crate.local/busybox")
    for words in (("mount", "box"), ("umount", "box"), ("image", "mount", "crate.local/busybox")):
        assert "in rootless mode, must execute `crate unshare` first" in rootless_crate.fails(125, *words)
