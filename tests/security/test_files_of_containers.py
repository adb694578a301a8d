"""Hostile containers against the commands that read and write their files: cp, commit, export, diff."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registry.made import tar
from security.hostile import start_swapping

if TYPE_CHECKING:
    from program import Crate

pytestmark = [
    pytest.mark.requires("root", "overlay", "busybox"),
    pytest.mark.skipif(not shutil.which("musl-gcc"), reason="musl-gcc makes the program (apt install musl-tools)"),
]
NONE = ("--network", "none")
TRIES = 8
DIRECTORIES = 30
ROUNDS = 25


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A directory of the host with a secret, at a path that no container has."""
    place = tmp_path / "victim"
    place.mkdir()
    (place / "secret").write_text("the host's\n")
    return place


@pytest.mark.parametrize("running", [True, False])
def test_links_lead_nowhere_but_in_the_container(crate: Crate, busybox: str, victim: Path, running: bool) -> None:
    make = f"ln -s {victim} /link; ln -s ../../../../..{victim}/secret /file; ln -s /proc/1/root{victim} /magic"
    words = ("--name", "box", *NONE, busybox, "sh", "-c")
    if running:
        crate.ok("run", "-d", *words, f"{make}; touch /done; sleep 1000")
        crate.ok("exec", "box", "sh", "-c", "until test -e /done; do :; done")
    else:
        crate.ok("run", *words, make)
    source = crate.place / "source"
    source.write_text("copied\n")
    for target in ("/link", "/link/", "/link/new", "/magic/new"):
        crate.fails(125, "cp", str(source), f"box:{target}")
    for name in ("/file", "/link/secret", "/magic/secret", "/link"):
        crate.fails(125, "cp", f"box:{name}", str(crate.place / "out"))
        crate.fails(125, "cp", f"box:{name}", "-")
    assert os.listdir(victim) == ["secret"] and (victim / "secret").read_text() == "the host's\n"


def test_container_swaps_while_files_go_in(crate: Crate, busybox: str, victim: Path, tmp_path: Path) -> None:
    """Seen to catch a path that is checked, and then opened by name; directories of the target opened by name."""
    start_swapping(crate, tmp_path, busybox, f"mkdir /d; ln -s {victim} /way", "/d /way")
    tree = crate.place / "tree"
    for number in range(DIRECTORIES):  # each is a chance for the container
        (victim / f"x{number}").mkdir()
        (tree / f"d/x{number}").mkdir(parents=True)
        (tree / f"d/x{number}/secret").write_text("overwritten\n")
    source = crate.place / "source"
    source.write_text("overwritten\n")
    for _ in range(TRIES):  # whether it succeeds depends on the moment
        crate("cp", str(source), "box:/d/secret")
        crate("cp", f"{tree}/.", "box:/")
    crate("cp", "--overwrite", f"{tree}/.", "box:/")  # which replaces the link, if it meets it
    assert (victim / "secret").read_text() == "the host's\n"
    assert [path for path in victim.rglob("*") if path.is_file()] == [victim / "secret"]


def test_container_swaps_while_files_come_out(crate: Crate, busybox: str, victim: Path, tmp_path: Path) -> None:
    """Seen to catch a path that is checked, and then opened by name; files, and directories of a commit, opened so."""
    make = (
        f"mkdir /d; cd /d; mkdir e; for n in f g h e/secret kept; do echo own > $n; done; "
        f"mkfifo fifo; mknod null c 1 3; ln -s {victim} way; ln -s {victim}/secret link"
    )
    start_swapping(crate, tmp_path, busybox, make, "f link e way g fifo h null")
    for number in range(TRIES):
        out = crate.place / f"out{number}"
        crate("cp", "box:/d/f", str(out))
        crate("cp", "box:/d/e/secret", f"{out}.e")
        for words in (("cp", "box:/d", f"{out}.d"), ("export", "-o", f"{out}.tar", "box"), ("diff", "box")):
            crate.ok(*words)
        for path in [out, Path(f"{out}.e"), *Path(f"{out}.d").rglob("*")]:
            if path.is_file() and not path.is_symlink():
                assert path.read_text() in ("own\n", "")
        assert Path(f"{out}.d/kept").exists()
        if number % 3:
            continue
        image = crate.ok("commit", "--quiet", "box")
        look = "cat /d/kept; for n in f link e/secret way/secret; do test ! -f /d/$n || cat /d/$n; done"
        assert set(crate.ok("run", "--rm", *NONE, image, "sh", "-c", look).split()) == {"own"}
    for archive in crate.place.glob("out*.tar"):
        assert b"the host's" not in archive.read_bytes()


def test_hostile_archive_on_standard_input(crate: Crate, busybox: str, victim: Path) -> None:
    crate.ok("run", "-d", "--name", "box", *NONE, busybox, "sleep", "1000")
    crate.ok("exec", "box", "mkdir", "/in")

    def send(*entries: tuple[str, bytes, str]) -> int:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name, kind, target in entries:
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = kind, target
                tar.addfile(entry)
        command = crate.command("cp", "-", "box:/in")
        done = subprocess.run(command, check=False, input=stream.getvalue(), env=crate.environment, capture_output=True)
        return done.returncode

    assert send(("../../escaped", tarfile.REGTYPE, "")) == 125
    send(("way", tarfile.SYMTYPE, str(victim)), ("way/made", tarfile.REGTYPE, ""))
    send(("up", tarfile.SYMTYPE, "../../../../.."), (f"up{victim}/made", tarfile.REGTYPE, ""))
    send(("hard", tarfile.LNKTYPE, str(victim / "secret")))
    assert os.listdir(victim) == ["secret"] and not (crate.place / "escaped").exists()
    assert crate("exec", "box", "test", "-e", "/escaped").status == 1


def test_mounts_of_a_container_survive_a_copy(crate: Crate, busybox: str) -> None:
    crate.ok("run", "-d", "--name", "box", *NONE, "-v", "kept:/kept", busybox, "sleep", "1000")
    before = crate.ok("exec", "box", "cat", "/proc/mounts")
    source = crate.place / "kept"
    source.write_text("a file\n")
    crate.fails(125, "cp", "--overwrite", str(source), "box:/")
    crate.ok("cp", str(source), "box:/etc/resolv.conf")
    stream = subprocess.run(["tar", "c", "-C", crate.place, "kept"], check=True, capture_output=True).stdout
    command = crate.command("cp", "--overwrite", "-", "box:/")
    assert (
        subprocess.run(command, check=False, input=stream, env=crate.environment, capture_output=True).returncode == 125
    )
    assert crate.ok("exec", "box", "cat", "/proc/mounts") == before


def test_deep_tree(crate: Crate, busybox: str) -> None:
    deeper = "i=0; cd /; while test $i -lt 200; do mkdir d && cd d || exit; i=$((i+1)); done; echo end > f"
    crate.ok("run", "--name", "box", *NONE, busybox, "sh", "-c", deeper)
    crate.ok("cp", "box:/d", str(crate.place / "out"))
    assert subprocess.run(["find", crate.place / "out", "-name", "f"], check=True, capture_output=True).stdout
    image = crate.ok("commit", "box")
    assert crate.ok("run", "--rm", *NONE, image, "find", "/d", "-name", "f").count("/d") == 200


def test_container_swaps_above_a_volume_while_files_go_in(
    crate: Crate, busybox: str, victim: Path, tmp_path: Path
) -> None:
    """CVE-2026-41568, CVE-2026-42306: docker mounted volumes by path to copy, where the container swaps directories.

    Seen to catch a path that is checked, and then opened by name.
    """
    (victim / "b/v").mkdir(parents=True)
    (victim / "v").mkdir()
    start_swapping(crate, tmp_path, busybox, f"ln -s {victim} /way", "/a /way", "-v", "inner:/a/b/v")
    # a stopped one, whose places are in a volume that a living one changes
    crate.ok("create", "--name", "idle", *NONE, "-v", "outer:/s", "-v", "inner:/s/a/v", busybox, "true")
    crate.ok("start", "--attach", "idle")
    start_swapping(crate, tmp_path, busybox, f"ln -s {victim} /s/way", "/s/a /s/way", "-v", "outer:/s", name="swapper")
    source = crate.place / "source"
    source.write_text("copied\n")
    for number in range(TRIES):
        crate("cp", str(source), f"box:/a/b/v/made{number}")
        crate("cp", str(source), f"idle:/s/a/v/made{number}")
        crate("cp", str(source), f"idle:/s/a/made{number}")
        crate("cp", "idle:/s/a", str(crate.place / f"out{number}"))
    assert {str(path.relative_to(victim)) for path in victim.rglob("*")} == {"secret", "b", "b/v", "v"}
    assert (victim / "secret").read_text() == "the host's\n"
    copied = [path for path in crate.place.glob("out*/**/*") if path.is_file() and not path.is_symlink()]
    assert not any("host's" in path.read_text() for path in copied)
    assert len(os.listdir(crate.root / "volumes/inner/_data")) > 0


def test_container_swaps_while_its_volume_is_exported(crate: Crate, busybox: str, victim: Path, tmp_path: Path) -> None:
    """CVE-2023-0778: podman followed a link that took a file's place between the look and the reading.

    Seen to catch files and directories opened by name, and directories of an archive's members.
    """
    (victim / "d").mkdir()
    (victim / "d/secret").write_text("the host's\n")
    make = (
        f"cd /v; mkdir d; echo own > d/secret; echo own > f; mkfifo fifo; echo own > g; ln -s {victim}/secret way; "
        f"ln -s {victim}/d link"
    )
    start_swapping(crate, tmp_path, busybox, make, "d link f way g fifo", "-v", "held:/v")
    kinds = set()
    for number in range(ROUNDS):
        archive = tmp_path / f"{number}.tar"
        crate.ok("volume", "export", "-o", str(archive), "held")
        assert b"the host's" not in archive.read_bytes(), number
        with tarfile.open(archive) as found:
            kinds |= {(entry.name, entry.type) for entry in found}
    assert {("f", tarfile.REGTYPE), ("f", tarfile.SYMTYPE)} <= kinds  # it did swap
    files = [(f"d/{name}", b"overwritten\n") for name in ("secret", *(f"made{number}" for number in range(50)))]
    for _ in range(TRIES):  # whether it succeeds depends on the moment
        words = crate.command("volume", "import", "held")
        subprocess.run(words, input=tar(files), env=crate.environment, capture_output=True, check=False)
    assert sorted(os.listdir(victim)) == ["d", "secret"] and os.listdir(victim / "d") == ["secret"]
    assert {path.read_text() for path in (victim / "secret", victim / "d/secret")} == {"the host's\n"}
