"""Volumes: named and anonymous ones of `run`, and the `volume` commands."""

from __future__ import annotations

import gzip
import json
import subprocess
import tarfile
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


def test_export_and_import(crate: Crate, tmp_path: Path) -> None:
    """The files with owners, modes and links, to a file and through a pipe; what is no archive, and no volume."""
    make = "chown 9:9 .; chmod 1750 .; "
    make += "echo kept > file; chown 7:8 file; chmod 640 file; ln file twin; ln -s /etc/passwd way; mkdir -m 700 d"
    crate.ok(*RUN, "-v", "data:/data", IMAGE, "sh", "-c", f"cd /data; {make}")
    archive = tmp_path / "data.tar"
    assert crate.ok("volume", "export", "-o", str(archive), "data") == ""
    with tarfile.open(archive) as tar:
        found = {entry.name: entry for entry in tar}
    assert sorted(found) == [".", "d", "file", "twin", "way"] and found["way"].linkname == "/etc/passwd"
    assert (found["file"].uid, found["file"].gid, found["file"].mode) == (7, 8, 0o640) and found["twin"].islnk()
    assert found["d"].mode == 0o700
    piped = subprocess.run(
        crate.command("volume", "export", "data"), env=crate.environment, capture_output=True, check=True
    )
    assert piped.stdout == archive.read_bytes()
    crate.ok("volume", "create", "copy")
    crate.ok(*RUN, "-v", "copy:/data", IMAGE, "sh", "-c", "cd /data; echo old > file; echo own > other; mkdir way")
    with gzip.open(tmp_path / "data.tgz", "wb") as packed:
        packed.write(piped.stdout)
    crate.ok("volume", "import", "copy", str(tmp_path / "data.tgz"))
    look = "cd /data; stat -c '%n %u:%g %a %h' . *; cat file other; readlink way"
    told = ". 9:9 1750 3\nd 0:0 700 2\nfile 7:8 640 2\nother 0:0 644 1\ntwin 7:8 640 2\nway 0:0 777 1\n"
    told += "kept\nown\n/etc/passwd"
    assert crate.ok(*RUN, "-v", "copy:/data", IMAGE, "sh", "-c", look) == told
    words = crate.command("volume", "import", "copy")
    subprocess.run(words, env=crate.environment, input=piped.stdout, check=True)
    (tmp_path / "text").write_text("no archive\n" * 100)
    assert "into volume copy" in crate.fails(125, "volume", "import", "copy", str(tmp_path / "text"))
    assert "none.tar: No such file" in crate.fails(125, "volume", "import", "copy", str(tmp_path / "none.tar"))
    for verb in (("export", "none"), ("import", "none", str(archive))):
        assert 'no volume with name "none"' in crate.fails(125, "volume", *verb)
    crate.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "ram")
    assert "ram is a tmpfs" in crate.fails(125, "volume", "export", "-o", str(tmp_path / "ram.tar"), "ram")
    assert not (tmp_path / "ram.tar").exists()


@pytest.mark.requires("unprivileged-user")
def test_export_and_import_by_an_ordinary_user(rootless_crate: Crate) -> None:
    """Owners are those that the container sees."""
    rootless_crate.ok(*RUN, "-v", "data:/data", IMAGE, "sh", "-c", "echo kept > /data/file; chown 7:8 /data/file")
    archive = f"{rootless_crate.place}/data.tar"
    rootless_crate.ok("volume", "export", "--output", archive, "data")
    with tarfile.open(archive) as tar:
        assert [(entry.name, entry.uid, entry.gid) for entry in tar] == [(".", 0, 0), ("file", 7, 8)]
    rootless_crate.ok("volume", "create", "copy")
    rootless_crate.ok("volume", "import", "copy", archive)
    look = ("stat", "-c", "%u:%g", "/data/file")
    assert rootless_crate.ok(*RUN, "-v", "copy:/data", IMAGE, *look) == "7:8"


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
