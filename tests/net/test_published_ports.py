"""Published ports: reached from wherever they should be, and from nowhere else."""

from __future__ import annotations

import os
import secrets
import socket
import time

import pytest

from claims import free_port, free_ports
from crate.errors import NameInUseError
from crate.net import sandbox
from descriptors import opened
from net.scene import Net, ask, host_on_the_wire, sh
from wires import ends

pytestmark = pytest.mark.requires("root", "nft")


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_port_is_reached_from_everywhere(net: Net, outside: str, protocol: str) -> None:
    container, other = net.container(f"80/{protocol}"), net.container()
    net.serve(container, 80, protocol)
    port, gateway, wire = container.lease["ports"][0]["host_port"], container.endpoint["gateway"], host_on_the_wire(net)
    outside_address = ends(net.mark)[1]
    assert ask(None, "127.0.0.1", port, protocol) == f"hello {gateway}"
    assert ask(None, "127.5.6.7", port, protocol) == f"hello {gateway}"
    assert ask(None, wire, port, protocol) == f"hello {wire}"
    assert ask(outside, wire, port, protocol) == f"hello {outside_address}", "the client's address is kept"
    assert ask(other, gateway, port, protocol) == f"hello {gateway}"
    assert ask(other, wire, port, protocol) == f"hello {gateway}"
    assert ask(container, wire, port, protocol) == f"hello {gateway}", "a container reaches its own published port"
    net.end(container)
    assert ask(None, "127.0.0.1", port, protocol, seconds=1) != f"hello {gateway}"


def test_a_port_of_one_address_is_reached_by_it_alone(net: Net, outside: str) -> None:
    wire = host_on_the_wire(net)
    container, other = net.container(f"{wire}::80"), net.container()
    net.serve(container)
    port = container.lease["ports"][0]["host_port"]
    for place in (outside, None, other):
        assert ask(place, wire, port).startswith("hello")
    assert ask(None, "127.0.0.1", port) == "Connection refused"
    assert ask(other, container.endpoint["gateway"], port) == "Connection refused"


def test_a_port_of_the_loopback_is_reached_by_the_host_alone(net: Net, outside: str) -> None:
    container, other = net.container("127.0.0.1::80"), net.container()
    net.serve(container)
    port, wire = container.lease["ports"][0]["host_port"], host_on_the_wire(net)
    assert ask(None, "127.0.0.1", port).startswith("hello")
    assert ask(None, wire, port) == "Connection refused"
    assert ask(outside, wire, port) == "Connection refused"
    assert ask(other, container.endpoint["gateway"], port) == "Connection refused"


def test_no_route_and_no_forged_packet_reaches_a_port_of_the_loopback(net: Net, outside: str) -> None:
    container, other = net.container("127.0.0.1::80"), net.container()
    net.serve(container)
    port, wire, address = container.lease["ports"][0]["host_port"], host_on_the_wire(net), container.endpoint["address"]
    # The other host sends to our containers' subnet through us.
    sh(f"ip -n {outside} route add {address}/32 via {wire}")
    assert ask(outside, address, 80, seconds=1) == "timeout"
    # It sends 127.0.0.1 to us, and every interface of ours would take it (as kube-proxy sets it).
    link = f"ct{net.mark}o"
    sh(f"sysctl -qw net.ipv4.conf.{link}.route_localnet=1")
    for place, via in ((outside, wire), (other.name, container.endpoint["gateway"])):
        sh(f"ip netns exec {place} sysctl -qw net.ipv4.conf.all.route_localnet=1")
        sh(f"ip -n {place} route del local 127.0.0.0/8 dev lo table local")
        sh(f"ip -n {place} route del local 127.0.0.1 dev lo table local")
        sh(f"ip -n {place} route add 127.0.0.0/8 via {via}")
        assert ask(place, "127.0.0.1", port, seconds=1) == "timeout"
    assert ask(None, "127.0.0.1", port).startswith("hello")


def test_a_port_that_is_not_published_is_not_reached_from_outside(net: Net, outside: str) -> None:
    container = net.container("80")
    net.serve(container, 81)
    sh(f"ip -n {outside} route add {container.endpoint['address']}/32 via {host_on_the_wire(net)}")
    assert ask(outside, container.endpoint["address"], 81, seconds=1) == "timeout"


def test_networks_are_isolated_and_meet_at_published_ports(net: Net, net6: Net) -> None:
    net6.settings = net6.settings.__class__(
        {key: (value, "test") for key, value, _ in net6.settings.items()} | {"network.table": (net.table, "test")}
    )
    here, there = net.container("80"), net6.container()
    net.serve(here)
    assert ask(there, here.endpoint["address"], 80, seconds=1) == "timeout"
    assert ask(there, here.endpoint["gateway"], here.lease["ports"][0]["host_port"]).startswith("hello")


def test_ranges_and_two_addresses(net: Net) -> None:
    first = free_ports(3)
    container = net.container(f"{first}-{first + 1}:80-81", f"127.0.0.2:{first + 2}:80")
    net.serve(container, 80)
    net.serve(container, 81)
    assert ask(None, "127.0.0.1", first).startswith("hello")
    assert ask(None, "127.0.0.1", first + 1).startswith("hello")
    assert ask(None, "127.0.0.2", first + 2).startswith("hello")
    assert ask(None, "127.0.0.1", first + 2) == "Connection refused"


def test_a_taken_port_is_an_error_and_takes_nothing(net: Net) -> None:
    holder = net.container(f"{free_port()}:80")  # nobody else's, when it is free again
    port = holder.lease["ports"][0]["host_port"]
    leases = sorted(os.listdir(net.lease_root / net.bridge))
    fds = opened()
    with pytest.raises(NameInUseError, match=f":{port}/tcp: address already in use"):
        sandbox.prepare(net.roots, net.settings, net.request("81", f"{port}:80"), secrets.token_hex(32))
    assert sorted(os.listdir(net.lease_root / net.bridge)) == leases
    assert not opened() - fds
    net.end(holder)
    again = net.container(f"{port}:80")
    net.serve(again)
    assert ask(None, "127.0.0.1", port).startswith("hello")


def test_a_taken_address_gives_its_ports_back(net: Net) -> None:
    holder = net.container()
    fds = opened()
    with pytest.raises(NameInUseError):
        net.container("127.0.0.1::80", ip=holder.endpoint["address"])
    assert not opened() - fds


def test_what_a_killed_owner_left_is_overwritten_by_the_next(net: Net) -> None:
    dead = net.container("127.0.0.1::80")
    port = dead.lease["ports"][0]["host_port"]
    for fd in dead.lease["port_fds"]:  # the kernel closes them; nobody releases or discards
        os.close(fd)
    dead.lease["port_fds"] = []
    heir = net.container(f"127.0.0.1:{port}:80")
    net.serve(heir)
    assert ask(None, "127.0.0.1", port).startswith("hello")
    net.end(dead)  # somebody heals the dead one later, and must not touch its heir
    assert ask(None, "127.0.0.1", port).startswith("hello")


def test_the_discard_of_one_spares_an_heir_with_its_address_and_port(net: Net) -> None:
    first = net.container("127.0.0.1::80")
    port, address = first.lease["ports"][0]["host_port"], first.endpoint["address"]
    sandbox.release(net.roots, first.lease)
    heir = net.container(f"127.0.0.1:{port}:80", ip=address)
    net.serve(heir)
    sandbox.discard(first.lease)
    net.containers.remove(first)
    assert ask(None, "127.0.0.1", port).startswith("hello")


def test_a_thousand_ports(net: Net) -> None:
    first = free_ports(1000)
    container = net.container(f"127.0.0.3:{first}-{first + 999}:1000-1999")
    net.serve(container, 1999)
    assert ask(None, "127.0.0.3", first + 999).startswith("hello")
    net.end(container)
    assert "elements" not in net.nft("list", "map", "inet", net.table, "published4")


def test_ipv6_ports(net6: Net) -> None:
    container, other = net6.container("80"), net6.container()
    net6.serve(container, address="::")
    port, gateway = container.lease["ports"][0]["host_port"], container.endpoint["gateway6"]
    assert ask(other, gateway, port) == f"hello {gateway}"
    assert ask(None, gateway, port) == f"hello {gateway}"


def test_a_flow_that_never_rests_follows_the_port(net: Net) -> None:
    """One client sends on and on from one port: to nobody, to a first container, to nobody, to a second one."""
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.connect(("127.0.0.1", port))
        _pester(client, "")
        for word in ("first", "second"):
            container = net.container(f"{port}:53/udp")
            server = container.start("python3", "-u", "-c", TELL, word)
            net.processes.append(server)
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            _pester(client, word)
            server.kill()
            net.end(container)
            _pester(client, "")


TELL = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 53))
print("ready")
while True:
    server.sendto(sys.argv[1].encode(), server.recvfrom(100)[1])
"""


def _pester(client: socket.socket, expected: str) -> None:
    """Sends until the answer is the expected one: "" is a refusal, for which nobody may answer."""
    heard, deadline = None, time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            client.send(b"?")
            heard = client.recv(100).decode()
        except ConnectionRefusedError:
            heard = ""
        except TimeoutError:
            heard = None
        if heard == expected:
            return
    raise AssertionError(f"{heard!r}, not {expected!r}")
