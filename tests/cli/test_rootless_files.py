"""The files of an ordinary user's containers: cp, diff, commit, export, import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate

pytestmark = pytest.mark.requires("unprivileged-user", "busybox")
NONE = ("--network", "none")


@pytest.mark.parametrize("running", [True, False])
def test_there_and_back(rootless_crate: Crate, running: bool) -> None:
    crate, image = rootless_crate, "crate.local/busybox"
    crate.ok("pull", "--quiet", image)
    own = ("--name", "box", *NONE, "-v", "kept:/kept", image, "sh", "-c")
    work = "mkdir /new; echo own > /new/file; chown 5:6 /new/file; rm /etc/group; rm -r /home; mkdir /home"
    if running:
        crate.ok("run", "-d", *own, f"{work}; touch /kept/done; sleep 1000")
        crate.ok("exec", "box", "sh", "-c", "until test -e /kept/done; do :; done")
    else:
        crate.ok("run", *own, work)
    place = crate.place
    crate.ok("cp", "box:/new", str(place / "out"))
    assert (
        crate.user
        and (place / "out/file").read_text() == "own\n"
        and (place / "out/file").stat().st_uid == crate.user.uid
    )
    crate.ok("cp", str(place / "out/file"), "box:/kept/copied")
    assert crate.ok("diff", "box").splitlines() == ["C /etc", "D /etc/group", "C /home", "A /new", "A /new/file"]
    crate.ok("commit", "box", "committed")
    look = ("run", "--rm", *NONE, "-v", "kept:/kept")
    shell = ("sh", "-c", "cat /new/file; stat -c %u:%g /new/file; test -e /etc/group; echo $?")
    assert crate.ok(*look, "committed", *shell).split() == ["own", "5:6", "1"]
    assert crate.ok(*look, "committed", "stat", "-c", "%u %n", "/kept/copied") == "0 /kept/copied"
    crate.ok("export", "-o", str(place / "all.tar"), "box")
    crate.ok("import", str(place / "all.tar"), "flat")
    assert crate.ok(*look, "flat", *shell).split() == ["own", "5:6", "1"]


def test_from_a_directory_that_the_user_may_not_enter(rootless_crate: Crate, tmp_path: Path) -> None:
    """As after `sudo -u USER` in root's home."""
    crate, image = rootless_crate, "crate.local/busybox"
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    crate.ok("pull", "--quiet", image, cwd=closed)
    assert crate.ok("run", "--rm", *NONE, image, "pwd", cwd=closed) == "/"
    crate.ok("run", "-d", "--name", "box", *NONE, image, "sleep", "1000", cwd=closed)
    assert crate.ok("exec", "box", "echo", "inside", cwd=closed) == "inside"
    crate.ok("cp", "box:/etc/passwd", str(crate.place / "passwd"), cwd=closed)
    crate.ok("commit", "box", "committed", cwd=closed)
    crate.ok("rm", "-f", "-t", "0", "box", cwd=closed)
    crate.ok("image", "rm", "committed", cwd=closed)
