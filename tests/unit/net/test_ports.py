"""Sockets that hold ports without listening."""

from __future__ import annotations

import os
import socket

import pytest

from claims import free_port
from crate.errors import HostError, NameInUseError
from crate.net import ports
from crate.plan.ports import parse_publish


def one(text: str) -> tuple[int, list[int]]:
    taken, fds = ports.reserve(parse_publish(text))
    return taken[0]["host_port"], fds


def close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_random_port_is_held_against_everybody(protocol: str) -> None:
    port, fds = one(f"127.0.0.1::80/{protocol}")
    with pytest.raises(NameInUseError, match=rf"127\.0\.0\.1:{port}/{protocol}: address already in use"):
        one(f"127.0.0.1:{port}:80/{protocol}")
    with pytest.raises(NameInUseError, match=rf"0\.0\.0\.0:{port}/{protocol}"):
        one(f"{port}:80/{protocol}")
    close(fds)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_port_is_free_when_nobody_holds_it(protocol: str) -> None:
    port = free_port()
    for address in (f"127.0.0.1:{port}", str(port)):
        found, fds = one(f"{address}:80/{protocol}")
        assert found == port
        close(fds)


def test_a_listener_of_the_host_is_a_clash() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # with SO_REUSEADDR, as every server
        port = server.getsockname()[1]
        with pytest.raises(NameInUseError, match=f"ss -lnp 'sport = {port}'"):
            one(f"{port}:80")


def test_connections_in_time_wait_are_no_clash_and_two_holders_are() -> None:
    with socket.create_server(("127.0.0.1", port := free_port())) as server:
        client = socket.create_connection(("127.0.0.1", port))
        served, _ = server.accept()
        served.close()  # the side that closes first waits
        client.close()
    with pytest.raises(OSError, match="in use"), socket.socket() as plain:
        plain.bind(("127.0.0.1", port))
    _, fds = one(f"127.0.0.1:{port}:80")
    with pytest.raises(NameInUseError):
        one(f"127.0.0.1:{port}:80")
    close(fds)


def test_a_choice_takes_the_first_free_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found, fds = one(f"127.0.0.1:{port}-{min(port + 20, 65535)}:80")
        assert port < found <= port + 20
        close(fds)
        with pytest.raises(NameInUseError):
            one(f"127.0.0.1:{port}-{port}:80")


def test_a_clash_holds_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        free = free_port()
        with pytest.raises(NameInUseError):
            ports.reserve(parse_publish(f"127.0.0.1:{free}:80") + parse_publish(f"127.0.0.1:{port}:80"))
        _, fds = one(f"127.0.0.1:{free}:80")
        close(fds)


def test_an_address_of_another_host_cannot_be_published_on() -> None:
    with pytest.raises(HostError, match="cannot assign requested address") as failure:
        one("203.0.113.77:8080:80")
    assert failure.value.hint == "give this host the address 203.0.113.77, or publish on another one"


def test_a_protocol_that_the_kernel_lacks() -> None:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).close()
    except OSError:
        with pytest.raises(HostError, match="protocol not supported") as failure:
            one("8080:80/sctp")
        assert failure.value.hint == "load the kernel's module: modprobe sctp"
    else:
        _, fds = one("127.0.0.1::80/sctp")
        close(fds)
