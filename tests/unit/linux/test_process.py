"""What is asked about processes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from crate.linux.process import start_time


def test_a_process_has_one_start_time() -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert start_time(os.getpid()) == start_time(os.getpid()) > 0
        assert start_time(other.pid) >= start_time(os.getpid())
    finally:
        other.communicate()
    assert start_time(other.pid) == 0


def test_who_has_no_descriptor_left_takes_nobody_for_dead() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            start_time(os.getpid())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
