"""After many runs everything is as it was after the first: nothing grows on the host, in the kernel or on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from claims import free_port
from reliability.footprint import settled

if TYPE_CHECKING:
    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox")

IMAGE = "crate.local/busybox"


def _lives(crate: Crate, *network: str) -> None:
    """Each way in which a container comes and goes, once."""
    run = ("run", *network)
    assert crate(*run, "--rm", IMAGE, "sh", "-c", "exit 3").status == 3
    assert crate(*run, "--rm", IMAGE, "/none").status == 127
    crate.ok(*run, "-d", "--name", "job", IMAGE, "sleep", "1000")
    crate.fails(125, "run", "--name", "job", IMAGE, "true")
    crate.ok("exec", "job", "true")
    crate.ok("restart", "-t", "0", "job")
    crate.ok("stop", "-t", "0", "job")
    crate.ok("rm", "job")
    crate.ok("create", *network, "--name", "job", IMAGE, "true")
    crate.ok("start", "-a", "job")
    crate.ok("rm", "-f", "job")


def _check_runs(crate: Crate, count: int, *network: str) -> None:
    """`count` runs, and beside each fiftieth every other kind of life of a container."""
    crate.ok("pull", "-q", IMAGE)
    _lives(crate, *network)
    footprint, before = settled(crate, *network)
    for number in range(count):
        assert crate("run", "--rm", *network, IMAGE, "sh", "-c", f"exit {number % 256}").status == number % 256
        if number % 50 == 0:
            _lives(crate, *network)
    footprint.wait_for(before)


def test_forty_runs(crate: Crate) -> None:
    _check_runs(crate, 40, "--network", "none")


def test_runs_with_published_ports(crate: Crate) -> None:
    _check_runs(crate, 10, "-p", f"{free_port()}:80", "-p", f"127.0.0.1:{free_port()}:53/udp")


def test_runs_of_an_ordinary_user(rootless_crate: Crate) -> None:
    _check_runs(rootless_crate, 10, "--network", "none")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thousand_runs(crate: Crate) -> None:
    _check_runs(crate, 1000)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_hundreds_of_runs_with_published_ports(crate: Crate) -> None:
    _check_runs(crate, 300, "-p", f"{free_port()}:80", "-p", f"127.0.0.1:{free_port()}:53/udp")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("network", ["none", pytest.param("pasta", marks=pytest.mark.requires("pasta"))])
def test_hundreds_of_runs_of_an_ordinary_user(rootless_crate: Crate, network: str) -> None:
    _check_runs(rootless_crate, 200, "--network", network)
