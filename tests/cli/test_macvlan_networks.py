"""`network create --driver macvlan`, a container on it, what a host on the wire sees, and `network rm`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from program import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from program import Crate

IMAGE = "crate.local/busybox"
SUBNET = ("--subnet", "192.0.2.0/24")

pytestmark = [
    pytest.mark.requires("root", "overlay", "busybox", "nft", "macvlan"),
    pytest.mark.usefixtures("busybox"),
]


def sh(command: str) -> str:
    done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.fixture
def wire(crate: Crate) -> Iterator[str]:
    """An interface of this host, to a namespace that is 192.0.2.1."""
    name, far = f"cw{crate.mark}", f"cn{crate.mark}"
    sh(f"ip netns add {far} && ip link add {name} type veth peer name eth0 netns {far} && ip link set {name} up")
    sh(f"ip -n {far} addr add 192.0.2.1/24 dev eth0 && ip -n {far} link set eth0 up")
    yield name
    subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)
    sh(f"ip netns del {far}")


def test_on_the_wire(crate: Crate, wire: str) -> None:
    create = ("network", "create", "-d", "macvlan", "-o", f"parent={wire}", *SUBNET, "--gateway", "192.0.2.1")
    assert crate.ok(*create, "--ip-range", "192.0.2.64/26", "lan") == "lan"
    assert crate.ok(*create, "--opt", "macvlan_mode=private", "second") == "second"  # the same wire
    (record,) = json.loads(crate.ok("network", "inspect", "lan"))
    assert record["Driver"] == "macvlan" and record["Options"] == {"parent": wire}
    crate.ok("network", "create", "-d", "macvlan", "-o", f"parent={wire}", "--ipam-driver", "none", "bare")
    (bare,) = json.loads(crate.ok("network", "inspect", "bare"))
    assert bare["subnets"] == [] and bare["ipam_options"] == {"driver": "none"}
    assert {"network_interface", "ipv6_enabled", "dns_enabled"} < set(bare)
    crate.ok("run", "-d", "--name", "one", "--network", "lan:ip=192.0.2.70,mac=02:00:00:00:00:70", IMAGE, "sleep", "99")
    crate.ok("run", "-d", "--name", "two", "--network", "lan", "-p", "80", IMAGE, "sleep", "99")
    found = crate.inspect("two")["NetworkSettings"]["Networks"]["lan"]
    assert found["IPAddress"].startswith("192.0.2.") and 64 <= int(found["IPAddress"].rpartition(".")[2]) < 128
    assert "02:00:00:00:00:70" in crate.ok("exec", "one", "cat", "/sys/class/net/eth0/address")
    for address in ("192.0.2.1", "192.0.2.70"):
        assert "1 packets received" in crate.ok("exec", "two", "ping", "-c", "1", "-W", "30", address)
    assert found["IPAddress"] in crate.ok("exec", "one", "nslookup", "two", "127.0.0.11")
    refused = crate.fails(125, "run", "--rm", "--network", "lan", "--network-rate", "1mbit", IMAGE, "true")
    assert "macvlan has no end on the host" in refused
    assert "has associated containers" in crate.fails(2, "network", "rm", "lan")
    crate.ok("network", "rm", "--force", "--time", "0", "lan")
    crate.ok("network", "rm", "second")
    assert os.path.isdir(f"/sys/class/net/{wire}")  # it was there before


def test_internal_without_a_parent(crate: Crate) -> None:
    crate.ok("network", "create", "-d", "macvlan", "--internal", "quiet")
    crate.ok("run", "-d", "--name", "one", "--network", "quiet", IMAGE, "sleep", "99")
    ping = ("ping", "-c", "1", "-W", "30", crate.inspect("one")["NetworkSettings"]["Networks"]["quiet"]["IPAddress"])
    assert "1 packets received" in crate.ok("run", "--rm", "--network", "quiet", IMAGE, *ping)
    (record,) = json.loads(crate.ok("network", "inspect", "quiet"))
    made = f"/sys/class/net/dm-{record['Id'][:12]}"
    assert os.path.isdir(made)
    crate.ok("network", "rm", "--force", "--time", "0", "quiet")
    assert not os.path.isdir(made)


def test_a_restart_makes_the_parent_anew(crate: Crate) -> None:
    """By the monitor, whose interpreter has no libraries until it needs one."""
    crate.ok("network", "create", "-d", "macvlan", "--internal", "quiet")
    crate.ok("run", "-d", "--name", "one", "--restart", "always", "--network", "quiet", IMAGE, "sleep", "99")
    (record,) = json.loads(crate.ok("network", "inspect", "quiet"))
    state = crate.inspect("one")["State"]
    before, monitor = state["Pid"], Path(f"/proc/{state['ConmonPid']}/cmdline")
    until(lambda: b"tasks.resume" in monitor.read_bytes(), what="a lean monitor")
    sh(f"ip link del dm-{record['Id'][:12]}")
    os.kill(before, signal.SIGKILL)

    def pid() -> int:
        state = crate.inspect("one")["State"]
        return int(state["Pid"]) if state["Running"] else 0

    until(lambda: pid() not in (0, before), what="it runs again")
    assert "eth0" in crate.ok("exec", "one", "ip", "link")
    crate.ok("network", "rm", "--force", "--time", "0", "quiet")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-d", "macvlan"), "needs the subnet of its wire"),
        (("-d", "macvlan", "--ipam-driver", "dhcp"), "no DHCP client"),
        (("-d", "macvlan", "-o", "parent=nowhere0", *SUBNET), "the host has no interface nowhere0"),
        (("-d", "macvlan", "-o", "mode=moon", *SUBNET), "unknown macvlan mode moon"),
        (("-d", "macvlan", "-o", "flag=vepa", *SUBNET), "unsupported macvlan network option flag"),
        (("-d", "ipvlan", "-o", "ipvlan_mode=l9", *SUBNET), "unknown ipvlan mode l9"),
        (("-d", "vxlan", "-o", "peers=192.0.2.1"), "invalid vni"),
        (("-d", "vxlan", "-o", "vni=1", "-o", "learning=perhaps"), "invalid value of the network option"),
        (("-o", "rate=fast",), "invalid rate fast"),
        (("--ipam-driver", "none",), "unsupported ipam driver none"),
    ],
)  # fmt: skip
def test_refusals(crate: Crate, arguments: tuple[str, ...], words: str) -> None:
    assert words in crate.fails(125, "network", "create", *arguments, "bad")
    assert "bad" not in crate.ok("network", "ls", "--format", "{{.Name}}")
