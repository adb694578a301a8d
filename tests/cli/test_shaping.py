"""--network-rate: what a real TCP stream gets, in both directions, and what inspect and update make of it."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from program import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from program import Crate

IMAGE = "crate.local/busybox"
#: answers on 81 with what it has forever; takes on 80 what it gets
SERVER = ("sh", "-c", "nc -ll -p 81 -e cat /dev/zero & exec nc -ll -p 80 -e sh -c 'cat > /dev/null'")

pytestmark = [
    pytest.mark.requires("root", "overlay", "busybox", "nft", "ifb"),
    pytest.mark.usefixtures("busybox"),
]


def connected(address: str, port: int) -> socket.socket:
    def attempt() -> socket.socket | None:
        try:
            return socket.create_connection((address, port), 30)
        except OSError:
            return None

    return until(attempt, what="the server")


def mbit_in(address: str, seconds: float = 1.0) -> float:
    """To the container; what the buffers between take at first does not count."""
    with connected(address, 80) as stream:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        return _measure(lambda: stream.send(bytes(16384)), seconds)


def mbit_out(address: str, seconds: float = 1.0) -> float:
    """From the container."""
    with connected(address, 81) as stream:
        return _measure(lambda: len(stream.recv(65536)), seconds)


def _measure(step: object, seconds: float) -> float:
    def during(time_left: float) -> tuple[int, float]:
        begin, total = time.monotonic(), 0
        while (now := time.monotonic()) - begin < time_left:
            total += step()  # type: ignore[operator]
        return total, now - begin

    during(0.5)
    total, took = during(seconds)
    return total * 8 / 1e6 / took


def near(measure: Callable[[str], float], address: str, wanted: float) -> bool:
    """Whether it is within two fifths; a machine that is busy with others has ten tries."""
    return any(abs(measure(address) - wanted) < wanted * 2 / 5 for _ in range(10))


def free(measure: Callable[[str, float], float], address: str) -> bool:
    """Whether nothing holds it up but the machine."""
    return any(measure(address, 0.3) > 100 for _ in range(10))


def address_of(crate: Crate, name: str) -> str:
    return str(crate.inspect(name)["NetworkSettings"]["IPAddress"])


def ifb_of(crate: Crate) -> Path:
    """The device that shapes what the one container sends: it has the mark of its veth; others have theirs."""
    (veth,) = os.listdir(f"/sys/class/net/ct{crate.mark}/brif")
    return Path("/sys/class/net") / veth.replace("veth", "ifb")


def test_a_rate_for_each_direction(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "web", "--network-rate", "20mbit:in", "--network-rate", "8mbit:out", IMAGE, *SERVER)
    address, ifb = address_of(crate, "web"), ifb_of(crate)
    assert ifb.exists()
    assert near(mbit_in, address, 20)
    assert near(mbit_out, address, 8)
    found = crate.inspect("web")
    assert found["HostConfig"]["NetworkRate"] == ["20mbit:in", "8mbit:out"]
    (network,) = found["NetworkSettings"]["Networks"].values()
    assert network["Rates"] == {"in": 20_000_000, "out": 8_000_000}

    crate.ok("update", "--network-rate", "40mbit:out", "web")
    assert near(mbit_out, address, 40)
    assert crate.inspect("web")["HostConfig"]["NetworkRate"] == ["20000000bit:in", "40000000bit:out"]

    crate.ok("update", "--network-rate", "none", "web")
    assert free(mbit_in, address) and free(mbit_out, address)
    assert not ifb.exists()  # nothing is left of what shaped it

    crate.ok("update", "--network-rate", "1mbps", "web")  # bytes
    crate.ok("restart", "-t", "0", "web")
    assert near(mbit_out, address_of(crate, "web"), 8)
    ifb = ifb_of(crate)
    assert ifb.exists()
    crate.ok("rm", "-f", "-t", "0", "web")
    until(lambda: not ifb.exists(), what="the end of the ifb device")


def test_a_killed_monitor_leaves_nothing_for_long(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "one", "--network-rate", "8mbit", IMAGE, *SERVER)
    made = ifb_of(crate)
    assert made.exists()
    os.kill(int(crate.ok("inspect", "--format", "{{.State.ConmonPid}}", "one")), 9)
    until(lambda: crate("ps", "-q").out == "", what="the healing")
    crate.ok("run", "-d", "--name", "two", "--network-rate", "8mbit", IMAGE, *SERVER)
    until(lambda: not made.exists(), what="the sweeping")


def test_a_rate_in_the_settings_of_a_network(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "web", "--network", "bridge:rate=8mbit:out,alias=x", IMAGE, *SERVER)
    assert near(mbit_out, address_of(crate, "web"), 8)
    assert free(mbit_in, address_of(crate, "web"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--network-rate", "fast"), "invalid rate fast"),
        (("--network-rate", "10parsec"), "invalid rate 10parsec"),
        (("--network-rate", "10mbit:up"), "unknown direction up"),
        (("--network-rate", "1bit"), "invalid rate 1bit"),
        (("--network", "none", "--network-rate", "1mbit"), "network-rate and the network mode"),
        (("--network", "host", "--network-rate", "1mbit"), "network-rate and the network mode"),
        (("--net-cls-classid", "moon"), "invalid net_cls class moon"),
        (("--net-cls-classid", "10:1"), "the network class"),
    ],
)
def test_refusals(crate: Crate, arguments: tuple[str, ...], words: str) -> None:
    if words == "the network class" and os.path.isdir("/sys/fs/cgroup/net_cls"):
        pytest.skip("net_cls is mounted")
    assert words in crate.fails(125, "run", "--rm", *arguments, IMAGE, "true")
