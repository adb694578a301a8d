"""Real services from real images: nginx and redis, pulled from a registry, published, spoken to."""

from __future__ import annotations

import http.client
import socket

import pytest

from claims import free_port
from program import Crate, until

pytestmark = [
    pytest.mark.requires("root", "overlay", "nft", "registry", "debootstrap", "network"),
    pytest.mark.xdist_group("debian"),
]


def address_of(crate: Crate, name: str, port: str) -> tuple[str, int]:
    """Where a container's port is published."""
    host, _, number = crate.ok("port", name, port).splitlines()[0].rpartition(":")
    return ("127.0.0.1" if host == "0.0.0.0" else host), int(number)


def get(host: str, port: int, path: str = "/") -> tuple[int, str] | None:
    """Status and body of a page, or None while nobody answers."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return None
    finally:
        connection.close()


def test_nginx_serves_a_page(crate: Crate, nginx_image: str) -> None:
    crate.ok("run", "-d", "-p", "127.0.0.1::80", "--name", "myng", nginx_image)
    host, port = address_of(crate, "myng", "80/tcp")
    status, body = until(lambda: get(host, port), what="nginx answers")
    assert status == 200
    assert "Welcome to nginx" in body
    missing = get(host, port, "/missing")
    assert missing and missing[0] == 404
    until(lambda: "GET /missing" in crate.ok("logs", "myng"), what="the access log is the container's")
    crate.ok("stop", "--time", "50", "myng")
    assert crate.inspect("myng")["State"]["ExitCode"] == 0, "by the image's SIGQUIT, not by the kill in the end"
    assert get(host, port) is None


def test_page_on_a_given_port_of_all_addresses(crate: Crate, nginx_image: str) -> None:
    port = free_port()
    crate.ok("run", "-d", "-p", f"{port}:80", "--name", "myng", nginx_image)
    status, _ = until(lambda: get("127.0.0.1", port), what="nginx answers")
    assert status == 200
    assert str(port) in crate.fails(125, "run", "-d", "-p", f"{port}:80", "--name", "second", nginx_image)
    assert crate.ok("ps", "--format", "{{.Names}}") == "myng"


def test_redis_keeps_a_value(crate: Crate, redis_image: str) -> None:
    crate.ok("run", "-d", "-p", "127.0.0.1::6379", "--name", "store", redis_image)
    host, port = address_of(crate, "store", "6379/tcp")

    def ask(text: str) -> str:
        try:
            with socket.create_connection((host, port), 30) as connection:
                connection.sendall(text.encode() + b"\r\n")
                return connection.recv(1000).decode().strip()
        except OSError:
            return ""

    until(lambda: ask("PING") == "+PONG", what="redis answers")
    assert ask("SET key value") == "+OK"
    assert crate.ok("exec", "store", "redis-cli", "GET", "key") == "value"
    assert crate.ok("exec", "store", "id", "-un") == "redis"


def test_debian_is_debian(crate: Crate, debian_image: str) -> None:
    assert crate.ok("run", "--rm", debian_image, "sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME") == "bookworm"
    assert crate.ok("run", "--rm", debian_image, "perl", "-e", "print 6*7") == "42"


@pytest.mark.requires("unprivileged-user", "pasta")
def test_services_of_an_ordinary_user(rootless_crate: Crate, nginx_image: str, redis_image: str) -> None:
    rootless_crate.ok("run", "-d", "-p", "127.0.0.1::80", "--name", "myng", nginx_image)
    rootless_crate.ok("run", "-d", "-p", "127.0.0.1::6379", "--name", "store", redis_image)
    host, port = address_of(rootless_crate, "myng", "80/tcp")
    _, body = until(lambda: get(host, port), what="nginx answers")
    assert "Welcome to nginx" in body
    owners = rootless_crate.ok("exec", "myng", "stat", "-c", "%U", "/bin/su", "/var/cache/apt/archives/partial")
    assert owners.split() == ["root", "_apt"]
    until(lambda: "redis" in rootless_crate.ok("exec", "store", "stat", "-c", "%U", "/proc/1"), what="redis runs")
    rootless_crate.ok("stop", "myng", "store")
