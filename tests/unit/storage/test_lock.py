"""Locks: exclusive, shared, freed by death, and of the directory that is there now."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from crate.storage.lock import Lease, Lock

HOLDER = """
import os, sys
sys.path.insert(0, sys.argv[2])
from crate.storage.lock import Lock
lock = Lock(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_one_at_a_time(tmp_path: Path) -> None:
    with Lock(str(tmp_path)):
        assert not Lock(str(tmp_path)).acquire(wait=False)
        assert not Lock(str(tmp_path), shared=True).acquire(wait=False)
    again = Lock(str(tmp_path))
    assert again.acquire(wait=False)
    again.release()
    again.release()


def test_many_readers(tmp_path: Path) -> None:
    with Lock(str(tmp_path), shared=True), Lock(str(tmp_path), shared=True):
        assert not Lock(str(tmp_path)).acquire(wait=False)


def test_the_kernel_frees_what_the_dead_held(tmp_path: Path) -> None:
    source = str(Path(__file__).resolve().parents[3] / "src")
    with subprocess.Popen(
        [sys.executable, "-I", "-c", HOLDER, str(tmp_path), source], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert not Lock(str(tmp_path)).acquire(wait=False)
        holder.kill()
        holder.wait()
        assert Lock(str(tmp_path)).acquire(wait=False)


def test_the_lock_of_a_replaced_directory_does_not_count(tmp_path: Path) -> None:
    place = tmp_path / "object"
    place.mkdir()
    first = Lock(str(place))
    first.acquire()
    waiting = Lock(str(place))
    thread = threading.Thread(target=waiting.acquire)
    thread.start()
    place.rename(tmp_path / "trash")
    place.mkdir()
    first.release()
    thread.join(60)
    assert os.fstat(waiting.fd).st_ino == place.stat().st_ino
    waiting.release()


def test_a_removed_object_has_no_lock(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Lock(str(tmp_path / "gone")).acquire()


def test_leases_are_files_that_stay(tmp_path: Path) -> None:
    path = str(tmp_path / "made" / "on demand")
    with Lease(path, shared=True), Lease(path, shared=True):
        assert not Lease(path).acquire(wait=False)
    assert Lease(path).acquire(wait=False)
