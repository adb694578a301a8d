"""Volumes: named and anonymous ones of `run`, and the `volume` commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
RUN = ("run", "--rm", "--network", "none")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def test_named(crate: Crate) -> None:
    crate.ok(*RUN, "-v", "data:/data", IMAGE, "sh", "-c", "echo kept > /data/file")
    assert crate.ok(*RUN, "-v", "data:/other:ro", IMAGE, "cat", "/other/file") == "kept"
    assert crate(*RUN, "-v", "data:/data:ro", IMAGE, "touch", "/data/x").status == 1
    assert crate.ok(*RUN, "--mount", "type=volume,source=data,target=/m", IMAGE, "cat", "/m/file") == "kept"
    place = Path(crate.ok("volume", "inspect", "-f", "{{.Mountpoint}}", "data"))
    assert (place / "file").read_text() == "kept\n"
    both = ("-v", "data:/one", "-v", "data:/two")
    assert crate.ok(*RUN, *both, IMAGE, "sh", "-c", "echo x > /one/new; cat /two/new") == "x"


def test_first_use_brings_the_images_files(crate: Crate) -> None:
    assert "busybox" in crate.ok(*RUN, "-v", "bins:/bin", IMAGE, "/bin/ls", "/bin").split()
    assert crate.ok(*RUN, "-v", "empty:/usr/bin:nocopy", IMAGE, "sh", "-c", "ls /usr/bin | wc -l") == "0"
    assert crate.ok(*RUN, "-v", "mode:/tmp", IMAGE, "stat", "-c", "%a", "/tmp") == "1777"
    assert crate.ok(*RUN, "-u", "55:66", "-v", "mine:/srv/new:U", IMAGE, "stat", "-c", "%u:%g", "/srv/new") == "55:66"


def test_mount_tells_the_directory(crate: Crate) -> None:
    crate.ok("volume", "create", "data")
    (Path(crate.ok("volume", "mount", "data")) / "file").write_text("from outside")
    assert crate.ok(*RUN, "-v", "data:/data", IMAGE, "cat", "/data/file") == "from outside"
    assert crate.ok("volume", "unmount", "data") == "data"
    crate.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "ram")
    assert "tmpfs" in crate.fails(125, "volume", "mount", "ram")


def test_anonymous(crate: Crate) -> None:
    crate.ok("run", "--name", "keeper", "--network", "none", "-v", "/data", IMAGE, "sh", "-c", "echo kept > /data/file")
    name = crate.inspect("keeper")["Mounts"][0]["Name"]
    assert len(name) == 64 and crate.ok("volume", "ls", "-q") == name
    (found,) = json.loads(crate.ok("volume", "inspect", name))
    assert found["Anonymous"] is True
    crate.ok("rm", "keeper")
    assert crate.ok("volume", "ls", "-q", "--filter", "dangling=true") == name
    crate.ok("create", "--name", "other", "-v", "/data", IMAGE)
    crate.ok("rm", "--volumes", "other")
    assert crate.ok("volume", "ls", "-q") == name
    crate.ok(*RUN, "-v", "/data", IMAGE, "touch", "/data/x")
    detached = crate.ok("run", "-d", "--rm", "--network", "none", "-v", "/data", IMAGE, "true")
    crate("wait", detached)
    crate.fails(127, *RUN, "-v", "/data", IMAGE, "no-such-program")
    crate.fails(125, *RUN, "-v", "/data", "-u", "no-such-user", IMAGE, "true")
    assert crate.ok("volume", "ls", "-q") == name


def test_volumes_from(crate: Crate, tmp_path: Path) -> None:
    crate.ok("create", "--name", "donor", "-v", "data:/data", "-v", f"{tmp_path}:/mnt", IMAGE)
    crate.ok(*RUN, "--volumes-from", "donor", IMAGE, "sh", "-c", "echo a > /data/file; echo b > /mnt/file")
    assert (tmp_path / "file").read_text() == "b\n"
    assert crate.ok(*RUN, "-v", "data:/data", IMAGE, "cat", "/data/file") == "a"
    assert crate(*RUN, "--volumes-from", "donor:ro", IMAGE, "touch", "/data/x").status == 1
    assert "gone" in crate.fails(125, *RUN, "--volumes-from", "gone", IMAGE, "true")


def test_create_list_inspect_remove(crate: Crate) -> None:
    assert crate.ok("volume", "create", "-l", "a=b", "one") == "one" == crate.ok("volume", "create", "one")
    drawn = crate.ok("volume", "create")
    assert len(drawn) == 64
    assert crate.ok("volume", "ls").splitlines()[0].split() == ["DRIVER", "VOLUME", "NAME"]
    assert crate.ok("volume", "ls", "--filter", "label=a=b", "--format", "{{.Driver}} {{.Name}}") == "local one"
    (found,) = json.loads(crate.ok("volume", "inspect", "one"))
    assert found.items() >= {"Name": "one", "Driver": "local", "Labels": {"a": "b"}, "Scope": "local"}.items()
    assert crate("volume", "exists", "one").status == 0 and crate("volume", "exists", "gone").status == 1
    assert "gone" in crate.fails(1, "volume", "rm", "gone") and crate.ok("volume", "rm", "-f", "gone") == ""
    assert crate("volume", "inspect", "gone").status == 125
    crate.ok("create", "--name", "user", "-v", "one:/one", IMAGE)
    assert "being used" in crate.fails(2, "volume", "rm", "one")
    assert crate.ok("volume", "rm", drawn) == drawn
    assert crate.ok("volume", "rm", "--force", "one") == "one" and crate.ok("ps", "-aq") == ""
    assert crate.ok("volume", "ls", "-q") == ""
    for name in ("a/b", "-x", "x y"):
        assert name in crate.fails(125, "volume", "create", "--", name)
    assert "nfs-of-mine" in crate.fails(125, "volume", "create", "-d", "nfs-of-mine", "two")


def test_options_of_mount(crate: Crate, tmp_path: Path) -> None:
    crate.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,mode=0700", "mem")
    assert crate.ok(*RUN, "-v", "mem:/mem", IMAGE, "sh", "-c", "mount | grep ' /mem '").startswith(
        "tmpfs on /mem type tmpfs"
    )
    crate.ok("volume", "create", "-o", "type=none", "-o", f"device={tmp_path}", "-o", "o=bind", "there")
    crate.ok(*RUN, "-v", "there:/x", IMAGE, "touch", "/x/made")
    assert (tmp_path / "made").exists()
    assert "colour" in crate.fails(125, "volume", "create", "-o", "colour=red", "x1")
