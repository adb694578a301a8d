"""User-defined networks: made, used, changed under running containers, removed; looked at in the kernel."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from net.scene import sh
from program import until

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
SERVER = ("sh", "-c", "mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox", "nft"), pytest.mark.usefixtures("busybox")]


def inspect(crate: Crate, name: str) -> dict[str, Any]:
    (found,) = json.loads(crate.ok("network", "inspect", name))
    assert isinstance(found, dict)
    return found


def endpoint(crate: Crate, container: str, network: str) -> dict[str, Any]:
    found = crate.inspect(container)["NetworkSettings"]["Networks"][network]
    assert isinstance(found, dict)
    return found


def link(name: str) -> str:
    return subprocess.run(
        ["ip", "-br", "link", "show", "dev", name], check=False, capture_output=True, text=True
    ).stdout


def fetch(crate: Crate, container: str, address: str, seconds: int = 20) -> str:
    """What a container gets from port 80 of an address; nothing when it cannot."""
    page = crate("exec", container, "timeout", str(seconds), "wget", "-qO-", f"http://{address}/")
    return page.out.strip()


def test_life_of_a_network(crate: Crate) -> None:
    assert crate.ok("network", "create", "back", "--label", "tier=1", "-o", "mtu=1300") == "back"
    made = inspect(crate, "back")
    bridge = made["network_interface"]
    assert made["Labels"] == {"tier": "1"} and made["Options"] == {"mtu": "1300"} and made["dns_enabled"]
    assert link(bridge) == "", "the bridge is made for the first container"
    crate.ok("run", "-d", "--name", "web", "--network", made["Id"][:10], IMAGE, *SERVER)
    crate.ok("run", "-d", "--name", "client", "--network", "back", IMAGE, "sleep", "1000")
    address = endpoint(crate, "web", "back")["IPAddress"]
    until(lambda: fetch(crate, "client", address) == "served", what="the page")
    assert " mtu 1300 " in crate.ok("exec", "web", "ip", "link", "show", "eth0") and link(bridge)
    assert set(inspect(crate, "back")["Containers"]) == {crate.inspect(name)["Id"] for name in ("web", "client")}
    assert crate.ok("ps", "--filter", "network=back", "--format", "{{.Names}} {{.Networks}}").splitlines() == [
        "client back",
        "web back",
    ]
    crate.ok("network", "create", "idle")
    listing = ("network", "ls", "-q", "--filter", "driver=bridge", "--filter")
    assert "back" in crate.ok(*listing, "dangling=false").split()
    dangling = crate.ok(*listing, "dangling=true").split()
    assert "idle" in dangling and "back" not in dangling
    crate.ok("network", "rm", "idle")
    refused = crate.fails(2, "network", "rm", "back")
    assert "associated containers" in refused and "-f" in refused
    table = f"nft list table inet crate_test_{crate.mark}"
    assert bridge in sh(table)
    assert crate.ok("network", "rm", "-f", "-t", "0", "back") == "back"
    assert bridge not in sh(table)
    assert link(bridge) == "" and crate.ok("ps", "-aq") == ""
    assert crate.fails(1, "network", "rm", "back").startswith("Error: no such network")
    assert crate("network", "rm", "-f", "back").status == 0
    actions = crate.ok("events", "--stream=false", "--filter", "type=network", "--format", "{{.Status}} {{.Name}}")
    assert actions.splitlines() == ["create back", "create idle", "remove idle", "remove back"]


def test_names_and_defaults(crate: Crate) -> None:
    first, second = crate.ok("network", "create"), crate.ok("network", "create")
    assert first != second
    subnets = {inspect(crate, name)["subnets"][0]["subnet"] for name in (first, second)}
    assert len(subnets) == 2
    assert crate.ok("network", "ls", "-q").splitlines()[:1] and first in crate.ok("network", "ls", "-q").splitlines()
    assert "already used" in crate.fails(125, "network", "create", first)
    assert crate.ok("network", "create", "--ignore", first) == first
    default = inspect(crate, "bridge")["Name"]
    assert default == inspect(crate, "podman")["Name"]
    assert crate.fails(125, "network", "rm", "-f", default) == f"Error: default network {default} cannot be removed"
    crate.ok("create", "--name", "user", "--network", first, IMAGE, "true")
    assert crate.ok("network", "prune", "-f").split()[-1:] == [second]
    assert crate("network", "exists", first).status == 0 and crate("network", "exists", second).status == 1


def test_subnet_range_gateway_and_ipv6(crate: Crate, subnet: str) -> None:
    stem = subnet.removesuffix(".0/24")
    options = f"--subnet {subnet} --gateway {stem}.254 --ip-range {stem}.64/26 --ipv6"
    crate.ok("network", "create", "lab", *options.split())
    crate.ok("run", "-d", "--name", "one", "--network", "lab", IMAGE, "sleep", "1000")
    found = endpoint(crate, "one", "lab")
    assert found["IPAddress"] == f"{stem}.64" and found["Gateway"] == f"{stem}.254"
    assert found["GlobalIPv6Address"].startswith("fd")
    routes = crate.ok("exec", "one", "ip", "-6", "route")
    assert f"default via {found['IPv6Gateway']}" in routes
    six = found["GlobalIPv6Address"].rpartition(":")[0] + ":77"
    crate.ok(
        "run", "-d", "--name", "two", "--network", f"lab:ip={stem}.9,ip6={six},mac=02:00:00:00:00:09", IMAGE, *SERVER
    )
    found = endpoint(crate, "two", "lab")
    assert (found["IPAddress"], found["GlobalIPv6Address"]) == (f"{stem}.9", six)
    until(lambda: fetch(crate, "one", f"[{six}]") == "served", what="the page over IPv6")
    assert "02:00:00:00:00:09" in crate.ok("exec", "two", "ip", "link", "show", "eth0")
    for options, named in {
        f"--ip {stem}.9": "has it", f"--ip6 {six}": "has it", "--ip 1.2.3.4": "1.2.3.4 is not in subnet",
        f"--ip {stem}.254": "is the gateway", f"--ip {stem}.0": "is the address of the network",
        f"--ip {stem}.255": "is the broadcast address",
        f"--ip6 {six.removesuffix('77')}": "is the address of the network",
        "--network-alias a..b": "invalid network alias", "--network-alias ad/min": "invalid network alias",
    }.items():  # fmt: skip
        assert named in crate.fails(125, "run", "--network", "lab", *options.split(), IMAGE, "true"), options
    assert "invalid network alias" in crate.fails(125, "run", "--network-alias", "two words", IMAGE, "true")
    crate.ok("rm", "-f", "-t", "0", "two")
    assert crate.ok("run", "--rm", "--network", "lab", "--ip6", six, IMAGE, "echo", "free") == "free"


def test_several_networks(crate: Crate) -> None:
    for name in ("front", "back"):
        crate.ok("network", "create", name)
    crate.ok(
        "run", "-d", "--name", "both", "--network", "front:interface_name=world", "--network", "back", IMAGE, *SERVER
    )
    crate.ok("run", "-d", "--name", "inner", "--network", "back", IMAGE, "sleep", "1000")
    crate.ok("run", "-d", "--name", "outer", "--network", "front", IMAGE, "sleep", "1000")
    back, front = (endpoint(crate, "both", name)["IPAddress"] for name in ("back", "front"))
    assert f"inet {front}/" in crate.ok("exec", "both", "ip", "addr", "show", "world")
    until(lambda: fetch(crate, "inner", back) == "served", what="the page on back")
    assert fetch(crate, "outer", front) == "served"
    assert fetch(crate, "inner", front, 1) == "", "networks are isolated from each other"
    defaults = [line for line in crate.ok("exec", "both", "ip", "route").splitlines() if line.startswith("default")]
    assert len(defaults) == 2 and "metric" not in defaults[0] and "metric 100" in defaults[1]
    twice = crate.fails(125, "run", "--network", "back", "--network", "back", IMAGE, "true")
    assert "twice" in twice


def test_connect_and_disconnect_a_running_container(crate: Crate) -> None:
    crate.ok("network", "create", "late")
    crate.ok("run", "-d", "--name", "web", "-p", "127.0.0.1::80", IMAGE, *SERVER)
    crate.ok("run", "-d", "--name", "client", "--network", "late", IMAGE, "sleep", "1000")
    port = int(crate.ok("port", "web", "80").rpartition(":")[2])
    first = next(iter(crate.inspect("web")["NetworkSettings"]["Networks"]))
    crate.ok("network", "connect", "--alias", "other", "late", "web")
    assert "already connected" in crate.fails(125, "network", "connect", "late", "web")
    address = endpoint(crate, "web", "late")["IPAddress"]
    assert address in crate.ok("exec", "web", "cat", "/etc/hosts")
    until(lambda: fetch(crate, "client", address) == "served", what="the page on the network that came later")
    crate.ok("network", "disconnect", first, "web")
    assert "eth0" not in crate.ok("exec", "web", "ip", "link") and "default" in crate.ok("exec", "web", "ip", "route")
    command = ["curl", "-s", "-m", "30", f"http://127.0.0.1:{port}/"]
    page = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    assert page == "served\n", "a published port follows to a network that is left"
    crate.ok("network", "disconnect", "late", "web")
    assert crate.ok("exec", "web", "ip", "-o", "link").count("\n") == 0
    assert "not connected" in crate.fails(125, "network", "disconnect", "late", "web")
    crate.ok("network", "connect", first, "web")
    assert subprocess.run(command, check=False, capture_output=True, text=True).stdout == "served\n"
    crate.ok("restart", "-t", "0", "web")
    assert list(crate.inspect("web")["NetworkSettings"]["Networks"]) == [first]
    page_of_now = ["curl", "-s", "-m", "30", f"http://{crate.ok('port', 'web', '80')}/"]
    until(lambda: subprocess.run(page_of_now, check=False, capture_output=True).stdout == b"served\n", what="the page")


def test_a_container_outlives_the_last_network_that_its_ports_led_to(crate: Crate) -> None:
    crate.ok("network", "create", "only")
    crate.ok("network", "create", "--ipv4=false", "--ipv6", "six")
    for network in ("only", "six"):
        crate.ok("run", "-d", "--name", f"web-{network}", "--network", network, "-p", "80", IMAGE, *SERVER)

    def page(name: str) -> str:
        port = crate.ok("port", name, "80").splitlines()[0].rpartition(":")[2]
        command = ["curl", "-s", "-m", "30", f"http://[::1]:{port}/"]
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()

    until(lambda: page("web-only") == "served", what="the page by the monitor's proxy")
    until(lambda: page("web-six") == "served", what="the page of a container that has IPv6 alone")
    port = crate.ok("port", "web-only", "80").splitlines()[0].rpartition(":")[2]
    crate.ok("network", "disconnect", "only", "web-only")
    assert crate.ok("exec", "web-only", "ip", "-o", "link").count("\n") == 0
    crate.ok("network", "connect", "only", "web-only")
    command = ["curl", "-s", "-m", "30", f"http://[::1]:{port}/"]
    assert subprocess.run(command, check=False, capture_output=True, text=True).stdout == "served\n"


def test_connect_a_stopped_container_and_what_cannot_be_connected(crate: Crate) -> None:
    crate.ok("network", "create", "later")
    crate.ok("create", "--name", "idle", IMAGE, "ip", "-o", "-4", "addr")
    crate.ok("network", "connect", "later", "idle")
    assert " eth1 " in crate.ok("start", "-a", "idle")
    crate.ok("run", "-d", "--name", "alone", "--network", "none", IMAGE, "sleep", "1000")
    assert "network mode" in crate.fails(125, "network", "connect", "later", "alone")
    assert "network mode" in crate.fails(125, "network", "connect", "host", "idle")
    assert "gone" in crate.fails(125, "network", "connect", "gone", "idle")
    assert "gone" in crate.fails(125, "network", "connect", "later", "gone")


def test_an_internal_network_has_no_way_out(crate: Crate) -> None:
    crate.ok("network", "create", "--internal", "closed")
    crate.ok("run", "-d", "--name", "in", "--network", "closed", "-p", "127.0.0.1::80", IMAGE, *SERVER)
    assert "default" not in crate.ok("exec", "in", "ip", "route")
    assert crate.ok("port", "in") == ""
    crate.ok("run", "-d", "--name", "near", "--network", "closed", IMAGE, "sleep", "1000")
    until(lambda: fetch(crate, "near", endpoint(crate, "in", "closed")["IPAddress"]) == "served", what="the page")


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_ports_begin_to_lead_to_a_network_that_came_later(crate: Crate, address: str) -> None:
    """The container began on an internal network; its ports are held from the start."""
    crate.ok("network", "create", "--internal", "closed")
    crate.ok("network", "create", "out")
    crate.ok("run", "-d", "--name", "in", "--network", "closed", "-p", f"{address}::80", IMAGE, *SERVER)
    assert crate.ok("port", "in") == "" and crate.ok("ps", "--format", "{{.Ports}}") == ""
    crate.ok("network", "connect", "out", "in")
    port = crate.ok("port", "in", "80").rpartition(":")[2]
    command = ["curl", "-s", "-m", "30", f"http://{address}:{port}/"]

    def page() -> bytes:
        return subprocess.run(command, check=False, capture_output=True).stdout

    until(lambda: page() == b"served\n", what="the page from the host")
    taken = crate.fails(125, "run", "--rm", "-p", f"{address}:{port}:80", IMAGE, "true")
    assert port in taken
    crate.ok("network", "disconnect", "out", "in")
    assert crate.ok("port", "in") == "" and page() == b""
    crate.ok("network", "connect", "out", "in")
    until(lambda: page() == b"served\n", what="the page once more")


def test_reload_of_several_containers(crate: Crate) -> None:
    """The rules go in for all of them, whoever is named; the ids of those named are told."""
    ids = {}
    for name, network in (("one", "first"), ("two", "second"), ("three", "second")):
        if name != "three":
            crate.ok("network", "create", network)
        ids[name] = crate.ok("run", "-d", "--name", name, "--network", network, "-p", "127.0.0.1::80", IMAGE, *SERVER)
    ports = [crate.ok("port", name, "80").rpartition(":")[2] for name in ids]

    def reached() -> list[bool]:
        pages = (["curl", "-s", "-m", "30", f"http://127.0.0.1:{port}/"] for port in ports)
        return [subprocess.run(page, check=False, capture_output=True).stdout == b"served\n" for page in pages]

    def flush() -> None:
        sh(f"nft delete table inet crate_test_{crate.mark}")
        assert not any(reached())

    until(lambda: all(reached()), what="the pages")
    for named in (["two", "one"], ["--latest"], ["--all"]):
        flush()
        told = crate.ok("network", "reload", *named).splitlines()
        expected = list(ids) if named == ["--all"] else ["three"] if named == ["--latest"] else named
        assert sorted(told) == sorted(ids[name] for name in expected)
        assert all(reached())
    flush()
    assert '"nobody" found: no such container' in crate.fails(125, "network", "reload", "one", "nobody")
    crate.ok("network", "reload", "one")
    assert all(reached())


def test_routes_reach_the_container(crate: Crate, subnet: str) -> None:
    gateway = subnet.replace(".0/24", ".7")
    routes = ["--route", f"203.0.113.0/24,{gateway}", "--route", f"198.51.100.0/24,{gateway},77"]
    crate.ok("network", "create", "--subnet", subnet, *routes, "routed")
    shown = crate.ok("run", "--rm", "--network", "routed", IMAGE, "ip", "route")
    assert f"203.0.113.0/24 via {gateway}" in shown
    assert "metric 77" in next(line for line in shown.splitlines() if line.startswith(f"198.51.100.0/24 via {gateway}"))


def test_a_connection_that_fails_leaves_the_container_as_it_was(crate: Crate, subnet: str) -> None:
    """A route by a gateway that is nowhere is refused by the kernel, when the interface is there already."""
    crate.ok("network", "create", "--subnet", subnet, "--route", "203.0.113.0/24,192.0.2.1", "wrong")
    crate.ok("run", "-d", "--name", "web", IMAGE, "sleep", "1000")
    for _ in range(2):
        assert "configure eth1" in crate.fails(125, "network", "connect", "wrong", "web")
    assert "eth1" not in crate.ok("exec", "web", "ip", "link")
    assert len(crate.inspect("web")["NetworkSettings"]["Networks"]) == 1
    assert crate.ok("network", "rm", "wrong") == "wrong"


def test_what_is_refused(crate: Crate, subnet: str) -> None:
    crate.ok("network", "create", "--subnet", subnet, "there")
    stem = subnet.removesuffix(".0/24")
    for options, named in {
        f"--subnet {subnet}": "already used", f"--subnet {stem}.128/25": "already used",
        f"--subnet {stem}.1/24": subnet,
        "--subnet nothing": "nothing", "--gateway 10.1.2.3": "without a subnet",
        "--subnet 198.51.100.0/24 --gateway 198.51.100.255": "no host",
        "--subnet 198.51.100.0/24 --gateway 10.1.2.3": "10.1.2.3 is not in subnet",
        "--subnet 198.51.100.0/24 --ip-range 10.1.2.0/25": "is not in subnet", "--driver token-ring": "token-ring",
        "-o speed=9": "speed", "-o mtu=9": "mtu", "--dns zz": "zz", "--route 10.0.0.0/8": "route",
        "--ipam-driver dhcp": "dhcp", "--interface-name lo": "lo", "--subnet 198.51.100.0/31": "no room",
        "--subnet 198.51.100.0/24 --ip-range x-198.51.100.9": "x is not an ip address",
        "--subnet 198.51.100.0/24 --ip-range 198.51.100.9-fd00::1": "fd00::1 is not in",
        "--subnet 224.1.0.0/24": "224.1.0.0", "--ipam-opt a=b": "--ipam-opt",
        "--route 203.0.113.0/24,198.51.100.9,x": "route",
    }.items():  # fmt: skip
        assert named in crate.fails(125, "network", "create", *options.split(), "other"), options
    for name in ("host", "none", "container", "bad/name"):
        assert name in crate.fails(125, "network", "create", name)
    assert crate("network", "exists", "other").status == 1
    assert "not there" not in crate.fails(125, "run", "--network", "nowhere", IMAGE, "true")


def test_update_changes_the_servers(crate: Crate) -> None:
    crate.ok("network", "create", "--dns", "192.0.2.1", "asks")
    assert crate.ok("network", "update", "--dns-add", "192.0.2.2", "--dns-drop", "192.0.2.1", "asks") == "asks"
    made = inspect(crate, "asks")
    assert made["network_dns_servers"] == ["192.0.2.2"]
    fields = "{{.Created}} {{.NetworkInterface}} {{.DNSEnabled}} {{.IPv6Enabled}} {{.Internal}}"
    shown = crate.ok("network", "ls", "--filter", "name=asks", "--format", fields)
    assert shown == f"{made['Created']} {made['network_interface']} true false false"
    assert "192.0.2.9" in crate.fails(125, "network", "update", "--dns-drop", "192.0.2.9", "asks")


def test_what_isolation_may_be(crate: Crate) -> None:
    """Networks that are open to each other, containers of one network that are not, an internal one with a way in."""
    for name, options in {
        "one": ["-o", "isolate=false"],
        "two": ["-o", "isolate=false"],
        "quiet": ["-o", "icc=false"],
    }.items():
        crate.ok("network", "create", *options, name)
    crate.ok("network", "create", "--internal", "closed")
    for name, network in {"a": "one", "b": "two", "c": "quiet", "d": "quiet", "e": "closed"}.items():
        crate.ok("run", "-d", "--name", name, "--network", network, IMAGE, *SERVER)
    address = {
        name: endpoint(crate, name, net)["IPAddress"] for name, net in (("b", "two"), ("d", "quiet"), ("e", "closed"))
    }
    until(lambda: fetch(crate, "a", address["b"]) == "served", what="the page of the other open network")
    assert fetch(crate, "c", address["d"], 1) == "", "no traffic between containers"
    gateway = endpoint(crate, "c", "quiet")["Gateway"]
    crate.ok("exec", "c", "ping", "-c", "1", "-W", "30", gateway)
    crate.ok(
        "exec", "--privileged", "e", "ip", "route", "add", "default", "via", endpoint(crate, "e", "closed")["Gateway"]
    )
    assert fetch(crate, "e", address["b"], 1) == "", "a route that the container makes itself leads nowhere"
    crate.ok(
        "exec", "--privileged", "a", "ip", "route", "add", address["e"], "via", endpoint(crate, "a", "one")["Gateway"]
    )
    assert fetch(crate, "a", address["e"], 1) == ""


def test_a_subnet_that_was_taken_since_is_told(crate: Crate) -> None:
    """Two stores choose the same subnet: nothing shows that it is taken before a container needs the bridge."""
    other = ("--root", str(crate.place / "other"), "--runroot", str(crate.runroot.parent / "other"))
    crate.ok("network", "create", "one")
    crate.ok(*other, "create", "--network", "none", IMAGE, "true")  # the image is there
    crate.ok(*other, "network", "create", "two")
    subnet = inspect(crate, "one")["subnets"][0]["subnet"]
    (second,) = json.loads(crate.ok(*other, "network", "inspect", "two"))
    assert second["subnets"][0]["subnet"] == subnet
    crate.ok("run", "-d", "--name", "web", "--network", "one", IMAGE, "sleep", "1000")
    bridge = inspect(crate, "one")["network_interface"]
    refused = crate.fails(125, *other, "run", "--rm", "--network", "two", IMAGE, "true")
    assert f"interface {bridge} has its subnet {subnet}" in refused
    assert link(second["network_interface"]) == "", "nothing is left"
    crate.ok("rm", "-f", "-t", "0", "web")
    crate.ok("network", "rm", "one")
    sh(f"ip link add d{crate.mark} type bridge && ip link set d{crate.mark} up")
    try:
        sh(f"ip route add {subnet} dev d{crate.mark}")  # a VPN's, that came up later
        refused = crate.fails(125, *other, "run", "--rm", "--network", "two", IMAGE, "true")
        assert f"interface d{crate.mark} has its subnet" in refused
        sh(f"ip route del {subnet} dev d{crate.mark}; ip route add {subnet.rpartition('.')[0]}.0/24 dev d{crate.mark}")
        assert crate.ok(*other, "run", "--rm", "--network", "two", IMAGE, "echo", "through") == "through", "a wider one"
    finally:
        sh(f"ip link del d{crate.mark}")
        crate.ok(*other, "network", "rm", "two")


def test_the_default_network_by_all_its_names(crate: Crate) -> None:
    bridge = f"ct{crate.mark}"
    crate.ok("run", "-d", "--name", "web", IMAGE, "sleep", "1000")
    address = endpoint(crate, "web", "podman")["IPAddress"]
    form = "{{.NetworkSettings.Networks.%s.IPAddress}}"
    assert [crate.ok("inspect", "--format", form % name, "web") for name in ("podman", "bridge")] == [address] * 2
    form = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}},{{end}}"
    index = '{{(index .NetworkSettings.Networks "bridge").IPAddress}}'
    assert crate.ok("inspect", "--format", f"{index}/{form}", "web") == f"{address}/podman,"
    assert {inspect(crate, name)["Name"] for name in ("podman", "bridge", bridge)} == {"podman"}
    assert inspect(crate, "podman")["network_interface"] == bridge
    assert [row.split() for row in crate.ok("network", "ls", "--format", "{{.Name}} {{.Driver}}").splitlines()] == [
        ["host", "host"], ["none", "null"], ["podman", "bridge"],
    ]  # fmt: skip
    assert "already used" in crate.fails(125, "network", "create", bridge)


def test_a_default_network_that_was_called_as_its_bridge(crate: Crate) -> None:
    bridge = f"ct{crate.mark}"
    crate.ok("create", "--name", "old", IMAGE, "sleep", "1000")
    crate.ok("run", "--rm", IMAGE, "true")
    (network,) = (crate.root / "networks").iterdir()
    network.write_text(network.read_text().replace('"podman"', f'"{bridge}"'))
    network.rename(network.with_name(f"{bridge}.json"))
    subnet = json.loads(network.with_name(f"{bridge}.json").read_text())["subnets"]
    crate.ok("start", "old")
    assert inspect(crate, "podman")["subnets"] == subnet and not network.with_name(f"{bridge}.json").exists()
    assert endpoint(crate, "old", "podman")["IPAddress"]
