"""The files of containers without the kernel's overlay: whole trees, or those of fuse-overlayfs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from program import Crate

pytestmark = pytest.mark.requires("root", "busybox")
NONE = ("--network", "none")


@pytest.mark.parametrize(
    "driver", ["vfs", pytest.param("fuse-overlayfs", marks=pytest.mark.requires("fuse-overlayfs"))]
)
def test_every_verb(crate: Crate, driver: str) -> None:
    image = "crate.local/busybox"
    crate.ok("--storage-driver", driver, "pull", "--quiet", image)
    crate.ok("run", "--name", "box", *NONE, "-v", "kept:/kept", image, "sh", "-c", "echo 1 > /new; rm /etc/group")
    source = crate.place / "source"
    source.write_text("copied\n")
    crate.ok("cp", str(source), "box:/kept/copied")
    crate.ok("cp", str(source), "box:/etc/copied")
    assert crate.ok("diff", "box").splitlines() == ["C /etc", "A /etc/copied", "D /etc/group", "A /new"]
    committed = crate.ok("commit", "box", "committed")
    look = ("run", "--rm", *NONE, "-v", "kept:/kept", committed)
    assert crate.ok(*look, "cat", "/new", "/etc/copied", "/kept/copied").split() == ["1", "copied", "copied"]
    assert crate(*look, "test", "-e", "/etc/group").status == 1
    assert "A /new" in crate.ok("image", "diff", "committed").splitlines()
    crate.ok("export", "-o", str(crate.place / "box.tar"), "box")
    crate.ok("import", str(crate.place / "box.tar"), "flat")
    assert crate.ok("run", "--rm", *NONE, "flat", "cat", "/new") == "1"


@pytest.mark.requires("fuse-overlayfs")
def test_fuse_with_separators_in_the_path(crate: Crate, busybox: str) -> None:
    crate.root = crate.place / "a,b\\c d"
    words = ("--storage-driver", "fuse-overlayfs")
    crate.ok(*words, "pull", "--quiet", "crate.local/busybox")
    script = "rm -r /home && mkdir /home && touch /new && ls -A /home / | grep -c new"
    run = ("run", "--rm", *NONE, "crate.local/busybox", "sh", "-c", script)
    assert crate.ok(*words, *run) == "1"
    crate.root = crate.place / "a:b"
    crate.ok(*words, "pull", "--quiet", "crate.local/busybox")
    assert "fuse-overlayfs allows no colon in" in crate.fails(125, *words, *run)
