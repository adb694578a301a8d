"""Containers on disk: made whole or not at all, named by one, found by what users type."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crate.errors import NameInUseError, NotFoundError, StateError, UsageError
from crate.storage import containers
from crate.storage.containers import ContainerPaths
from crate.storage.roots import Roots

SOURCE = str(Path(__file__).resolve().parents[3] / "src")


def files(name: str) -> dict[str, str]:
    return {"config.json": "{}", "container.json": f'{{"name":"{name}"}}'}


def make(roots: Roots, name: str, container_id: str = "", *, ephemeral: bool = False) -> ContainerPaths:
    return containers.create(
        roots, container_id or containers.new_id(), name, lambda _stage: files(name), ephemeral=ephemeral
    )


def left(roots: Roots) -> list[str]:
    """What lies in the stagings and the run root."""
    return [*os.listdir(f"{roots.graphroot}/stage"), *os.listdir(f"{roots.runroot}/containers")]


def test_made_and_found(roots: Roots) -> None:
    where = make(roots, "web")
    assert sorted(os.listdir(where.directory)) == ["config.json", "container.json", "upper", "work"]
    assert os.listdir(where.run_directory) == []
    assert Path(where.upper).stat().st_mode & 0o7777 == 0o755
    assert containers.list_ids(roots) == [where.id]
    for text in ("web", where.id, where.id[:12], where.id[:1]):
        assert containers.find(roots, text) == where.id
    assert containers.paths(roots, where.id).record == where.record
    assert where.log.endswith(f"/{where.id}-json.log")
    assert containers.read_record(roots, where.id) == {"name": "web"}
    containers.sync(where)


def test_records_of_ephemeral_containers_live_in_the_run_root(roots: Roots) -> None:
    where = make(roots, "web", ephemeral=True)
    assert sorted(os.listdir(where.directory)) == ["upper", "work"]
    assert sorted(os.listdir(where.run_directory)) == ["config.json", "container.json"]
    assert containers.paths(roots, where.id).record == where.record
    containers.write_record(where, {"a": 1})
    assert Path(where.record).stat().st_mode & 0o7777 == 0o1600
    assert containers.read_record(roots, where.id) == {"a": 1}


def test_an_empty_run_root_is_made_again(roots: Roots) -> None:
    os.rmdir(f"{roots.runroot}/containers")
    assert os.path.isdir(make(roots, "web").run_directory)


def test_a_taken_name(roots: Roots) -> None:
    first = make(roots, "web")
    with pytest.raises(NameInUseError, match=f'"web" is already in use by {first.id[:12]}'):
        make(roots, "web")
    assert containers.list_ids(roots) == [first.id]
    assert left(roots) == [first.id]


def test_release_frees_everything(roots: Roots) -> None:
    where = make(roots, "web")
    os.mkdir(f"{where.run_directory}/odd")
    containers.release(roots, where.id, "web")
    assert containers.list_ids(roots) == []
    assert left(roots) == []
    with pytest.raises(NotFoundError, match='"web" found: no such container'):
        containers.find(roots, "web")
    containers.release(roots, where.id, "web")
    make(roots, "web")


def test_release_leaves_the_name_of_another(roots: Roots) -> None:
    old, new = make(roots, "old"), make(roots, "web")
    containers.release(roots, old.id, "web")
    assert containers.find(roots, "web") == new.id


def test_a_name_of_nothing_is_taken_over(roots: Roots) -> None:
    os.symlink(f"../containers/{'a' * 64}", f"{roots.graphroot}/names/web")
    with pytest.raises(NotFoundError):
        containers.find(roots, "web")
    assert containers.find(roots, make(roots, "web").id)
    assert containers.holder(roots, "web") != "a" * 64


def test_a_name_that_is_about_to_be_used_is_taken(roots: Roots) -> None:
    def complete(_stage: str) -> dict[str, str]:
        os.symlink(f"../containers/{'a' * 64}", f"{roots.graphroot}/names/web")
        with pytest.raises(NameInUseError):
            make(roots, "web")
        os.unlink(f"{roots.graphroot}/names/web")
        return files("web")

    containers.create(roots, "a" * 64, "web", complete)
    assert containers.find(roots, "web") == "a" * 64


def test_a_failure_leaves_nothing(roots: Roots) -> None:
    def complete(_stage: str) -> dict[str, str]:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        containers.create(roots, containers.new_id(), "web", complete)
    with pytest.raises(StateError, match="layer 000000000000 of the image is missing"):
        containers.create(roots, containers.new_id(), "web", lambda _stage: files("web"), layers=["0" * 64])
    assert left(roots) == []
    assert os.listdir(f"{roots.graphroot}/names") == []


def test_the_upper_directory_looks_like_the_root_of_the_image(roots: Roots) -> None:
    diff = Path(roots.graphroot, "layers", "0" * 64, "diff")
    diff.mkdir(parents=True)
    diff.chmod(0o1751)
    os.utime(diff, (5, 6))
    where = containers.create(roots, containers.new_id(), "web", lambda _stage: files("web"), layers=["0" * 64])
    assert Path(where.upper).stat().st_mode & 0o7777 == 0o1751
    assert Path(where.upper).stat().st_mtime == 6


def test_an_image_that_is_removed_meanwhile(roots: Roots) -> None:
    diff = Path(roots.graphroot, "layers", "0" * 64, "diff")
    diff.mkdir(parents=True)

    def complete(_stage: str) -> dict[str, str]:
        diff.rmdir()
        diff.parent.rmdir()
        return files("web")

    with pytest.raises(StateError, match="the image was removed"):
        containers.create(roots, containers.new_id(), "web", complete, layers=["0" * 64])
    assert left(roots) == []


def test_ambiguous_and_absent_ids(roots: Roots) -> None:
    make(roots, "one", "abc" + "0" * 61)
    make(roots, "two", "abd" + "0" * 61)
    make(roots, "abd", "fff" + "0" * 61)
    with pytest.raises(UsageError, match="more than one container id begins with ab: abc000000000, abd000000000"):
        containers.find(roots, "ab")
    assert containers.find(roots, "abc")[:3] == "abc"
    assert containers.find(roots, "abd")[:3] == "fff"  # a name is meant before the beginning of an id
    for text in ("", "x", "/etc", "..", "a" * 64, "abc\0", "ABC", "../containers"):
        with pytest.raises(NotFoundError):
            containers.find(roots, text)


@pytest.mark.parametrize("name", ["", "-ab", "a/b", "ä b", "..", "a" * 256, "a\n"])
def test_names_that_podman_refuses(roots: Roots, name: str) -> None:
    with pytest.raises(UsageError, match="invalid container name"):
        make(roots, name)


def test_renaming(roots: Roots) -> None:
    one = make(roots, "one")
    make(roots, "two")
    record = {"name": "one"}
    with pytest.raises(NameInUseError):
        containers.rename(roots, one, record, "two")
    assert record == {"name": "one"} == containers.read_record(roots, one.id)
    containers.rename(roots, one, record, "three")
    assert containers.find(roots, "three") == one.id
    assert record == {"name": "three"} == containers.read_record(roots, one.id)
    with pytest.raises(NotFoundError):
        containers.find(roots, "one")


@pytest.mark.parametrize("stale", ["before", "after"])
def test_a_killed_renaming_blocks_no_name(roots: Roots, stale: str) -> None:
    """It leaves a link to a container whose record says another name: the new one or the old one."""
    one = make(roots, "one")
    os.symlink(f"../containers/{one.id}", f"{roots.graphroot}/names/{stale}")
    if stale == "after":
        containers.heal_name(roots, stale)
        assert os.listdir(f"{roots.graphroot}/names") == ["one"]
    else:
        other = make(roots, stale)
        assert containers.find(roots, stale) == other.id and containers.find(roots, "one") == one.id


def test_a_damaged_record_is_told(roots: Roots) -> None:
    where = make(roots, "web")
    Path(where.record).write_text('{"half')
    with pytest.raises(StateError, match=r"container\.json: it is damaged"):
        containers.read_record(roots, where.id)


def test_an_ephemeral_container_does_not_outlive_the_boot(roots: Roots) -> None:
    where = make(roots, "web", ephemeral=True)
    for file in os.listdir(where.run_directory):
        os.unlink(f"{where.run_directory}/{file}")
    os.rmdir(where.run_directory)
    assert containers.read_record(roots, where.id) is None
    assert containers.list_ids(roots) == []
    make(roots, "web")


CHURN = """
import os, sys
sys.path.insert(0, sys.argv[3])
from crate.errors import NameInUseError
from crate.storage import containers
from crate.storage.roots import open_roots
roots = open_roots(sys.argv[1], sys.argv[2])
print("ready", flush=True)
while True:
    try:
        where = containers.create(roots, containers.new_id(), "web",
                                  lambda stage: {"config.json": "{}", "container.json": "{}"})
    except NameInUseError:
        continue
    containers.release(roots, where.id, "web")
"""


def test_killed_at_any_moment_the_next_one_understands(roots: Roots) -> None:
    """Two processes fight for a name and are killed; whole containers are left, and the name can be had again."""
    for attempt in range(12):
        fighters = [
            subprocess.Popen(
                [sys.executable, "-I", "-c", CHURN, roots.graphroot, roots.runroot, SOURCE], stdout=subprocess.PIPE
            )
            for _ in range(2)
        ]
        for fighter in fighters:
            assert fighter.stdout is not None
            fighter.stdout.readline()
        time.sleep(0.005 * attempt)
        for fighter in fighters:
            fighter.send_signal(signal.SIGKILL)
            fighter.communicate()
        for container_id in containers.list_ids(roots):
            assert containers.read_record(roots, container_id) == {}
            containers.release(roots, container_id, "web")
        where = make(roots, "web")
        assert containers.find(roots, "web") == where.id
        containers.release(roots, where.id, "web")


def test_one_name_for_one_of_many(roots: Roots) -> None:
    """While several processes create and remove under one name, it never stands for two."""
    fighters = [
        subprocess.Popen(
            [sys.executable, "-I", "-c", CHURN, roots.graphroot, roots.runroot, SOURCE], stdout=subprocess.PIPE
        )
        for _ in range(3)
    ]
    try:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            # one that a listing shows may be gone before it shows the next: they are two if the first is still there
            shown = [known for known in containers.list_ids(roots) if containers.exists(roots, known)]
            assert len(shown) < 2 or not containers.exists(roots, shown[0])
        assert all(fighter.poll() is None for fighter in fighters)
    finally:
        for fighter in fighters:
            fighter.kill()
            fighter.communicate()
