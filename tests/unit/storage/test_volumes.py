"""Volumes: made whole, filled once from the image, found, removed."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from crate.errors import NameInUseError, NotFoundError, StateError, UsageError
from crate.storage import volumes
from crate.storage.roots import Roots


@pytest.fixture
def source(tmp_path: Path) -> int:
    """A directory as an image may have it."""
    place = tmp_path / "source"
    (place / "sub").mkdir(parents=True)
    (place / "sub/file").write_text("content")
    os.link(place / "sub/file", place / "hard")
    (place / "link").symlink_to("sub/file")
    os.mkfifo(place / "fifo")
    place.chmod(0o1770)
    os.utime(place, (1, 2))
    return os.open(place, os.O_RDONLY | os.O_DIRECTORY)


def data(roots: Roots, name: str) -> Path:
    return Path(volumes.data_path(roots, name))


def assert_filled(place: Path) -> None:
    assert (place / "sub/file").read_text() == "content"
    assert (place / "hard").stat().st_ino == (place / "sub/file").stat().st_ino
    assert os.readlink(place / "link") == "sub/file"
    assert place.stat().st_mode & 0o7777 == 0o1770
    assert place.stat().st_mtime == 2


def test_created_listed_removed(roots: Roots) -> None:
    made = volumes.create(roots, "data", labels={"a": "b"})
    assert (made["name"], made["labels"], made["anonymous"], made["driver"]) == ("data", {"a": "b"}, False, "local")
    assert volumes.exists(roots, "data")
    assert volumes.read(roots, "data") == made
    assert [volume["name"] for volume in volumes.list_all(roots)] == ["data"]
    assert data(roots, "data").stat().st_mode & 0o7777 == 0o755
    with pytest.raises(NameInUseError, match="volume data already exists"):
        volumes.create(roots, "data")
    volumes.remove(roots, "data")
    assert volumes.list_all(roots) == []
    assert os.listdir(f"{roots.graphroot}/stage") == []
    for act in (volumes.remove, volumes.read):
        with pytest.raises(NotFoundError, match="no such volume: data"):
            act(roots, "data")


def test_anonymous(roots: Roots) -> None:
    made = volumes.create(roots)
    assert made["anonymous"]
    assert len(made["name"]) == 64


def test_first_use_fills(roots: Roots, source: int) -> None:
    assert volumes.use(roots, "data", source)["populated"]
    assert_filled(data(roots, "data"))
    (data(roots, "data") / "hard").unlink()
    volumes.use(roots, "data", source)
    assert not (data(roots, "data") / "hard").exists()


def test_an_empty_volume_is_filled_at_its_first_use(roots: Roots, source: int) -> None:
    volumes.create(roots, "data")
    assert volumes.use(roots, "data", source)["populated"]
    assert_filled(data(roots, "data"))
    assert os.listdir(f"{roots.graphroot}/stage") == []


def test_a_volume_with_files_is_not_filled(roots: Roots, source: int) -> None:
    volumes.create(roots, "data")
    (data(roots, "data") / "mine").touch()
    volumes.use(roots, "data", source)
    assert os.listdir(data(roots, "data")) == ["mine"]


def test_without_a_source_it_stays_empty(roots: Roots, source: int) -> None:
    volumes.use(roots, "data")
    volumes.use(roots, "data", source)
    assert os.listdir(data(roots, "data")) == []


def test_many_at_once_fill_it_once(roots: Roots, source: int) -> None:
    volumes.create(roots, "data")
    errors: list[Exception] = []

    def use() -> None:
        try:
            volumes.use(roots, "data", source)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert_filled(data(roots, "data"))
    assert os.listdir(f"{roots.graphroot}/stage") == []


@pytest.mark.parametrize("name", ["/x", "a/b", "-ab", "..", "a b", "x" * 256])
def test_names_that_podman_refuses(roots: Roots, name: str) -> None:
    with pytest.raises(UsageError, match="invalid volume name"):
        volumes.create(roots, name)
    assert not volumes.exists(roots, name)


def test_a_damaged_record_is_told(roots: Roots) -> None:
    volumes.create(roots, "data")
    Path(roots.graphroot, "volumes/data/volume.json").write_text("{")
    with pytest.raises(StateError, match="cannot read volume data"):
        volumes.read(roots, "data")
