"""Where the roots are, who may own them, and which stores are understood."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crate.errors import HostError, UsageError
from crate.storage import roots as module
from crate.storage.roots import boot_id, open_roots, write_format


def test_made_on_first_use_and_found_again(tmp_path: Path) -> None:
    graph, run = tmp_path / "a" / "graph", tmp_path / "b" / "run"
    first = open_roots(str(graph), str(run))
    assert (graph / "format").read_text() == "crate store 1\n"
    assert os.readlink(run / "boot") == boot_id()
    assert {path.name for path in graph.iterdir()} >= {"containers", "names", "images", "layers", "stage", "trash"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in graph.iterdir() if path.is_dir())
    second = open_roots(str(graph), str(run))
    assert (first.graphroot, first.runroot) == (second.graphroot, second.runroot) == (str(graph), str(run))
    assert first.uid == os.geteuid()
    assert first.rootless == (os.geteuid() != 0)


def test_relative_roots_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_roots("x/../graph", "run").graphroot == str(tmp_path / "graph")
    with pytest.raises(UsageError):
        open_roots("a\0b", "run")


def test_the_driver_is_remembered(tmp_path: Path) -> None:
    graph, run = str(tmp_path / "graph"), str(tmp_path / "run")
    assert open_roots(graph, run).driver == ""
    write_format(graph, "vfs")
    assert open_roots(graph, run).driver == "vfs"


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    open_roots(str(tmp_path / "graph"), str(tmp_path / "run"))
    (tmp_path / "graph/format").write_text("crate store 7\nwhatever\n")
    with pytest.raises(HostError, match="its format is 7, this crate knows formats up to 1"):
        open_roots(str(tmp_path / "graph"), str(tmp_path / "run"))


@pytest.mark.parametrize("text", ["", "something else", "crate store x\n"])
def test_what_is_no_store_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "graph").mkdir()
    (tmp_path / "graph/format").write_text(text)
    with pytest.raises(HostError, match="not that of a crate store"):
        open_roots(str(tmp_path / "graph"), str(tmp_path / "run"))


def test_a_directory_of_other_things_does_not_become_a_store(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(HostError, match=r"cannot make a store in .*: there is precious"):
        open_roots(str(tmp_path), str(tmp_path / "run"))
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_an_interrupted_layout_is_completed(tmp_path: Path) -> None:
    (tmp_path / "graph/images").mkdir(parents=True)
    (tmp_path / "graph/.format.123").touch()
    open_roots(str(tmp_path / "graph"), str(tmp_path / "run"))
    assert (tmp_path / "graph/layers").is_dir()


def test_another_boot_empties_the_run_root(tmp_path: Path) -> None:
    graph, run = tmp_path / "graph", tmp_path / "run"
    open_roots(str(graph), str(run))
    (run / "containers" / "old").mkdir()
    (run / "boot").unlink()
    (run / "boot").symlink_to("00000000-another-boot")
    open_roots(str(graph), str(run))
    assert list((run / "containers").iterdir()) == []
    assert os.readlink(run / "boot") == boot_id()


def test_a_run_root_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    run.chmod(0o777)
    with pytest.raises(HostError, match="others may write there"):
        open_roots(str(tmp_path / "graph"), str(run))


def test_a_link_in_the_place_of_the_run_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostError, match="not a directory of this user"):
        open_roots(str(tmp_path / "graph"), str(tmp_path / "run"))


@pytest.mark.requires("root")
def test_a_run_root_of_somebody_else_is_refused(tmp_path: Path) -> None:
    open_roots(str(tmp_path / "graph"), str(tmp_path / "run"))
    os.chown(tmp_path / "run", 12345, 12345)
    with pytest.raises(HostError, match="not a directory of this user"):
        open_roots(str(tmp_path / "graph"), str(tmp_path / "run"))


def test_a_place_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="Not a directory"):
        open_roots(str(tmp_path / "file" / "graph"), str(tmp_path / "run"))
    with pytest.raises(HostError, match="cannot make the run directory"):
        open_roots(str(tmp_path / "graph"), str(tmp_path / "file" / "run"))


def test_default_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/u")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert module.default_graphroot(False) == "/var/lib/crate"
    assert module.default_graphroot(True) == "/home/u/.local/share/crate"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert module.default_graphroot(True) == "/data/crate"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert module.default_graphroot(True) == "/home/u/.local/share/crate"
    assert module._default_runroot(0) == "/run/crate"
    assert module._default_runroot(1000) == "/tmp/crate-run-1000"
