"""The files of an ordinary user's containers: cp, diff, commit, export, import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
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
