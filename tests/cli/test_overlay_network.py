"""vxlan: the containers of two hosts, each a network namespace with a crate of its own, on one network."""

from __future__ import annotations

import functools
import json
import secrets
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from crate.errors import UsageError
from crate.net import store
from crate.net.drivers import vxlan
from program import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crate.net.store import Network
    from program import Crate

IMAGE = "crate.local/busybox"
SERVER = ("sh", "-c", "mkdir /www; hostname > /www/index.html; exec httpd -f -p 80 -h /www")

pytestmark = pytest.mark.requires("root", "overlay", "busybox", "nft", "vxlan")


def sh(command: str) -> str:
    done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


class Host:
    """A namespace that is 192.0.2.NUMBER on the wire to the other one, its eth0."""

    def __init__(self, crate: Crate, number: int) -> None:
        self.crate, self.number = crate, number
        self.name = f"ct{crate.mark}"
        sh(f"ip netns add {self.name} && ip -n {self.name} link set lo up")
        crate.within = ["nsenter", f"--net=/run/netns/{self.name}"]
        crate.ok("pull", "--quiet", IMAGE)

    def define(self, peer: int) -> Network:
        """The record of the network as this host has it."""
        self.crate.ok(
            "network", "create", "--driver", "vxlan", "--subnet", "10.231.0.0/16",
            "--ip-range", f"10.231.{self.number}.0/24", "--interface-name", f"cto{self.crate.mark}",
            "--opt", "vni=77", "-o", f"peers=192.0.2.{peer}", "overlay",
        )  # fmt: skip
        return store.load(Roots(str(self.crate.root)), "overlay")  # type: ignore[arg-type]

    def get_inside(self, address: str, port: int) -> str:
        """The page that a container of this host gets."""
        ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 20 {address} {port}"
        return self.crate("exec", "web", "sh", "-c", ask).out.strip()

    def sh(self, command: str) -> str:
        return sh(f"ip netns exec {self.name} {command}")


class Roots:
    def __init__(self, graphroot: str) -> None:
        self.graphroot = graphroot


def record(own: str, peers: str, bridge: str = "ctx", **options: str) -> Network:
    return {
        "version": 1, "name": "overlay", "id": secrets.token_hex(32), "driver": "vxlan", "network_interface": bridge,
        "created": "2026-01-01T00:00:00Z", "ipv6_enabled": False, "internal": False, "dns_enabled": True, "labels": {},
        "subnets": [{
            "subnet": "10.231.0.0/16", "gateway": "10.231.0.1",
            "lease_range": {"start_ip": f"{own}.0", "end_ip": f"{own}.255"},
        }],
        "options": {"vni": "77", "peers": peers, **options}, "ipam_options": {"driver": "host-local"},
    }  # fmt: skip


@pytest.fixture
def hosts(crate: Crate, other_crate: Crate) -> Iterator[tuple[Host, Host]]:
    made: list[Host] = []
    try:
        made = [Host(one, number) for number, one in ((1, crate), (2, other_crate))]
        sh(f"ip -n {made[0].name} link add eth0 type veth peer name eth0 netns {made[1].name}")
        for host in made:
            sh(f"ip -n {host.name} addr add 192.0.2.{host.number}/24 dev eth0 && ip -n {host.name} link set eth0 up")
        yield made[0], made[1]
        for host in made:
            host.crate.ok("rm", "--all", "--force", "--time", "0")
    finally:
        for host in made:
            host.crate.kill_started()
            subprocess.run(["ip", "netns", "del", host.name], check=False)


def test_containers_of_two_hosts(hosts: tuple[Host, Host]) -> None:
    for host, peer in zip(hosts, (2, 1), strict=True):
        host.define(peer)
        host.crate.ok(
            "run", "-d", "--name", "web", "--hostname", f"on-{host.number}", "-p", "8080:80",
            "--network", "overlay", IMAGE, *SERVER,
        )  # fmt: skip
    addresses = []
    for host in hosts:
        settings = host.crate.inspect("web")["NetworkSettings"]["Networks"]["overlay"]
        assert settings["Gateway"] == f"10.231.{host.number}.1"
        addresses.append(settings["IPAddress"])
        assert settings["IPAddress"].startswith(f"10.231.{host.number}.")
    for host, far, name in ((hosts[0], addresses[1], "on-2"), (hosts[1], addresses[0], "on-1")):
        assert until(functools.partial(host.get_inside, far, 80)).endswith(name)
        assert "1 packets received" in host.crate.ok("exec", "web", "ping", "-c", "1", far)
        assert "1450" in host.crate.ok("exec", "web", "cat", "/sys/class/net/eth0/mtu")
        assert far not in host.crate.ok("exec", "web", "nslookup", "web.overlay", "127.0.0.11")  # its own web
        # the host itself is on the network, with its gateway
        assert host.sh(f"curl -s --max-time 30 http://{far}/").strip() == name
        large = host.crate.ok("exec", "web", "ping", "-c", "1", "-s", "1422", far)  # 1450 with its headers, whole
        assert "1 packets received" in large
    # a port published on the one host is reached from the other
    assert hosts[1].sh("curl -s --max-time 30 http://192.0.2.1:8080/").strip() == "on-1"
    # what a container sends to the world has its own host's address
    assert hosts[1].get_inside("192.0.2.1", 8080).endswith("on-1")


def test_the_device_lives_with_the_bridge(hosts: tuple[Host, Host]) -> None:
    host = hosts[0]
    network = host.define(2)
    name = vxlan.device_name(network)

    def shown() -> dict[str, Any]:
        (found,) = json.loads(host.sh(f"ip -j -d link show {name}"))
        assert isinstance(found, dict)
        return found

    host.crate.ok("run", "--rm", "--network", "overlay", IMAGE, "true")
    first = shown()
    assert first["master"] == network["network_interface"] and first["mtu"] == 1450
    assert "00:00:00:00:00:00 dst 192.0.2.2 self permanent" in host.sh(f"bridge fdb show dev {name}")
    host.sh(f"ip link del {network['network_interface']}")
    network["options"]["peers"] = "192.0.2.3, 192.0.2.4"
    store.save(Roots(str(host.crate.root)), network)  # type: ignore[arg-type]
    host.crate.ok("run", "--rm", "--network", "overlay", IMAGE, "true")
    assert shown()["ifindex"] != first["ifindex"] and shown()["master"] == network["network_interface"]
    network["options"]["peers"] = "192.0.2.4"
    store.save(Roots(str(host.crate.root)), network)  # type: ignore[arg-type]
    host.crate.ok("run", "--rm", "--network", "overlay", IMAGE, "true")
    entries = host.sh(f"bridge fdb show dev {name}")
    assert "192.0.2.4" in entries and "192.0.2.3" not in entries and "192.0.2.2" not in entries
    assert host.crate.ok("network", "rm", "overlay") == "overlay"
    assert "vx-" not in host.sh("ip link") and network["network_interface"] not in host.sh("ip link")
    store.save(Roots(str(host.crate.root)), network)  # type: ignore[arg-type]
    host.crate.ok("run", "--rm", "--network", "overlay", IMAGE, "true")
    twin: Network = {
        **network,
        "name": "twin",
        "id": secrets.token_hex(32),
        "network_interface": f"ctt{host.crate.mark}",
    }
    twin["subnets"] = [{**network["subnets"][0], "subnet": "10.232.0.0/16", "gateway": "10.232.1.1"}]
    twin["subnets"][0].pop("lease_range")
    store.save(Roots(str(host.crate.root)), twin)  # type: ignore[arg-type]
    refused = host.crate.fails(125, "run", "--rm", "--network", "twin", IMAGE, "true")
    assert "vni 77: this host has one already" in refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"vni": ""}, "invalid vni"),
        ({"vni": "16777216"}, "invalid vni 16777216"),
        ({"peers": ""}, "needs the addresses of the other hosts"),
        ({"peers": "nowhere"}, "invalid IP address: nowhere"),
        ({"peers": "192.0.2.1,fd00::1"}, "all IPv4, or all IPv6"),
        ({"port": "0"}, "invalid port 0"),
    ],
)
def test_refusals(options: dict[str, str], words: str) -> None:
    network = record("10.231.1", "192.0.2.2")
    network["options"].update(options)
    with pytest.raises(UsageError, match=words):
        vxlan.check_options(network)


def test_each_host_has_a_range_and_a_gateway_of_its_own() -> None:
    network = record("10.231.5", "192.0.2.2")
    vxlan.check_options(network)
    assert network["subnets"][0]["gateway"] == "10.231.5.1"
    network["subnets"][0]["gateway"] = "10.231.200.1"
    vxlan.check_options(network)
    assert network["subnets"][0]["gateway"] == "10.231.200.1"
    del network["subnets"][0]["lease_range"]
    with pytest.raises(UsageError, match=r"the part of 10\.231\.0\.0/16 that this host gives away"):
        vxlan.check_options(network)
