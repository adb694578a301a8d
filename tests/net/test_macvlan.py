"""macvlan and ipvlan: containers on the wire of the host, seen by another host on it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from crate.errors import HostError, UsageError
from crate.net import store
from crate.net.drivers import macvlan, parent
from net.scene import Net, ask, sh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crate.net.store import Network

pytestmark = pytest.mark.requires("root")

DRIVERS = [
    pytest.param("macvlan", marks=pytest.mark.requires("macvlan")),
    pytest.param("ipvlan", marks=pytest.mark.requires("ipvlan")),
]


@pytest.fixture
def lan(net: Net) -> Iterator[str]:
    """A wire from an interface of this host, the parent, to a namespace with 10.77.N.1, which is the gateway."""
    far, wire = net.namespace("lan"), f"ct{net.mark}p"
    sh(f"ip link add {wire} type veth peer name eth0 netns {far} && ip link set {wire} up")
    sh(f"ip -n {far} addr add {gateway(net)}/24 dev eth0 && ip -n {far} link set eth0 up && ip -n {far} link set lo up")
    sh(f"ip -n {far} addr add 192.0.2.9/32 dev lo")
    yield wire
    sh(f"ip link del {wire}")


def gateway(net: Net, last: int = 1) -> str:
    return f"10.77.{int(net.mark[:2], 16)}.{last}"


def subnet(net: Net) -> str:
    return gateway(net, 0) + "/24"


@pytest.mark.parametrize("driver", DRIVERS)
def test_on_the_wire(net: Net, lan: str, driver: str) -> None:
    network = net.define(driver, subnet(net), gateway(net), parent=lan)
    macvlan.check_options(network)
    one = net.container(network=network["name"], ip=gateway(net, 9))
    other = net.container(network=network["name"])
    net.serve(one)
    far = net.namespaces[0]
    assert ask(far, gateway(net, 9), 80) == f"hello {gateway(net)}"
    assert ask(other, gateway(net, 9), 80) == f"hello {other.endpoint['address']}"
    assert one.endpoint["mtu"] == 1500 and one.endpoint["mac"] in one.run("ip", "link", "show", "eth0")
    net.serve(one.__class__(far, one.lease), 81)
    assert ask(other, "192.0.2.9", 81) == f"hello {other.endpoint['address']}"  # through the gateway
    shown = json.loads(other.run("ip", "-j", "-d", "link", "show", "eth0"))[0]
    assert shown["linkinfo"]["info_kind"] == driver
    assert not [name for name in os.listdir("/sys/class/net") if name.startswith("veth") and net.mark in name]
    net.end(other)
    assert os.listdir(net.lease_root / f".{network['id'][:12]}") != []


@pytest.mark.requires("macvlan")
def test_modes_mac_mtu_and_ipv6(net: Net, lan: str) -> None:
    first = net.define("macvlan", "fd00:77::/64", "fd00:77::1", parent=lan, mode="private", mtu="1400")
    second = net.define("macvlan", subnet(net), gateway(net), parent=lan, mode="vepa")
    one = net.container(network=first["name"], mac="02:00:00:00:00:09")
    other = net.container(network=second["name"])  # several networks on one parent
    shown = json.loads(one.run("ip", "-j", "-d", "addr", "show", "eth0"))[0]
    assert (shown["mtu"], shown["address"]) == (1400, "02:00:00:00:00:09") and one.endpoint["mtu"] == 1400
    assert shown["linkinfo"]["info_data"]["mode"] == "private"
    assert [a["local"] for a in shown["addr_info"] if a["scope"] == "global"] == [one.endpoint["address6"]]
    assert "default via fd00:77::1" in one.run("ip", "-6", "route")
    assert "mode vepa" in other.run("ip", "-d", "link", "show", "eth0")
    taken = net.define("macvlan", "10.1.2.0/24", parent=lan, mode="passthru")
    with pytest.raises(HostError, match="cannot create macvlan eth0 in mode passthru"):
        net.container(network=taken["name"])
    net.containers = [one, other]


@pytest.mark.requires("macvlan")
def test_internal_without_a_parent(net: Net) -> None:
    network = net.define("macvlan", subnet(net), gateway(net))
    network["internal"] = True
    store.save(net.roots, network)
    one, other = net.container(network=network["name"]), net.container(network=network["name"])
    net.serve(one)
    assert ask(other, one.endpoint["address"], 80) == f"hello {other.endpoint['address']}"
    assert "default" not in one.run("ip", "route")
    made = parent.name_of(network)
    assert os.path.isdir(f"/sys/class/net/{made}")
    twin: Network = {**network, "name": "twin"}
    macvlan.remove(network, [twin])
    assert os.path.isdir(f"/sys/class/net/{made}")
    macvlan.remove(network, [])
    assert not os.path.isdir(f"/sys/class/net/{made}")


@pytest.mark.requires("macvlan", "vlan")
@pytest.mark.parametrize("written", ["name", "option"])
def test_a_vlan_is_made_and_removed(net: Net, lan: str, written: str) -> None:
    options = {"parent": f"{lan}.50"} if written == "name" else {"parent": lan, "vlan": "50"}
    network = net.define("macvlan", subnet(net), gateway(net), **options)
    macvlan.check_options(network)
    far = net.namespaces[0]
    sh(f"ip -n {far} addr del {gateway(net)}/24 dev eth0 && ip -n {far} link add link eth0 name v type vlan id 50")
    sh(f"ip -n {far} addr add {gateway(net)}/24 dev v && ip -n {far} link set v up")
    one = net.container(network=network["name"])
    net.serve(one)
    assert ask(far, one.endpoint["address"], 80) == f"hello {gateway(net)}"
    macvlan.remove(network, [])
    assert not os.path.exists(f"/sys/class/net/{lan}.50") and os.path.exists(f"/sys/class/net/{lan}")


@pytest.mark.requires("ipvlan")
def test_l3_routes_without_a_gateway(net: Net, lan: str) -> None:
    network = net.define("ipvlan", "10.78.0.0/24", "10.78.0.1", parent=lan, mode="l3")
    sh(f"ip addr add {gateway(net, 2)}/24 dev {lan}")  # by which the others find the subnet
    sh(f"ip -n {net.namespaces[0]} route add 10.78.0.0/24 via {gateway(net, 2)}")
    one = net.container(network=network["name"])
    assert one.run("ip", "route").startswith("default dev eth0")
    net.serve(one)
    assert ask(net.namespaces[0], one.endpoint["address"], 80) == f"hello {gateway(net)}"


def test_a_kernel_without_the_driver(net: Net, lan: str) -> None:
    from abilities import why_not

    if why_not("ipvlan") is None:
        pytest.skip("this kernel has ipvlan")
    network = net.define("ipvlan", subnet(net), gateway(net), parent=lan)
    with pytest.raises(HostError) as caught:
        net.container(network=network["name"])
    assert "the kernel has no ipvlan driver" in str(caught.value) and "modprobe ipvlan" in str(caught.value)


def test_refusals(net: Net, lan: str) -> None:
    for driver, options, words in (
        ("macvlan", {"parent": lan, "mode": "moon"}, "unknown macvlan mode moon"),
        ("ipvlan", {"parent": lan, "mode": "l4"}, "unknown ipvlan mode l4"),
        ("ipvlan", {"parent": lan, "flag": "red"}, "unknown ipvlan flag red"),
        ("macvlan", {"parent": lan, "vlan": "4095"}, "invalid vlan 4095"),
        ("macvlan", {"vlan": "5"}, "needs an interface"),
    ):
        network = net.define(driver, subnet(net), gateway(net), **options)
        with pytest.raises(UsageError, match=words):
            macvlan.check_options(network)
    nowhere = net.define("macvlan", subnet(net), gateway(net), parent="nowhere0")
    with pytest.raises(HostError, match="no interface nowhere0"):
        macvlan.check_options(nowhere)
    with pytest.raises(HostError, match="no interface nowhere0"):
        net.container(network=nowhere["name"])


@pytest.mark.requires("macvlan")
def test_no_address_is_given_by_ipam_none(net: Net, lan: str) -> None:
    network = net.define("macvlan", "", parent=lan)
    network["ipam_options"] = {"driver": "none"}
    store.save(net.roots, network)
    one = net.container(network=network["name"])
    assert one.endpoint["address"] == "" and "inet " not in one.run("ip", "addr", "show", "eth0")
