"""Paths beneath a root: whatever links say, nothing outside is opened or made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from crate.runtime.paths import make_directory, make_file, open_in_root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with `root` and `outside` in it."""
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    return tmp_path


@pytest.fixture
def root(place: Path) -> Iterator[int]:
    """A descriptor of the root."""
    fd = os.open(place / "root", os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def seen(fd: int) -> str:
    """Where a descriptor is."""
    path = os.readlink(f"/proc/self/fd/{fd}")
    os.close(fd)
    return path


def test_makes_missing_parents(place: Path, root: int) -> None:
    assert seen(make_directory(root, "/a/b/../c")) == f"{place}/root/a/c"
    assert seen(make_file(root, "a/x/file")) == f"{place}/root/a/x/file"
    assert (place / "root/a/x/file").is_file()


@pytest.mark.parametrize("target", ["/../../outside", "../../../outside", "/outside/deeper", "..", "/"])
def test_links_stay_inside(place: Path, root: int, target: str) -> None:
    (place / "root/link").symlink_to(target)
    path = seen(make_directory(root, "/link/made"))
    assert path.startswith(f"{place}/root/")
    assert not list((place / "outside").iterdir())


def test_a_link_that_leads_nowhere_is_made(place: Path, root: int) -> None:
    (place / "root/var").mkdir()
    (place / "root/var/run").symlink_to("/run")
    assert seen(make_directory(root, "/var/run/it")) == f"{place}/root/run/it"


def test_links_in_a_circle(place: Path, root: int) -> None:
    (place / "root/one").symlink_to("two")
    (place / "root/two").symlink_to("one")
    with pytest.raises(OSError, match="symbolic links"):
        make_directory(root, "/one/x")


def test_magic_links_are_no_way_out(root: int) -> None:
    with pytest.raises(OSError, match=r"No such|loop|symbolic"):
        open_in_root(root, "/proc/self/root", os.O_PATH)
