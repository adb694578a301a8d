"""Published ports, `port`, and the `network` commands."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from claims import free_port
from program import until

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
SERVER = ("sh", "-c", "mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox", "nft"), pytest.mark.usefixtures("busybox")]


def _get(address: str, port: int) -> str:
    """The page, or nothing while nobody listens."""
    try:
        with socket.create_connection((address, port), 30) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            text = b""
            while data := connection.recv(65536):
                text += data
    except OSError:
        return ""
    return text.decode().rpartition("\r\n\r\n")[2].strip()


def test_loopback_of_ipv6_is_reached_at_once(crate: Crate) -> None:
    wanted = free_port()
    crate.ok("run", "-d", "-p", f"{wanted}:80", IMAGE, *SERVER)

    def page() -> bytes:
        """Before there is a proxy a client waits for it and is not refused; the server may be later still."""
        with socket.create_connection(("::1", wanted), 60) as connection:
            try:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return connection.recv(65536)
            except ConnectionResetError:
                return b""

    until(lambda: b"200 OK" in page(), what="the page")


def test_published(crate: Crate) -> None:
    wanted = free_port()
    crate.ok(
        "run",
        "-d",
        "--name",
        "web",
        "-p",
        f"{wanted}:80",
        "-p",
        "127.0.0.1::80",
        "-p",
        "127.0.0.1::53/udp",
        IMAGE,
        *SERVER,
    )
    until(lambda: _get("127.0.0.1", wanted) == "served", what="the published port")
    lines = crate.ok("port", "web").splitlines()
    assert f"80/tcp -> 0.0.0.0:{wanted}" in lines and len(lines) == 3
    addresses = crate.ok("port", "web", "80").splitlines()
    assert f"0.0.0.0:{wanted}" in addresses
    chosen = next(int(line.rpartition(":")[2]) for line in addresses if line.startswith("127.0.0.1:"))
    assert _get("127.0.0.1", chosen) == "served"
    assert crate.ok("port", "web", "53/udp").startswith("127.0.0.1:")
    assert "81" in crate.fails(1, "port", "web", "81") and "gone" in crate.fails(125, "port", "gone")
    assert f"0.0.0.0:{wanted}->80/tcp" in crate.ok("ps", "--format", "{{.Ports}}")
    assert crate.ok("port", "--all").count("\t") == 3
    assert crate.ok("ps", "-q", "--filter", "publish=80") and not crate.ok("ps", "-q", "--filter", "publish=81")
    taken = crate.fails(125, "run", "--rm", "-p", f"{wanted}:80", IMAGE, "true")
    assert str(wanted) in taken
    crate.ok("stop", "-t", "0", "web")
    assert _get("127.0.0.1", wanted) == "" and crate.ok("port", "web") == ""
    assert crate.ok("run", "--rm", "-p", f"{wanted}:80", IMAGE, "echo", "free") == "free"
    crate.ok("start", "web")
    until(lambda: _get("127.0.0.1", wanted) == "served", what="the published port after a restart")


def test_all_exposed_ports(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "web", "-P", "--expose", "80", "--expose", "8000-8001", IMAGE, *SERVER)
    assert len(crate.ok("port", "web").splitlines()) == 3
    number = int(crate.ok("port", "web", "80").rpartition(":")[2])
    until(lambda: _get("127.0.0.1", number) == "served", what="the published port")


def test_containers_reach_each_other_and_nothing_without_a_network(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "web", IMAGE, *SERVER)
    address = crate.inspect("web")["NetworkSettings"]["IPAddress"]
    page = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc {address} 80"
    until(lambda: crate("run", "--rm", IMAGE, "sh", "-c", page).out.endswith("\nserved\n"), what="the page")
    assert crate("run", "--rm", "--network", "none", IMAGE, "sh", "-c", page).status != 0
    assert crate.ok("run", "--rm", "--network", "none", IMAGE, "ip", "-o", "link").count("\n") == 0
    assert f"{address}/" not in crate.ok("run", "--rm", IMAGE, "ip", "addr")


def test_refused(crate: Crate) -> None:
    for options, named in {
        "-p 99999:80": "99999", "-p nothing": "nothing", "-p 80:80:80:80": "80:80:80:80",
        "-p 1.2.3.4.5:80:80": "1.2.3.4.5",
        "-p 80/sctpp": "sctpp", "--network container:": "container", "--network nowhere": "nowhere",
        "--ip 10.1.2.3 --network host": "IP", "--mac-address zz": "zz", "--net none --network host": "none",
    }.items():  # fmt: skip
        assert named in crate.fails(125, "run", *options.split(), IMAGE, "true"), options
    assert crate.ok("ps", "-aq") == ""
    result = crate("run", "--rm", "--net", "host", "-p", "80:80", IMAGE, "echo", "hi")
    assert result.out == "hi\n" and "have been discarded" in result.err


def test_network_ls_and_inspect(crate: Crate) -> None:
    heading, *lines = crate.ok("network", "ls").splitlines()
    assert heading.split() == ["NETWORK", "ID", "NAME", "DRIVER"]
    names = {line.split()[1]: line.split()[2] for line in lines}
    (default,) = names.keys() - {"host", "none"}
    assert names == {default: "bridge", "host": "host", "none": "null"}
    assert crate.ok("network", "ls", "--filter", "driver=bridge", "--format", "{{.Name}}") == default
    assert len(crate.ok("network", "ls", "-q").split()) == 3
    made = crate.ok("run", "-d", "--name", "member", IMAGE, "sleep", "1000")
    (found,) = json.loads(crate.ok("network", "inspect", default))
    assert found["Name"] == default and found["Driver"] == "bridge" and found["Scope"] == "local"
    address = crate.inspect("member")["NetworkSettings"]["IPAddress"]
    assert found["Containers"][made]["Name"] == "member"
    assert found["Containers"][made]["IPv4Address"].startswith(f"{address}/")
    assert crate.ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", found["Id"][:12])
    result = crate("network", "inspect", "gone", default)
    assert result.status == 125 and "gone" in result.err and json.loads(result.out)[0]["Name"] == default
    assert crate("network", "exists", default).status == 0 and crate("network", "exists", "gone").status == 1
