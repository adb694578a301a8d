"""`cp`: into, out of and between containers, running and not, and as tar streams."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox")
NONE = ("--network", "none")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """`file` and `tree` (a file, a directory, a link, a hard link, a mode and an owner)."""
    (tmp_path / "file").write_text("content\n")
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner/deep").write_text("deep\n")
    (tree / "inner").chmod(0o2750)
    (tree / "link").symlink_to("/etc/passwd")
    (tree / "one").write_text("same\n")
    os.link(tree / "one", tree / "two")
    os.chown(tree / "one", 1234, 5678)
    os.utime(tree / "inner/deep", (1000, 1000))
    return tmp_path


@pytest.fixture(params=["running", "created", "exited"])
def container(request: pytest.FixtureRequest, crate: Crate, busybox: str, tmp_path: Path) -> str:
    """A container in each of three states, with a volume, a bind in it, and a working directory that is there."""
    (tmp_path / "bind").mkdir()
    mounts = ("-v", "kept:/data", "-v", f"{tmp_path}/bind:/data/bind", "--tmpfs", "/temporary", "--workdir", "/etc")
    words = ("--name", "box", *NONE, *mounts, busybox)
    if request.param == "running":
        crate.ok("run", "-d", *words, "sleep", "1000")
    elif request.param == "created":
        crate.ok("create", *words, "true")
    else:
        crate.ok("run", *words, "true")
    return str(request.param)


def names(archive: str) -> list[str]:
    """What a tar archive that was printed holds."""
    raw = archive.encode("utf-8", "surrogateescape")
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return sorted(tar.getnames())


@pytest.mark.parametrize("container", ["running", "exited"], indirect=True)
def test_into(crate: Crate, container: str, files: Path, tmp_path: Path) -> None:
    for target, found in (
        ("/", "/file"),
        ("/new", "/new"),
        ("tmp", "/etc/tmp"),  # relative paths are meant from the working directory
        ("/var/tmp/", "/var/tmp/file"),
        ("/var/log/.", "/var/log/file"),
        ("/data", "/data/file"),
        ("/data/bind/here", "/data/bind/here"),
        ("/etc/group", "/etc/group"),
    ):
        crate.ok("cp", str(files / "file"), f"box:{target}")
        crate.ok("cp", f"box:{found}", str(tmp_path / "back"))
        assert (tmp_path / "back").read_text() == "content\n", target
        (tmp_path / "back").unlink()
    assert (tmp_path / "bind/here").read_text() == "content\n"
    volume = crate.ok("volume", "inspect", "-f", "{{.Mountpoint}}", "kept")
    assert sorted(os.listdir(volume)) == ["bind", "file"]


def test_trees(crate: Crate, container: str, files: Path, tmp_path: Path) -> None:
    crate.ok("cp", str(files / "tree"), "box:/new")
    crate.ok("cp", str(files / "tree"), "box:/home")
    crate.ok("cp", f"{files}/tree/.", "box:/home")
    assert names(crate.ok("cp", "box:/home", "-")) == sorted(
        [
            "home",
            *(f"home/{name}" for name in ("inner", "inner/deep", "link", "one", "two")),
            *(f"home/tree{name}" for name in ("", "/inner", "/inner/deep", "/link", "/one", "/two")),
        ]
    )
    out = tmp_path / "out"
    crate.ok("container", "cp", "box:/new/.", str(out))
    assert (out / "inner").stat().st_mode & 0o7777 == 0o2750
    assert (out / "inner/deep").stat().st_mtime == 1000
    assert os.readlink(out / "link") == "/etc/passwd"
    assert (out / "one").stat().st_ino == (out / "two").stat().st_ino


def test_errors_in_podmans_words(crate: Crate, container: str, files: Path, tmp_path: Path) -> None:
    source = str(files / "file")
    for words, told in (
        ((f"{source}.none", "box:/tmp"), f'"{source}.none" could not be found on the host'),
        ((source, "box:/none/"), '"/none/" could not be found on container box: no such file or directory'),
        ((source, "box:/none/at/all"), '"/none/at/all" could not be found on container box'),
        (("box:/none", str(tmp_path)), '"/none" could not be found on container box'),
        (("box:/etc/*", str(tmp_path)), '"/etc/*" could not be found on container box'),
        (("box:/etc/passwd/", str(tmp_path)), '"/etc/passwd/" could not be found on container box: not a directory'),
        (("box:/etc", source), "destination must be a directory when copying a directory"),
        ((str(files / "tree"), "box:/etc/passwd"), "destination must be a directory when copying a directory"),
        (("box:/etc/passwd", "/dev/null"), 'invalid destination: "/dev/null" must be a directory or a regular file'),
        (("-", "box:/etc/passwd"), "destination must be a directory when copying from stdin"),
        (("box:", "x"), 'invalid arguments "box:", "x": you must specify paths'),
        ((source, str(tmp_path)), "must specify at least one container source"),
        ((source, "nobody:/"), 'container "nobody" does not exist'),
    ):
        assert told in crate.fails(125, "cp", *words)
    for stream in ("no archive\n" * 100, ""):
        text = crate.fails(125, "cp", "-", "box:/etc", input=stream)
        assert text == "Error: source must be a (compressed) tar archive when copying from stdin"
    text = crate.fails(125, "cp", "-", "box:/none")
    assert text == "Error: destination must be a directory when copying from stdin"


def test_owners(crate: Crate, busybox: str, files: Path, tmp_path: Path) -> None:
    crate.ok("create", "--name", "box", *NONE, "--user", "77", busybox)
    look = ("run", "--rm", *NONE, "-v", "own:/data", busybox, "stat", "-c", "%u:%g")
    crate.ok("create", "--name", "holder", *NONE, "-v", "own:/data", busybox)
    crate.ok("cp", str(files / "tree/one"), "holder:/data/plain")
    crate.ok("cp", "--archive", str(files / "tree/one"), "holder:/data/kept")
    assert crate.ok(*look, "/data/plain", "/data/kept").split() == ["0:0", "1234:5678"]
    crate.ok("cp", "--archive=false", str(files / "tree/one"), "holder:/data/podmans")
    assert crate.ok(*look, "/data/podmans") == "1234:5678"
    crate.ok("cp", "holder:/data/kept", str(tmp_path / "mine"))
    crate.ok("cp", "-a", "holder:/data/kept", str(tmp_path / "theirs"))
    assert (tmp_path / "mine").stat().st_uid == 0 and (tmp_path / "theirs").stat().st_uid == 1234


def test_between_containers(crate: Crate, busybox: str, files: Path) -> None:
    crate.ok("create", "--name", "first", *NONE, busybox)
    crate.ok("run", "-d", "--name", "second", *NONE, busybox, "sleep", "1000")
    crate.ok("cp", str(files / "tree"), "first:/srv")
    crate.ok("cp", "first:/srv", "second:/srv")
    assert crate.ok("exec", "second", "cat", "/srv/inner/deep") == "deep"
    crate.ok("cp", "second:/srv/inner/deep", "second:/again")
    crate.ok("cp", "second:/again", "first:/again")
    assert names(crate.ok("cp", "first:/again", "-")) == ["again"]


def test_overwrite(crate: Crate, container: str, files: Path, tmp_path: Path) -> None:
    crate.ok("cp", str(files / "tree"), "box:/file")
    text = crate.fails(125, "cp", str(files / "file"), "box:/")
    assert 'error creating "/file"' in text and "file exists" in text
    crate.ok("cp", "--overwrite", str(files / "file"), "box:/")
    (tmp_path / "again/file").mkdir(parents=True)
    text = crate.fails(125, "cp", str(tmp_path / "again/file"), "box:/")
    assert 'error creating "/file"' in text
    crate.ok("cp", "--overwrite", str(tmp_path / "again/file"), "box:/")
    assert names(crate.ok("cp", "box:/file", "-")) == ["file"]


@pytest.mark.parametrize("compress", ["--no-auto-compress", "--gzip"])
def test_archive_from_stdin(crate: Crate, container: str, files: Path, compress: str) -> None:
    tar = ("tar", "--create", *((compress,) if compress == "--gzip" else ()), "--directory", str(files), "tree")
    stream = subprocess.run(tar, check=True, capture_output=True).stdout
    process = subprocess.Popen(crate.command("cp", "-", "box:/data"), stdin=subprocess.PIPE, env=crate.environment)
    process.communicate(stream, timeout=60)
    assert process.returncode == 0
    assert "tree/inner/deep" in names(crate.ok("cp", "box:/data/tree", "-"))


def test_running_tmpfs_and_mounted_files(crate: Crate, busybox: str, files: Path) -> None:
    crate.ok("run", "-d", "--name", "box", *NONE, "--tmpfs", "/temporary", busybox, "sleep", "1000")
    crate.ok("cp", str(files / "file"), "box:/temporary")
    assert crate.ok("exec", "box", "cat", "/temporary/file") == "content"
    crate.ok("cp", str(files / "file"), "box:/etc/hosts")  # written into, since it is mounted
    assert crate.ok("exec", "box", "sh", "-c", "cat /etc/hosts; grep -c ' /etc/hosts ' /proc/mounts") == "content\n1"
    crate.ok("cp", "box:/proc/meminfo", str(files / "meminfo"))
    assert "MemTotal" in (files / "meminfo").read_text()


def test_links_of_source(crate: Crate, busybox: str, tmp_path: Path) -> None:
    crate.ok(
        "run", "--name", "box", *NONE, busybox, "sh", "-c", "mkdir /srv /srv/in; ln -s .. /srv/in/up; touch /srv/x"
    )
    crate.ok("cp", "box:/srv/in/up", str(tmp_path / "followed"))
    assert sorted(os.listdir(tmp_path / "followed")) == ["in", "x"]
    crate.ok("cp", "--follow-link=false", "box:/srv/in/up", str(tmp_path / "kept"))
    assert os.readlink(tmp_path / "kept") == ".."


def test_read_only_stays_so(crate: Crate, busybox: str, files: Path) -> None:
    crate.ok("create", "--name", "box", *NONE, "--read-only", "-v", "kept:/data:ro", "-v", "other:/rw", busybox)
    for target in ("/", "/data"):
        assert "Read-only file system" in crate.fails(125, "cp", str(files / "file"), f"box:{target}")
    crate.ok("cp", str(files / "file"), "box:/rw")
