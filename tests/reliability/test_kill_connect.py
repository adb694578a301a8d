"""kill -9 at system calls all along network connect and disconnect: the next command undoes or completes them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from reliability import strikes

if TYPE_CHECKING:
    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox", "nft", "strace")

IMAGE = "crate.local/busybox"
#: what changes something; a kill comes before the call
CALLS = ("write", "pwrite64", "rename", "unlink", "flock", "setns", "sendto", "sendmsg", "exit_group")
KILL = "signal=SIGKILL"


def interfaces(crate: Crate) -> list[str]:
    """Those of the container, without loopback and without the numbers of their peers."""
    lines = crate.ok("exec", "job", "ip", "-o", "link").splitlines()
    return sorted(name for line in lines if (name := line.split()[1].partition("@")[0].rstrip(":")) != "lo")


def addresses(crate: Crate, network: str) -> list[str]:
    """What a neighbour finds by the name of the container."""
    shown = crate("exec", "near", "nslookup", "job").out.partition("Name:")[2]
    return [line.split()[-1] for line in shown.splitlines() if line.startswith("Address")]


def check_connected(crate: Crate, where: str) -> None:
    """The state after a killed command is undone, or completed, by the one that comes next."""
    known = crate.inspect("job")["NetworkSettings"]["Networks"]
    crate.ok("network", "reload")  # brings it to its end
    if "late" in known:
        assert interfaces(crate) == ["eth0", "eth1"], where
        assert addresses(crate, "late") == [known["late"]["IPAddress"]], where
        crate.ok("network", "disconnect", "late", "job")
    else:
        crate.fails(125, "network", "disconnect", "late", "job")
    assert interfaces(crate) == ["eth0"], where
    assert addresses(crate, "late") == [], where
    crate.ok("network", "connect", "late", "job")
    assert interfaces(crate) == ["eth0", "eth1"], where
    address = crate.inspect("job")["NetworkSettings"]["Networks"]["late"]["IPAddress"]
    assert addresses(crate, "late") == [address], where
    assert crate.ok("exec", "job", "cat", "/etc/hosts").count(f"{address}\t") == 1, where
    crate.ok("network", "disconnect", "late", "job")
    assert interfaces(crate) == ["eth0"], where


def walk(crate: Crate, verb: str, most: int | None) -> None:
    crate.ok("network", "create", "--internal", "first")
    crate.ok("network", "create", "late")
    crate.ok("run", "-d", "--name", "job", "-p", "127.0.0.1::80", "--network", "first", IMAGE, "sleep", "1000")
    crate.ok("run", "-d", "--name", "near", "--network", "late", IMAGE, "sleep", "1000")
    back = "disconnect" if verb == "connect" else "connect"
    words = ("network", verb, "late", "job")
    if verb == "disconnect":
        crate.ok("network", "connect", "late", "job")
    numbers = strikes.count(crate, CALLS, *words)
    crate.ok("network", back, "late", "job")
    places = [(call, number) for call, last in sorted(numbers.items()) for number in range(1, last + 1)]
    if most:
        places = random.Random(strikes.seed()).sample(places, most)
    for call, number in places:
        strikes.strike(crate, call, KILL, number, *words)
        check_connected(crate, f"{verb} killed at {call} {number}")
        if verb == "disconnect":
            crate.ok("network", "connect", "late", "job")
    crate.ok("rm", "-f", "-t", "0", "job", "near")
    for network in ("first", "late"):
        crate.ok("network", "rm", network)


@pytest.mark.parametrize("verb", ["connect", "disconnect"])
def test_killed_somewhere(crate: Crate, verb: str) -> None:
    """At a few places; CRATE_TEST_SEED draws others."""
    walk(crate, verb, 2)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("verb", ["connect", "disconnect"])
def test_killed_at_each_call(crate: Crate, verb: str) -> None:
    walk(crate, verb, None)


def test_a_network_that_is_left_by_halves_can_be_removed(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "job", IMAGE, "sleep", "1000")
    for verb in ("connect", "disconnect"):
        crate.ok("network", "create", "late")
        if verb == "disconnect":
            crate.ok("network", "connect", "late", "job")
        strikes.strike(crate, "setns", KILL, 1, "network", verb, "late", "job")
        assert "late" not in crate.inspect("job")["NetworkSettings"]["Networks"]
        crate.ok("network", "rm", "late")
        assert interfaces(crate) == ["eth0"]


def test_the_end_of_the_container_frees_what_a_killed_connect_took(crate: Crate) -> None:
    crate.ok("network", "create", "late")
    for call in ("setns", "rename"):
        crate.ok("run", "-d", "--name", "job", IMAGE, "sleep", "1000")
        strikes.strike(crate, call, KILL, 2, "network", "connect", "late", "job")
        crate.ok("rm", "-f", "-t", "0", "job")
    crate.ok("network", "rm", "late")
