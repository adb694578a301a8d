"""Stagings of the dead, and the removal of trees that resist."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from crate.storage import staging, trash
from crate.storage.roots import Roots, boot_id


def test_own_stagings_are_not_stale(roots: Roots) -> None:
    path = staging.make(roots, "label")
    assert not staging.is_stale(os.path.basename(path))
    assert staging.is_staged(roots, "label")
    assert not staging.is_staged(roots, "abel")
    staging.sweep(roots)
    assert os.path.isdir(path)


def test_stagings_of_the_dead_are_swept(roots: Roots) -> None:
    with subprocess.Popen(["sleep", "0"]) as gone:
        pid = gone.pid
    boot = boot_id()[:8]
    names = [f"{boot}-{pid}-123.x", f"{boot}-{os.getpid()}-1.y", f"00000000-{os.getpid()}-1.z"]
    for name in [*names, "somebody-elses"]:
        os.mkdir(f"{roots.graphroot}/stage/{name}")
    staging.sweep(roots)
    assert os.listdir(f"{roots.graphroot}/stage") == ["somebody-elses"]
    assert sorted(os.listdir(f"{roots.graphroot}/trash")) == sorted(names)
    assert trash.empty(roots) == []
    assert os.listdir(f"{roots.graphroot}/trash") == []


def test_a_child_is_another_owner(roots: Roots) -> None:
    staging.make(roots, "x")
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write_fd, os.path.basename(staging.make(roots, "x")).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert f"-{pid}-" in os.read(read_fd, 200).decode()
    os.close(read_fd)
    os.close(write_fd)


def test_thrown_away_is_gone_at_once(roots: Roots) -> None:
    path = f"{roots.graphroot}/containers/x"
    os.makedirs(f"{path}/a/b")
    trash.throw(roots, path)
    assert not os.path.exists(path)
    assert len(os.listdir(f"{roots.graphroot}/trash")) == 1


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").touch()
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/link").symlink_to(tmp_path / "kept")
    (tmp_path / "tree/sub/up").symlink_to("../..")
    assert trash.remove_tree(str(tmp_path), "tree")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept/file").exists()


def test_a_link_itself_is_removed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to("kept")
    assert trash.remove_tree(str(tmp_path), "link")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_what_is_not_there_is_removed(tmp_path: Path) -> None:
    assert trash.remove_tree(str(tmp_path), "nothing")


def test_directories_without_permissions(tmp_path: Path) -> None:
    (tmp_path / "tree/closed/inner").mkdir(parents=True)
    (tmp_path / "tree/closed/inner").chmod(0)
    (tmp_path / "tree/closed").chmod(0)
    assert trash.remove_tree(str(tmp_path), "tree")
    assert list(tmp_path.iterdir()) == []


def test_any_depth(tmp_path: Path) -> None:
    before = os.open(".", os.O_PATH)
    os.chdir(tmp_path)
    try:
        for _ in range(3000):
            os.mkdir("d")
            os.chdir("d")
        os.mknod("f")
    finally:
        os.fchdir(before)
        os.close(before)
    assert trash.remove_tree(str(tmp_path), "d")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.requires("root")
def test_immutable_files(roots: Roots) -> None:
    tree = Path(roots.graphroot, "trash", "tree")
    (tree / "frozen").mkdir(parents=True)
    (tree / "frozen/file").touch()
    (tree / "log").touch()
    if subprocess.run(["chattr", "+i", tree / "frozen/file"], check=False, capture_output=True).returncode:
        pytest.skip("the file system has no immutable files")
    subprocess.run(["chattr", "+a", tree / "log"], check=True)
    subprocess.run(["chattr", "+i", tree / "frozen"], check=True)
    assert trash.empty(roots) == []
    assert not tree.exists()


@pytest.mark.requires("root")
def test_mount_points_are_not_crossed(roots: Roots, tmp_path: Path) -> None:
    tree = Path(roots.graphroot, "trash", "tree")
    (tree / "mnt").mkdir(parents=True)
    (tree / "other").touch()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").touch()
    subprocess.run(["mount", "--bind", tmp_path / "precious", tree / "mnt"], check=True)
    try:
        assert trash.empty(roots) == ["tree"]
        assert (tmp_path / "precious/file").exists()
        assert not (tree / "other").exists()
    finally:
        subprocess.run(["umount", tree / "mnt"], check=True)
    assert trash.empty(roots) == []


@pytest.mark.requires("root")
def test_a_forgotten_overlay_is_taken_off(roots: Roots) -> None:
    merged = Path(roots.graphroot, "trash", "id", "merged")
    merged.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", merged], check=True)
    assert trash.empty(roots) == []
    assert str(merged) not in Path("/proc/mounts").read_text()
