"""Root filesystems: overlays by each of the three ways, of few and of many layers, and copies without overlay."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crate.errors import HostError, ImageError, UsageError
from crate.storage import changes, driver, rootfs
from crate.storage.roots import open_roots
from storage.archives import directory, hard_link, member, symlink
from storage.stacks import bare_stack, beneath, container, stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crate.storage.roots import Roots

pytestmark = pytest.mark.requires("root", "overlay")

OLD, PAGE = (5, 15), (5, 2)


@pytest.fixture
def chains(roots: Roots) -> list[str]:
    """Three layers that add, change, remove and replace."""
    return stack(
        roots,
        [
            directory(b"etc"),
            member(b"etc/kept", b"1"),
            member(b"etc/changed", b"1"),
            member(b"etc/removed", b"1"),
            directory(b"replaced"),
            member(b"replaced/old"),
            hard_link(b"etc/hard", b"etc/kept"),
            symlink(b"l", b"etc"),
        ],
        [member(b"etc/.wh.removed"), member(b"etc/changed", b"2"), member(b"replaced/.wh..wh..opq")],
        [member(b"replaced/new", b"3"), member(b"top", b"3")],
    )


def assert_merged(place: Path) -> None:
    assert sorted(path.name for path in place.iterdir()) == ["etc", "l", "replaced", "top"]
    assert sorted(path.name for path in (place / "etc").iterdir()) == ["changed", "hard", "kept"]
    assert (place / "etc/changed").read_text() == "2"
    assert os.listdir(place / "replaced") == ["new"]
    assert os.readlink(place / "l") == "etc"


@pytest.fixture
def mounted(roots: Roots, chains: list[str]) -> Iterator[Path]:
    where = container(roots, chains)
    fd = rootfs.mount_rootfs(roots, where, chains, volatile=False)
    yield beneath(fd)
    os.close(fd)


def test_layers_and_upper_are_one_tree(mounted: Path) -> None:
    assert_merged(mounted)
    (mounted / "etc/kept").write_text("own")
    (mounted / "etc/mine").touch()
    assert (mounted / "etc/kept").read_text() == "own"


def test_the_mount_is_nowhere_to_be_seen(roots: Roots, mounted: Path) -> None:
    assert mounted.is_dir()
    assert roots.graphroot not in Path("/proc/self/mountinfo").read_text()


def test_stated_options(roots: Roots, chains: list[str]) -> None:
    where = container(roots, chains)
    fd = rootfs.mount_rootfs(roots, where, chains, volatile=True)
    target = Path(where, "seen")
    target.mkdir()
    try:
        code = (
            "import sys; sys.path.insert(0, sys.argv[3]); from crate.linux import mount;"
            "mount.move_mount(int(sys.argv[1]), '', -100, sys.argv[2], mount.MOVE_MOUNT_F_EMPTY_PATH);"
            "print(open('/proc/self/mountinfo').read())"
        )
        source = str(Path(rootfs.__file__).parents[2])
        words = ["unshare", "-m", "/usr/bin/python3", "-I", "-c", code, str(fd), str(target), source]
        seen = subprocess.run(words, check=True, capture_output=True, text=True, pass_fds=[fd]).stdout
    finally:
        os.close(fd)
    (line,) = [line for line in seen.splitlines() if f" {target} " in line]
    options = line.rpartition(" ")[2].split(",")
    assert {"volatile", "fsync=volatile"} & set(options)
    assert "redirect_dir=nofollow" in options
    assert not {"metacopy=on", "index=on", "redirect_dir=on"} & set(options)
    assert f"upperdir={where}/upper" in options


def test_changes_stay_in_the_upper_layer(roots: Roots, chains: list[str]) -> None:
    where = container(roots, chains)
    for text in ("first", "second"):
        fd = rootfs.mount_rootfs(roots, where, chains, volatile=False)
        (beneath(fd) / "etc" / text).touch()
        os.close(fd)
    assert sorted(os.listdir(f"{where}/upper/etc")) == ["first", "second"]


def test_volatile_can_be_mounted_again(roots: Roots, chains: list[str]) -> None:
    where = container(roots, chains)
    for volatile in (True, True, False):
        os.close(rootfs.mount_rootfs(roots, where, chains, volatile=volatile))


@pytest.mark.parametrize("count", [0, 1, 2, 40, 120, 500])
@pytest.mark.parametrize("kernel", [None, OLD], ids=["this kernel", "old kernel"])
def test_numbers_of_layers(
    roots: Roots, monkeypatch: pytest.MonkeyPatch, count: int, kernel: tuple[int, int] | None
) -> None:
    if kernel:
        monkeypatch.setattr(rootfs, "kernel", lambda: kernel)
    chains = bare_stack(roots, count)
    where = container(roots, chains)
    fd = rootfs.mount_rootfs(roots, where, chains, volatile=False)
    try:
        names = set(os.listdir(beneath(fd)))
        assert names == {f"own{index}" for index in range(count)} | ({"all"} if count else set())
        if count:
            assert (beneath(fd) / "all").read_text() == str(count - 1)
        (beneath(fd) / "new").touch()
        assert os.listdir(f"{where}/upper") == ["new"]
    finally:
        os.close(fd)
    fd = rootfs.mount_layers(roots, chains)
    try:
        assert set(os.listdir(beneath(fd))) == names
        with pytest.raises(OSError, match="Read-only"):
            (beneath(fd) / "new").touch()
    finally:
        os.close(fd)


def test_more_layers_than_the_kernel_stacks(roots: Roots) -> None:
    chains = bare_stack(roots, 620)
    where = container(roots, chains)
    for _ in range(2):
        fd = rootfs.mount_rootfs(roots, where, chains, volatile=False)
        assert len(os.listdir(beneath(fd))) == 621
        assert (beneath(fd) / "all").read_text() == "619"
        os.close(fd)


def test_a_long_or_odd_graph_root(chains: list[str], roots: Roots) -> None:
    for name in ("long" * 60, "comma,colon:back\\slash"):
        other = open_roots(f"{os.path.dirname(roots.graphroot)}/{name}", roots.runroot)
        layer = bare_stack(other, 3)
        fd = rootfs.mount_rootfs(other, container(other, layer), layer, volatile=False)
        assert len(os.listdir(beneath(fd))) == 4
        (beneath(fd) / "all").write_text("new")
        os.close(fd)


def test_the_working_directory_is_kept(roots: Roots, chains: list[str], tmp_path: Path) -> None:
    before = Path.cwd()
    os.close(rootfs.mount_layers(roots, chains))
    assert Path.cwd() == before


def test_a_missing_layer_is_named(roots: Roots, chains: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    where = container(roots, chains)
    for kernel in (rootfs.kernel(), OLD):
        monkeypatch.setattr(rootfs, "kernel", lambda kernel=kernel: kernel)
        with pytest.raises(ImageError, match="layer ffffffffffff of the image is missing"):
            rootfs.mount_rootfs(roots, where, [*chains, "f" * 64], volatile=False)


def test_a_refusal_says_what_the_kernel_said(roots: Roots, chains: list[str]) -> None:
    with pytest.raises(HostError, match="cannot mount the root filesystem of"):
        rootfs.mount_rootfs(roots, "/nowhere", chains, volatile=False)


def test_the_driver_is_probed_and_kept(roots: Roots, chains: list[str]) -> None:
    assert roots.driver == ""
    os.close(rootfs.mount_layers(roots, chains))
    assert roots.driver == "overlay"
    assert open_roots(roots.graphroot, roots.runroot).driver == "overlay"
    assert driver.choose(roots, "vfs") == "vfs"
    assert open_roots(roots.graphroot, roots.runroot).driver == "vfs"
    with pytest.raises(UsageError, match="unknown storage driver zfs"):
        driver.choose(roots, "zfs")


def test_where_overlay_cannot_be_vfs_is_chosen(roots: Roots) -> None:
    assert driver.overlay_fault(roots) == ""
    place = Path(os.path.dirname(roots.graphroot), "ramfs")
    place.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "ramfs", place], check=True)  # it keeps no extended attributes
    try:
        other = open_roots(str(place / "graph"), roots.runroot)
        assert driver.overlay_fault(other) != ""
        chains = bare_stack(other, 2)
        fd = rootfs.mount_rootfs(other, container(other, chains), chains, volatile=False)
        assert sorted(os.listdir(beneath(fd))) == ["all", "own0", "own1"]
        os.close(fd)
        assert other.driver == "vfs"
    finally:
        subprocess.run(["umount", place], check=True)


def test_vfs_copies(roots: Roots, chains: list[str]) -> None:
    driver.choose(roots, "vfs")
    one, two = container(roots, chains), container(roots, chains)
    fds = [rootfs.mount_rootfs(roots, where, chains, volatile=False) for where in (one, two)]
    assert_merged(beneath(fds[0]))
    assert (beneath(fds[0]) / "etc/hard").stat().st_nlink == 2
    (beneath(fds[0]) / "etc/kept").write_text("own")
    assert (beneath(fds[1]) / "etc/kept").read_text() == "1"
    for fd in fds:
        os.close(fd)
    fd = rootfs.mount_rootfs(roots, one, chains, volatile=True)
    assert (beneath(fd) / "etc/kept").read_text() == "own"
    os.close(fd)
    fd = rootfs.mount_layers(roots, chains)
    assert_merged(beneath(fd))
    with pytest.raises(OSError, match="Read-only"):
        (beneath(fd) / "new").touch()
    os.close(fd)
    fd = rootfs.mount_rootfs(roots, container(roots, []), [], volatile=False)
    assert os.listdir(beneath(fd)) == []
    os.close(fd)


@pytest.mark.parametrize("kind", ["overlay", "vfs"])
def test_changes(roots: Roots, chains: list[str], kind: str) -> None:
    driver.choose(roots, kind)
    where = container(roots, chains)
    fd = rootfs.mount_rootfs(roots, where, chains, volatile=False)
    place = beneath(fd)
    (place / "etc/changed").write_text("longer than it was")
    (place / "etc/kept").unlink()
    (place / "added").mkdir()
    (place / "added/file").touch()
    (place / "replaced/new").unlink()
    (place / "replaced").rmdir()
    (place / "replaced").mkdir()
    os.close(fd)
    assert changes.changes(roots, where, chains) == [
        ("A", "/added"),
        ("A", "/added/file"),
        ("C", "/etc"),
        ("C", "/etc/changed"),
        ("D", "/etc/kept"),
        ("C", "/replaced"),
        ("D", "/replaced/new"),
    ]


def test_usage_counts_each_inode_once(roots: Roots, chains: list[str]) -> None:
    tree = f"{roots.graphroot}/layers/{chains[0]}/diff"
    # "1" three times (one of them under two names), then: etc, kept, changed, removed, replaced, old, l, the root
    assert changes.usage(tree) == (3, 8)
