"""Options of `run` about files: binds, tmpfs, --read-only, /dev/shm, --rootfs, devices."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate

IMAGE = "crate.local/busybox"
RUN = ("run", "--rm", "--network", "none")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def test_binds(crate: Crate, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("from the host\n")
    (tmp_path / "below").mkdir()
    out = crate.ok(*RUN, "-v", f"{tmp_path}:/mnt", IMAGE, "sh", "-c", "cat /mnt/in; echo inside > /mnt/out")
    assert out == "from the host" and (tmp_path / "out").read_text() == "inside\n"
    result = crate(*RUN, "-v", f"{tmp_path}:/mnt:ro", IMAGE, "touch", "/mnt/new")
    assert result.status == 1 and "Read-only file system" in result.err
    assert crate.ok(
        *RUN, "-v", "./below:/mnt", "-v", f"{tmp_path}/in:/etc/motd:ro", IMAGE, "cat", "/etc/motd", cwd=tmp_path
    )
    mount = f"type=bind,source={tmp_path},target=/mnt,readonly"
    assert crate(*RUN, "--mount", mount, IMAGE, "touch", "/mnt/new").status == 1
    assert (
        crate.ok(*RUN, "--mount", f"type=bind,src={tmp_path}/in,dst=/a/b/c", IMAGE, "cat", "/a/b/c") == "from the host"
    )


def test_nested_mounts_whatever_their_order(crate: Crate, tmp_path: Path) -> None:
    (tmp_path / "inner").write_text("inner\n")
    (tmp_path / "outer").mkdir()
    shown = crate.ok(
        *RUN, "-v", f"{tmp_path}/inner:/data/sub/file", "-v", f"{tmp_path}/outer:/data", "--tmpfs", "/data/tmp", IMAGE,
        "sh", "-c", "cat /data/sub/file; mount | grep -c ' /data'",
    )  # fmt: skip
    assert shown == "inner\n3"


def test_read_only_binds_are_so_all_the_way_down(crate: Crate, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path / "sub"], check=True)
    try:
        assert crate(*RUN, "-v", f"{tmp_path}:/mnt:ro", IMAGE, "touch", "/mnt/sub/x").status == 1
        assert crate.ok(*RUN, "-v", f"{tmp_path}:/mnt", IMAGE, "touch", "/mnt/sub/x") == ""
    finally:
        subprocess.run(["umount", tmp_path / "sub"], check=True)


def test_owner_of_a_bind(crate: Crate, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert (
        crate.ok(*RUN, "-u", "1234:77", "-v", f"{tmp_path}:/mnt:U", IMAGE, "stat", "-c", "%u:%g", "/mnt/file")
        == "1234:77"
    )
    assert "cannot change the owner of /etc" in crate.fails(125, *RUN, "-v", "/etc:/mnt:U", IMAGE, "true")
    assert os.stat("/etc").st_uid == 0


def test_tmpfs(crate: Crate) -> None:
    shown = crate.ok(
        *RUN, "--tmpfs", "/t:size=1m,mode=700,exec", "--tmpfs", "/u", "--mount",
        "type=tmpfs,target=/v,tmpfs-size=2m,tmpfs-mode=1750", IMAGE, "sh", "-c",
        "stat -c '%a' /t /u /v; df -k /t /v | awk '{print $2}'; mount | grep ' /u '",
    ).splitlines()  # fmt: skip
    assert shown[:3] == ["700", "1777", "1750"]
    assert shown[4:6] == ["1024", "2048"] and {"nosuid", "nodev", "noexec"} < set(shown[6].split("(")[1].split(","))
    full = crate(*RUN, "--tmpfs", "/t:size=64k", IMAGE, "dd", "if=/dev/zero", "of=/t/f", "bs=1k", "count=65")
    assert full.status == 1 and "No space left" in full.err


def test_read_only_root(crate: Crate) -> None:
    script = "touch /x; for d in /run /tmp /var/tmp /dev/shm; do touch $d/x && echo $d; done"
    assert crate.ok(*RUN, "--read-only", IMAGE, "sh", "-c", script).split() == ["/run", "/tmp", "/var/tmp", "/dev/shm"]
    assert crate.ok(*RUN, "--read-only", "--read-only-tmpfs=false", IMAGE, "sh", "-c", script) == "/dev/shm"


def test_shared_memory(crate: Crate) -> None:
    assert crate.ok(*RUN, IMAGE, "sh", "-c", "df -k /dev/shm | tail -1").split()[1] == "65536"
    assert crate.ok(*RUN, "--shm-size", "8m", IMAGE, "sh", "-c", "df -k /dev/shm | tail -1").split()[1] == "8192"


def test_devices(crate: Crate) -> None:
    shown = crate.ok(*RUN, IMAGE, "ls", "/dev").split()
    assert set(shown) >= set("fd full null ptmx pts random shm stdin stdout stderr tty urandom zero mqueue".split())
    assert crate(*RUN, IMAGE, "sh", "-c", "mknod /tmp/d c 10 200 && : < /tmp/d").status != 0
    script = "stat -c '%t:%T' /dev/tunnel; : < /dev/tunnel && echo read; : > /dev/tunnel"
    result = crate(*RUN, "--device", "/dev/net/tun:/dev/tunnel:r", IMAGE, "sh", "-c", script)
    assert result.out.split() == ["a:c8", "read"] and "Operation not permitted" in result.err
    assert crate.ok(*RUN, "--device", "/dev/net/tun", IMAGE, "sh", "-c", ": > /dev/net/tun") == ""
    everything = crate.ok(*RUN, "--privileged", IMAGE, "ls", "/dev").split()
    assert len(everything) > len(shown)


def test_rootfs_is_used_as_it_is(crate: Crate, tmp_path: Path) -> None:
    _make_root(tmp_path / "root")
    shown = crate.ok(*RUN, "--rootfs", str(tmp_path / "root"), "/bin/busybox", "sh", "-c", "echo new > /kept; pwd")
    assert shown == "/" and (tmp_path / "root" / "kept").read_text() == "new\n"
    assert (
        crate.ok(*RUN, "--rootfs", "root:O", "/bin/busybox", "sh", "-c", "cat /kept; rm /kept", cwd=tmp_path) == "new"
    )
    assert (tmp_path / "root" / "kept").exists()
    crate.ok("create", "--name", "rooted", "--rootfs", str(tmp_path / "root"), "/bin/busybox", "true")
    found = crate.inspect("rooted")
    assert (found["Rootfs"], found["Image"], found["ImageName"]) == (str(tmp_path / "root"), "", "")
    assert crate("start", "--attach", "rooted").status == 0


def _make_root(root: Path) -> None:
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp"):
        (root / name).mkdir(parents=True)
    (root / "bin" / "busybox").write_bytes(_busybox())
    (root / "bin" / "busybox").chmod(0o755)


def _busybox() -> bytes:
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.path.exists(path):
            with open(path, "rb") as file:
                return file.read()
    raise AssertionError("no busybox")


def test_refused(crate: Crate) -> None:
    for options, named in {
        "-v /no/such/place:/mnt": "/no/such/place",
        "-v relative:../up:/mnt": "relative:../up:/mnt",
        "-v /tmp:mnt": "mnt",
        "-v /tmp:/": "/",
        "-v /tmp:/a -v /etc:/a": "/a",
        "--mount type=bind,source=/tmp": "target",
        "--mount type=nothing,target=/x": "nothing",
        "--mount source": "source",
        "--tmpfs /t:size=lots": "lots",
        "--tmpfs relative": "relative",
        "--shm-size -1": "-1",
        "--device /dev/no-such": "/dev/no-such",
        "--device /dev/null:/dev/x:q": "q",
        "--rootfs": IMAGE,
    }.items():
        assert named in crate.fails(125, "run", *options.split(), IMAGE, "true"), options
    assert crate.ok("ps", "--all", "--quiet") == ""


def test_image_as_a_mount(crate: Crate) -> None:
    mount = f"type=image,src={IMAGE},dst=/image"
    assert "busybox" in crate.ok(*RUN, "--mount", mount, IMAGE, "ls", "/image/bin").split()
    assert "Read-only" in crate(*RUN, "--mount", mount, IMAGE, "touch", "/image/file").err
    crate.ok("tag", IMAGE, "second")
    writable = "type=image,source=second,target=/image,rw=true"
    script = "echo more >> /image/file; cat /image/file"
    crate.ok("create", "--name", "writer", "--network", "none", "--mount", writable, IMAGE, "sh", "-c", script)
    assert crate.ok("start", "-a", "writer") == "more"
    assert crate.ok("start", "-a", "writer") == "more\nmore"
    (point,) = crate.inspect("writer")["Mounts"]
    assert (point["Type"], point["Source"], point["Destination"], point["RW"]) == ("image", "second", "/image", True)
    crate.ok("rm", "writer")
    assert crate(*RUN, "--mount", writable, IMAGE, "cat", "/image/file").status == 1
    crate.ok("run", "-d", "--name", "holder", "--network", "none", "--mount", mount, IMAGE, "sleep", "1000")
    assert crate.ok("image", "unmount", IMAGE) == crate.inspect("holder")["Image"]
    assert crate.ok("image", "unmount", IMAGE) == ""
    crate.ok("exec", "holder", "ls", "/image/bin")
    assert "image not known" in crate.fails(125, *RUN, "--mount", "type=image,src=none,dst=/image", IMAGE, "true")
    assert "source is required" in crate.fails(125, *RUN, "--mount", "type=image,dst=/image", IMAGE, "true")
