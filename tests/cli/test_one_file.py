"""crate as one file runs containers: with the host's Python, and with its own on a host that has none."""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from abilities import CHECKOUT, disk_directory
from images import recipes
from program import Crate, until

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = "crate.local/busybox"
SHOW = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.xdist_group("one-file")]


def build(target: Path, *options: str) -> Path:
    """Builds one and returns it."""
    command = [str(CHECKOUT / "scripts/build-one-file"), "--output", str(target), *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def unpacked(program: Path) -> Path:
    """Where root's copy of it is unpacked."""
    found = re.search(rb"at=\$base/crate/(\S+)", program.read_bytes()[:4096])
    assert found
    return Path("/var/cache/crate") / found[1].decode()


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    program = build(tmp_path_factory.mktemp("one-file") / "crate", "--offline")
    # a name of its own: another run of these tests may use, or may have left, a copy of the same build
    whole = program.read_bytes()
    own, name = secrets.token_hex(8).encode(), unpacked(program).name.encode()
    program.write_bytes(whole[:4096].replace(name, name[: -len(own)] + own) + whole[4096:])
    yield program
    shutil.rmtree(unpacked(program), ignore_errors=True)


def test_runs_with_the_python_of_the_host(one_file: Path, crate: Crate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRATE_PROGRAM", str(one_file))
    assert crate.ok("run", "--rm", "-m", "64m", "--network", "none", IMAGE, "sh", "-c", SHOW) == "67108864"
    crate.ok("run", "-d", "--name", "still", "--network", "none", IMAGE, "sleep", "1000")
    assert crate.ok("exec", "still", "echo", "inside") == "inside"
    assert "Usage:" in crate.ok("--help")
    assert crate("run", "--no-such-option").status == 125


def test_broken_copy_is_refused(one_file: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    whole = one_file.read_bytes()
    half.write_bytes(whole[:4096].replace(b"crate/0.", b"crate/9.") + whole[4096 : len(whole) // 2])
    half.chmod(0o755)
    before = set(unpacked(half).parent.glob(".unpack*"))  # other builds may be unpacking
    done = subprocess.run([half, "version"], check=False, capture_output=True, text=True)
    assert done.returncode == 125
    assert "Error: cannot unpack" in done.stderr
    assert not unpacked(half).exists()
    until(lambda: not set(unpacked(half).parent.glob(".unpack*")) - before)  # one of another test does not last


@pytest.fixture
def host_without_python(debian_family: Path) -> Iterator[Path]:
    """A Debian with busybox and no Python, mounted as a root file system with the kernel's file systems."""
    place = Path(tempfile.mkdtemp(prefix="crate-bare-host-", dir=disk_directory()))
    place.chmod(0o755)
    for name in ("upper", "work", "root"):
        (place / name).mkdir()
    root = place / "root"
    options = f"lowerdir={debian_family}/debian,upperdir={place}/upper,workdir={place}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, root], check=True)
    try:
        for source in ("/proc", "/sys", "/dev"):
            subprocess.run(["mount", "--rbind", "--make-rslave", source, f"{root}{source}"], check=True)
        for folder in ("/run", "/var/lib"):  # not the overlay: it cannot be the upper of another one
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", f"{root}{folder}"], check=True)
        shutil.copyfile(recipes.busybox_binary(), root / "usr/bin/busybox")
        (root / "usr/bin/busybox").chmod(0o755)
        assert not list((root / "usr/bin").glob("python*"))
        yield root
    finally:
        subprocess.run(["umount", "-R", "-l", root], check=True)
        shutil.rmtree(place)


@pytest.mark.requires("debootstrap", "network", "patchelf")
def test_runs_with_its_own_python(host_without_python: Path) -> None:
    build(host_without_python / "usr/local/bin/crate", "--with-python")
    words = ["chroot", str(host_without_python), "crate", "run", "--rm", "--network", "none", "-m", "64m"]
    done = subprocess.run([*words, IMAGE, "sh", "-c", SHOW], check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "67108864\n"), done.stderr
