"""The texts of hosts and resolv.conf by docker's rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from crate.errors import UsageError
from crate.net import files

HOST = """\
# a comment
nameserver 127.0.0.1
nameserver ::1
nameserver 192.0.2.53
nameserver 2001:db8::53
nameserver fe80::1%eth0
domain old.example
search a.example b.example
options ndots:2
options timeout:1
"""


def test_loopback_and_ipv6_servers_of_the_host_are_left_out() -> None:
    text = files.resolv_conf_text(HOST)
    assert text == "nameserver 192.0.2.53\nsearch a.example b.example\noptions ndots:2 timeout:1\n"


def test_a_container_with_ipv6_keeps_ipv6_servers_without_a_zone() -> None:
    text = files.resolv_conf_text(HOST, ipv6=True) or ""
    assert text.splitlines()[:2] == ["nameserver 192.0.2.53", "nameserver 2001:db8::53"]


def test_the_hosts_network_keeps_the_hosts_servers() -> None:
    text = files.resolv_conf_text(HOST, shares_host_network=True) or ""
    assert text.count("nameserver") == 5


@pytest.mark.parametrize("host", ["", "nameserver 127.0.0.53\n", "nameserver rubbish\n", "nameserver\n"])
def test_without_a_server_of_the_host_there_are_public_ones(host: str) -> None:
    assert files.resolv_conf_text(host) == "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
    assert (files.resolv_conf_text(host, ipv6=True) or "").count("2001:4860:4860") == 2


def test_what_is_given_replaces_what_the_host_has() -> None:
    text = files.resolv_conf_text(HOST, dns=["127.0.0.1", "1.1.1.1"], search=["c.example"], options=["rotate"])
    assert text == "nameserver 127.0.0.1\nnameserver 1.1.1.1\nsearch c.example\noptions rotate\n"
    assert files.resolv_conf_text(HOST, dns=["1.1.1.1"], search=["."], options=["rotate"]) == (
        "nameserver 1.1.1.1\noptions rotate\n"
    )


def test_none_leaves_the_file_of_the_image() -> None:
    assert files.resolv_conf_text(HOST, dns=["none"]) is None


def test_a_server_that_is_no_address_is_refused() -> None:
    with pytest.raises(UsageError, match=r"invalid IP address: dns\.example"):
        files.resolv_conf_text(HOST, dns=["dns.example"])


def test_the_last_search_line_counts() -> None:
    assert files.resolv_conf_text("nameserver 1.1.1.1\nsearch a\nsearch b\n") == "nameserver 1.1.1.1\nsearch b\n"


def test_a_forwarder_is_asked_first() -> None:
    text = files.resolv_conf_text(HOST, forwarder="169.254.1.1") or ""
    assert text.splitlines()[:2] == ["nameserver 169.254.1.1", "nameserver 192.0.2.53"]
    assert files.resolv_conf_text("", forwarder="169.254.1.1") == "nameserver 169.254.1.1\n"


def test_where_names_are_told_nobody_else_is_asked() -> None:
    text = files.resolv_conf_text(HOST, names=files.NAMES_ADDRESS, dns=["9.9.9.9"])
    assert text == "nameserver 127.0.0.11\nsearch a.example b.example\noptions timeout:1 ndots:0\n"
    text = files.resolv_conf_text("", names=files.NAMES_ADDRESS, options=["ndots:5"], search=["x.example"])
    assert text == "nameserver 127.0.0.11\nsearch x.example\noptions ndots:5\n"
    assert files.resolv_conf_text(HOST, names=files.NAMES_ADDRESS, dns=["none"]) is None


def test_behind_the_stub_of_resolved_are_its_servers(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("nameserver 127.0.0.53\noptions edns0\n")
    (tmp_path / "resolved").write_text("nameserver 192.0.2.53\n")
    paths = str(tmp_path / "etc"), str(tmp_path / "resolved")
    assert files.host_resolv_conf(*paths) == "nameserver 192.0.2.53\n"
    (tmp_path / "etc").write_text("nameserver 127.0.0.53\nnameserver 192.0.2.1\n")
    assert "192.0.2.1" in files.host_resolv_conf(*paths)
    assert files.host_resolv_conf(str(tmp_path / "none"), paths[1]) == ""


def test_hosts_of_a_container_with_an_address() -> None:
    lines = files.hosts_text("web", addresses=["10.88.0.2"], host_gateway="10.88.0.1").splitlines()
    assert lines[0] == "127.0.0.1\tlocalhost"
    assert lines[-2:] == ["10.88.0.1\thost.containers.internal host.docker.internal", "10.88.0.2\tweb"]


def test_hosts_of_a_container_without_a_network() -> None:
    assert files.hosts_text("web").splitlines()[-1] == "127.0.0.1\tweb"
    assert files.hosts_text("web", name="web").splitlines()[-1] == "127.0.0.1\tweb web"


def test_hosts_with_a_domain() -> None:
    own = files.hosts_text("web", domainname="example.org", addresses=["10.88.0.2"]).splitlines()[-1]
    assert own == "10.88.0.2\tweb.example.org web"
    own = files.hosts_text("web.example.org", addresses=["10.88.0.2"]).splitlines()[-1]
    assert own == "10.88.0.2\tweb.example.org web"


def test_hosts_on_the_hosts_network_begin_with_the_hosts_file() -> None:
    text = files.hosts_text("box", host_file="127.0.0.1 localhost", add_host=["db:10.0.0.1"], host_gateway="127.0.0.1")
    assert text == "127.0.0.1 localhost\n10.0.0.1\tdb\n"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("db:10.0.0.1", "10.0.0.1\tdb"),
        ("db=10.0.0.1", "10.0.0.1\tdb"),
        ("db:::1", "::1\tdb"),
        ("db:[2001:db8::1]", "2001:db8::1\tdb"),
        ("db;mail:10.0.0.1", "10.0.0.1\tdb mail"),
        ("host:host-gateway", "10.88.0.1\thost"),
    ],
)
def test_forms_of_add_host(given: str, line: str) -> None:
    assert line in files.hosts_text("web", add_host=[given], host_gateway="10.88.0.1").splitlines()


@pytest.mark.parametrize(
    "given", ["", "db", "db:", ":10.0.0.1", "db:10.0.0", "d b:10.0.0.1", "db;:10.0.0.1", "db:1\n2", "a:1.2.3.4\nx"]
)
def test_what_is_no_add_host_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="--add-host"):
        files.hosts_text("web", add_host=[given])


def test_no_host_gateway_without_a_gateway() -> None:
    with pytest.raises(UsageError, match="no address of the host"):
        files.hosts_text("web", add_host=["host:host-gateway"])


def test_the_hostname_has_a_line() -> None:
    assert files.hostname_text("web") == "web\n"
