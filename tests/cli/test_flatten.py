"""`image flatten`: one layer out of many, and the same files."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from program import Crate

IMAGE = "crate.local/busybox"

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def grow(crate: Crate, image: str, name: str, change: Callable[[Path], object], *options: str) -> None:
    """One more layer on an image: what `change` does to its files."""
    crate.ok("create", "--name", "growing", image)
    change(Path(crate.ok("mount", "growing")))
    crate.ok("unmount", "growing")
    crate.ok("commit", "-q", *options, "growing", name)
    crate.ok("rm", "growing")


def first(tree: Path) -> None:
    (tree / "d/inner").mkdir(parents=True)
    for name in ("d/a", "d/b", "d/inner/c", "kept"):
        (tree / name).write_text(name)
    os.link(tree / "d/a", tree / "linked")
    os.chown(tree / "d/b", 7, 8)
    os.chmod(tree / "d/b", 0o4750)
    os.setxattr(tree / "d/inner", "user.colour", b"red")
    os.link(tree / "kept", tree / "d/kept")
    subprocess.run(["setcap", "cap_net_raw+ep", tree / "kept"], check=True)
    (tree / "var/log/old").write_text("old")
    (tree / "pointer").symlink_to("kept")


def second(tree: Path) -> None:
    (tree / "d/a").unlink()
    subprocess.run(["rm", "-r", tree / "var/log", tree / "d/inner"], check=True)
    (tree / "d/inner").write_text("now a file")
    (tree / "bin/vi").unlink()
    os.mkfifo(tree / "fifo", 0o640)
    os.utime(tree / "kept", (1, 2))


def third(tree: Path) -> None:
    (tree / "d/inner").unlink()
    (tree / "d/inner").mkdir()  # over a file that was a directory: nothing of that comes back
    (tree / "var/log").mkdir()
    (tree / "var/log/new").write_text("new")
    subprocess.run(["rm", "-r", tree / "home"], check=True)
    (tree / "home").symlink_to("d")
    with (tree / "sparse").open("wb") as file:
        file.truncate(1 << 26)


def seconds(tree: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    """The same with times as an archive has them."""
    return {name: (*facts[:3], facts[3] // 10**9, *facts[4:]) for name, facts in tree.items()}


def tree_of(crate: Crate, image: str) -> dict[str, tuple[Any, ...]]:
    """Everything of each file that a container can see, hard links as such."""
    root = Path(crate.ok("image", "mount", image))
    inodes = Counter((path.lstat().st_dev, path.lstat().st_ino) for path in root.rglob("*"))
    links: dict[tuple[int, int], str] = {}
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        name = str(path.relative_to(root))
        body: object = None
        if path.is_symlink():
            body = path.readlink()
        elif stat.S_ISREG(status.st_mode):
            body = status.st_size if status.st_size > 1 << 20 else path.read_bytes()
        key = (status.st_dev, status.st_ino)
        if inodes[key] > 1:  # more names may be hidden
            body = (body, links.setdefault(key, name))
        marks = {
            mark: os.getxattr(path, mark, follow_symlinks=False) for mark in os.listxattr(path, follow_symlinks=False)
        }
        found[name] = (
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_mtime_ns,
            status.st_rdev,
            body,
            marks,
        )
    crate.ok("image", "unmount", image)
    return found


@pytest.fixture
def layered(crate: Crate) -> str:
    """An image of four layers, with configuration and history."""
    grow(crate, IMAGE, "one", first, "-c", "ENV A=b", "-c", "USER 7:8", "-c", 'CMD ["sh", "-c", "id"]')
    grow(crate, "one", "two", second, "-c", "LABEL x=y")
    grow(crate, "two", "three", third)
    return "three"


def details(crate: Crate, image: str) -> Any:
    (found,) = json.loads(crate.ok("image", "inspect", image))
    return found


def test_the_files_are_the_same_in_one_layer(crate: Crate, layered: str) -> None:
    wanted, before = tree_of(crate, layered), details(crate, layered)
    assert wanted["d/inner"] and "d/inner/c" not in wanted and "var/log/old" not in wanted and "bin/vi" not in wanted
    image_id = crate.ok("image", "flatten", "-t", "flat", "-t", "example.com/flat:2", layered)
    assert tree_of(crate, "flat") == wanted
    after = details(crate, "flat")
    assert after["Id"] == image_id and after["Config"] == before["Config"] and after["Created"] == before["Created"]
    assert after["RepoTags"] == ["example.com/flat:2", "localhost/flat:latest"]
    assert len(after["RootFS"]["Layers"]) == 1 and len(before["RootFS"]["Layers"]) == 4
    assert len(after["History"]) == 1
    assert details(crate, layered) == before
    assert crate.ok("image", "flatten", layered) == image_id, "the same image gives the same digest"
    assert crate.ok("run", "--rm", "--network", "none", "flat") == "uid=7 gid=8(mail) groups=8(mail)"


def test_from_a_layer_up_what_is_hidden_stays_hidden(crate: Crate, layered: str) -> None:
    wanted = tree_of(crate, layered)
    layers = details(crate, layered)["RootFS"]["Layers"]
    for number, place in ((2, "2"), (3, layers[2][:19])):
        crate.ok("image", "flatten", "--keep-history", "--from", place, "-t", f"from{number}", layered)
        assert tree_of(crate, f"from{number}") == wanted
        after = details(crate, f"from{number}")
        assert after["RootFS"]["Layers"][:-1] == layers[: number - 1]
        steps = after["History"]
        assert len(steps) == 5
        assert [bool(step.get("empty_layer")) for step in steps] == [
            place >= number - 1 and place < 4 for place in range(5)
        ]
    # What others unpack is the same too: the archive says what is hidden.
    crate.ok("save", "-o", f"{crate.place}/two.tar", "from2")
    crate.ok("rmi", "-f", *crate.ok("images", "-qa").split())
    crate.ok("load", "-q", "-i", f"{crate.place}/two.tar")
    assert seconds(tree_of(crate, "from2")) == seconds(wanted)


def test_what_is_no_layer(crate: Crate, layered: str) -> None:
    assert "give its place, 1 to 4" in crate.fails(125, "image", "flatten", "--from", "9", layered)
    assert "no layer of three" in crate.fails(125, "image", "flatten", "--from", "sha256:", layered)
    assert "image not known" in crate.fails(125, "image", "flatten", "none")
    assert crate.ok("images", "-f", "dangling=true", "-q") == ""


def test_the_files_of_an_ordinary_users_image(rootless_crate: Crate) -> None:
    crate = rootless_crate
    crate.ok("pull", "-q", IMAGE)
    steps = ("mkdir -p /d/e; echo 1 > /d/e/f; ln /d/e/f /g; chown 5:6 /d/e", "rm -r /d/e; mkdir /d/e; rm /bin/vi")
    for name, base, step in zip(("one", "two"), (IMAGE, "one"), steps, strict=True):
        crate.ok("run", "--network", "none", "--name", name, base, "sh", "-c", step)
        crate.ok("commit", "-q", name, name)
    look = ("sh", "-c", "cd /; find d g bin | sort; stat -c '%n %u %g %a %Y' d d/e g")
    wanted = crate.ok("run", "--rm", "--network", "none", "two", *look)
    assert "d/e/f" not in wanted and "bin/vi\n" not in wanted
    for number in (1, 2):
        crate.ok("image", "flatten", "--from", str(number), "-t", "flat", "two")
        found = crate.ok("run", "--rm", "--network", "none", "flat", *look)
        assert found == wanted
