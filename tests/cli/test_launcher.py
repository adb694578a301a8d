"""`scripts/crate`, the installed `crate`: finds its package and interpreter from wherever it is called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from abilities import CHECKOUT

VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An installation: bin/crate, and the package in lib/python3.N/site-packages; its path has a space."""
    place = tmp_path / "some place"
    site = place / "lib" / VERSION / "site-packages"
    site.mkdir(parents=True)
    (place / "bin").mkdir()
    shutil.copy(CHECKOUT / "scripts/crate", place / "bin/crate")
    (place / "bin" / VERSION).symlink_to(os.path.realpath(sys.executable))
    (site / "crate").symlink_to(CHECKOUT / "src/crate")
    return place


def run(*command: str | Path, **options: object) -> str:
    """What it prints on both streams."""
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, **options
    )  # type: ignore[call-overload]
    return str(done.stdout)


@pytest.mark.parametrize("environment", [{}, {"PATH": "/nonexistent"}, {"PATH": ""}])
def test_odd_environments(prefix: Path, environment: dict[str, str]) -> None:
    assert run(prefix / "bin/crate", "--version", env=environment).startswith("crate version ")


def test_by_symbolic_links(prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(prefix / "bin/crate")
    (tmp_path / "two").symlink_to("one")
    (tmp_path / "folder").symlink_to(prefix / "bin")
    for name in ("one", "two", "folder/crate"):
        assert run(tmp_path / name, "--version", env={"PATH": "/nonexistent"}).startswith("crate version "), name
    assert run("./two", "--version", cwd=tmp_path).startswith("crate version ")


def test_by_its_bare_name(prefix: Path) -> None:
    path = f"{prefix}/bin:{os.environ['PATH']}"
    assert run("crate", "--version", env={"PATH": path}).startswith("crate version ")
    assert run("sh", "crate", "--version", cwd=prefix / "bin").startswith("crate version ")


def test_arguments_arrive_whole(prefix: Path) -> None:
    shown = run(prefix / "bin/crate", "version", "--format", '{{printf "%q" "a  $b\\"*"}}')
    assert shown == '"a  $b\\"*"\n'


def test_editable_install(prefix: Path) -> None:
    site = prefix / "lib" / VERSION / "site-packages"
    (site / "crate").unlink()
    (site / "_crate_runtime.pth").write_text(f"{CHECKOUT}/src\n")
    assert run(prefix / "bin/crate", "--version").startswith("crate version ")


def test_without_the_package(prefix: Path) -> None:
    (prefix / "lib" / VERSION / "site-packages" / "crate").unlink()
    assert run(prefix / "bin/crate", "--version").startswith("Error: cannot find the package crate near ")


def test_in_the_checkout() -> None:
    assert run(CHECKOUT / "scripts/crate", "--version", cwd="/").startswith("crate version ")


def test_site_packages_come_when_they_are_needed() -> None:
    """Typer is there for a line that the fast parser leaves to it, though the interpreter started with -S."""
    shown = run(CHECKOUT / "scripts/crate", "run", "--xyzzy", "image")
    assert shown == "Error: unknown flag: --xyzzy (hint: see 'crate run --help')\n"


def test_the_reader_may_go_away() -> None:
    script = f"'{CHECKOUT}/scripts/crate' run --help | true; echo ${{PIPESTATUS[0]}}"
    assert run("bash", "-c", script) in ("0\n", "141\n")


@pytest.mark.slow
def test_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*command, "--prefix", tmp_path / "a b", CHECKOUT], check=True, timeout=120)
    assert run(tmp_path / "a b/bin/crate", "--version").startswith("crate version ")
    assert run(tmp_path / "a b/bin/crate", "run", "--help").startswith("Usage:  crate run")
