"""Containers on the default bridge: addresses, routes, the host's ends, what is left afterwards."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from pathlib import Path

import pytest

from claims import free_port
from crate.errors import HostError, KernelError, NameInUseError, NotFoundError, UsageError
from crate.linux import namespace
from crate.net import default_network, sandbox
from crate.net.drivers import bridge
from net.scene import Net, ask, sh
from program import until
from wires import ends

pytestmark = pytest.mark.requires("root", "nft")


def prefix(net: Net) -> str:
    return str(net.settings.get("network.address_pools")[0]).rpartition(".")[0]


def test_a_container_gets_address_route_and_loopback(net: Net) -> None:
    container = net.container()
    first = prefix(net)
    assert container.endpoint["address"] == f"{first}.2"
    shown = json.loads(container.run("ip", "-j", "address"))
    assert [link["ifname"] for link in shown] == ["lo", "eth0"]
    loopback, eth0 = shown
    assert "UP" in loopback["flags"]
    assert [(a["local"], a["prefixlen"], a["broadcast"]) for a in eth0["addr_info"]] == [
        (f"{first}.2", 24, f"{first}.255")
    ]
    assert (
        eth0["address"]
        == container.endpoint["mac"]
        == "02:42:" + ":".join(f"{int(n):02x}" for n in first.split(".")) + ":02"
    )
    routes = json.loads(container.run("ip", "-j", "route"))
    assert {(route["dst"], route.get("gateway")) for route in routes} == {
        ("default", f"{first}.1"),
        (f"{first}.0/24", None),
    }
    host_end = json.loads(sh(f"ip -j link show {container.endpoint['host_interface']}"))[0]
    assert host_end["master"] == net.bridge
    assert host_end["mtu"] == eth0["mtu"] == container.endpoint["mtu"]


def test_containers_reach_each_other_and_the_host(net: Net) -> None:
    one, other = net.container(), net.container()
    net.serve(one)
    assert ask(other, one.endpoint["address"], 80) == f"hello {other.endpoint['address']}"
    assert ask(None, one.endpoint["address"], 80) == f"hello {one.endpoint['gateway']}"


def test_what_leaves_the_host_has_the_hosts_address(net: Net, outside: str) -> None:
    inside = net.container()
    server = net.containers[0].__class__(outside, inside.lease)
    net.serve(server, 8000)
    here, there = ends(net.mark)
    assert ask(inside, there, 8000) == f"hello {here}"


def test_a_given_address_and_mac(net: Net) -> None:
    first = prefix(net)
    container = net.container(ip=f"{first}.77", mac="02:00:00:00:00:01")
    assert container.endpoint["address"] == f"{first}.77"
    assert "link/ether 02:00:00:00:00:01" in container.run("ip", "link", "show", "eth0")
    with pytest.raises(NameInUseError, match=f"cannot use address {first}.77: container"):
        net.container(ip=f"{first}.77")
    with pytest.raises(UsageError, match=r"address 192\.0\.2\.1 is not in subnet"):
        net.container(ip="192.0.2.1")
    with pytest.raises(UsageError, match="is the gateway"):
        net.container(ip=f"{first}.1")
    net.end(container)
    assert net.container(ip=f"{first}.77").endpoint["address"] == f"{first}.77"


def test_ipv6(net6: Net) -> None:
    one, other = net6.container(f"{free_port()}:80"), net6.container()
    assert one.endpoint["address6"].endswith("::2")
    net6.serve(one, 80, address="::")
    assert ask(other, one.endpoint["address6"], 80) == f"hello {other.endpoint['address6']}"
    assert "default via " + one.endpoint["gateway6"] in one.run("ip", "-6", "route")
    assert ask(None, one.endpoint["gateway6"], one.lease["ports"][0]["host_port"]).startswith("hello fd00:")


def test_a_given_ipv6_address(net6: Net) -> None:
    """However it is written it is one address, and those that crate chooses go around it."""
    stem = net6.container().endpoint["address6"].removesuffix("2")
    given = net6.container(ip6=f"{stem}4".upper())
    assert given.endpoint["address6"] == f"{stem}4" and given.endpoint["address"].endswith(".3")
    with pytest.raises(NameInUseError, match="cannot use address"):
        net6.container(ip6=f"{stem}0:4")
    assert [net6.container().endpoint["address6"] for _ in range(2)] == [f"{stem}5", f"{stem}6"]
    with pytest.raises(UsageError, match="is the gateway"):
        net6.container(ip6=f"{stem}0:1")


def test_the_record_of_the_network_is_written_once_and_shown_as_podman_does(net: Net) -> None:
    first = net.container()
    with open(f"{net.roots.graphroot}/networks/podman.json") as file:
        record = json.load(file)
    assert (record["name"], record["network_interface"]) == ("podman", net.bridge)
    assert record["subnets"] == [{"subnet": f"{prefix(net)}.0/24", "gateway": f"{prefix(net)}.1"}]
    second = net.container()
    assert second.endpoint["gateway"] == first.endpoint["gateway"]


def test_another_store_shares_the_bridge_and_its_leases(net: Net) -> None:
    first = net.container()
    net.roots.graphroot += "-other"
    second = net.container()
    assert second.endpoint["gateway"] == first.endpoint["gateway"]
    assert second.endpoint["address"] != first.endpoint["address"]


def test_a_bridge_that_was_deleted_comes_back(net: Net) -> None:
    net.end(net.container())
    sh(f"ip link del {net.bridge}")
    one, other = net.container(), net.container()
    net.serve(one)
    assert ask(other, one.endpoint["address"], 80).startswith("hello")


def test_a_bridge_that_is_down_comes_up(net: Net) -> None:
    net.container()
    sh(f"ip link set {net.bridge} down")
    one = net.container()
    net.serve(one)
    assert ask(None, one.endpoint["address"], 80).startswith("hello")


def test_an_interface_of_that_name_that_is_no_bridge(net: Net) -> None:
    sh(f"ip link add {net.bridge} type veth peer name {net.bridge}p")
    with pytest.raises(HostError, match="that is no bridge exists"):
        net.container()


def test_an_unknown_network(net: Net) -> None:
    with pytest.raises(NotFoundError, match="no such network: nowhere"):
        net.container(network="nowhere")


def test_an_unknown_mode(net: Net) -> None:
    with pytest.raises(UsageError, match="unknown network mode: moon"):
        sandbox.prepare(net.roots, net.settings, {"mode": "moon"}, "0" * 64)


def test_mode_none_has_a_loopback_alone(net: Net) -> None:
    lease = sandbox.prepare(net.roots, net.settings, {"mode": "none"}, "0" * 64)
    name = net.namespace()
    fd = os.open(f"/run/netns/{name}", os.O_RDONLY)
    home = os.stat("/proc/self/ns/net").st_ino
    sandbox.connect(lease, fd)
    os.close(fd)
    assert os.stat("/proc/self/ns/net").st_ino == home
    assert [(link["ifname"], "UP" in link["flags"]) for link in json.loads(sh(f"ip -n {name} -j link"))] == [
        ("lo", True)
    ]
    sandbox.publish(lease)
    sandbox.release(net.roots, lease)
    sandbox.discard(lease)


@pytest.mark.parametrize("mode", ["host", "container", "ns"])
def test_modes_that_belong_to_others_take_nothing(net: Net, mode: str) -> None:
    lease = sandbox.prepare(net.roots, net.settings, {"mode": mode}, "0" * 64)
    sandbox.connect(lease, -1)
    sandbox.publish(lease)
    sandbox.release(net.roots, lease)
    sandbox.discard(lease)
    assert not net.lease_root.exists()


def test_a_lease_survives_as_json(net: Net) -> None:
    container = net.container("127.0.0.1::80")
    container.lease = json.loads(json.dumps(container.lease))
    net.end(container)


def test_an_interface_that_exists_already_is_an_error_and_leaves_no_veth(net: Net) -> None:
    container = net.container()
    members = f"/sys/class/net/{net.bridge}/brif"
    before = os.listdir(members)
    lease = sandbox.prepare(net.roots, net.settings, net.request(), secrets.token_hex(32))
    fd = os.open(f"/run/netns/{container.name}", os.O_RDONLY)
    with pytest.raises(KernelError, match=f"cannot connect eth0 to bridge {net.bridge}: File exists"):
        sandbox.connect(lease, fd)
    os.close(fd)
    sandbox.release(net.roots, lease)
    assert os.listdir(members) == before
    assert container.run("ip", "-o", "link").count("\n") == 1, "loopback and eth0"


def test_the_end_leaves_the_bridge_and_nothing_else(net: Net) -> None:
    container = net.container("127.0.0.1::80")
    net.end(container)
    assert [name for name in os.listdir(net.lease_root / net.bridge) if not name.startswith(".")] == []
    assert "elements" not in net.nft("list", "map", "inet", net.table, "published4")
    subprocess.run(["ip", "netns", "del", container.name], check=True)
    net.namespaces.remove(container.name)
    members = f"/sys/class/net/{net.bridge}/brif"
    until(lambda: not os.listdir(members), what="the end of the veth pair")


def test_a_lease_directory_that_cannot_be_made(net: Net) -> None:
    net.lease_root.write_text("")
    with pytest.raises(KernelError, match=f"cannot use directory {net.lease_root}"):
        net.container()


def test_a_host_that_takes_router_advertisements_goes_on_taking_them(net6: Net) -> None:
    network = default_network.ensure(net6.roots, net6.settings)
    pid = os.fork()
    if pid == 0:
        try:
            namespace.unshare(namespace.CLONE_NEWNET)
            sh("ip link add wire type veth peer name other")
            conf = Path("/proc/sys/net/ipv6/conf")
            before = (conf / "all/forwarding").read_text(), (conf / "wire/accept_ra").read_text()
            bridge.ensure(network)
            after = (conf / "all/forwarding").read_text(), (conf / "wire/accept_ra").read_text()
            os._exit(0 if (before, after) == (("0\n", "1\n"), ("1\n", "2\n")) else 2)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
