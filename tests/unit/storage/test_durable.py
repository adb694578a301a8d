"""Files written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crate.storage.durable import read_file, sync_directory, sync_file_system, write_file


@pytest.mark.parametrize("durable", [False, True])
def test_writes_and_replaces(tmp_path: Path, durable: bool) -> None:
    path = str(tmp_path / "file")
    write_file(None, path, "text ü\udcff", durable, mode=0o640)
    assert read_file(path) == "text ü".encode() + b"\xff"
    write_file(None, path, b"new", durable)
    assert read_file(path) == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_beneath_a_directory(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    write_file(fd, "file", "x", durable=True)
    assert read_file("file", fd) == b"x"
    os.close(fd)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError):
        write_file(None, str(tmp_path / "file"), "x", durable=False)
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / f".file.{os.getpid()}").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic"):
        write_file(None, str(tmp_path / "file"), "x", durable=False)
    assert not (tmp_path / "victim").exists()


def test_large_files_are_read_whole(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    write_file(None, str(tmp_path / "file"), content, durable=False)
    assert read_file(str(tmp_path / "file")) == content


def test_syncing(tmp_path: Path) -> None:
    sync_directory(str(tmp_path))
    sync_file_system(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        read_file(str(tmp_path / "missing"))
