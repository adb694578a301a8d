"""The proxy: connections to [::1] and IPv6 addresses, stepped from a loop as the owner does it."""

from __future__ import annotations

import os
import resource
import select
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from crate.net.proxy import open_proxy
from net.scene import Container, Net, ask, sh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crate.net.proxy import Proxy

pytestmark = pytest.mark.requires("root", "nft")

ECHO = """
import socket
server = socket.create_server(("0.0.0.0", 80))
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    while data := connection.recv(65536):
        connection.sendall(data)
    connection.close()
"""


class Loop:
    """An owner's loop in a thread; counts its turns."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy, self.turns = proxy, 0
        self.stop_fd, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self.proxy.fileno(), select.POLLIN)
        poll.register(self.stop_fd, select.POLLIN)
        while self.stop_fd not in [fd for fd, _ in poll.poll(self._wait())]:
            self.turns += 1
            self.proxy.step()

    def _wait(self) -> float | None:
        return max(0.0, (self.proxy.due_at - time.monotonic()) * 1000) if self.proxy.due_at else None

    def stop(self) -> None:
        os.write(self._stop, b"x")
        self._thread.join()
        os.close(self._stop)
        os.close(self.stop_fd)
        self.proxy.close()


@pytest.fixture
def container(net: Net) -> Container:
    """A container with a published port of every address."""
    return net.container("80")


@pytest.fixture
def loop(container: Container) -> Iterator[Loop]:
    """The loop of its owner."""
    proxy = open_proxy(container.lease)
    assert proxy is not None
    made = Loop(proxy)
    yield made
    made.stop()


def echo(net: Net, container: Container) -> None:
    process = container.start("python3", "-c", ECHO)
    net.processes.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def number(container: Container) -> int:
    return container.lease["ports"][0]["host_port"]


def test_the_ipv6_loopback_and_an_own_ipv6_address_are_reached(net: Net, container: Container, loop: Loop) -> None:
    net.serve(container)
    assert ask(None, "::1", number(container)) == f"hello {container.endpoint['gateway']}"
    sh(f"ip addr add fd00:7::1/128 dev {net.bridge} nodad")
    assert ask(None, "fd00:7::1", number(container)).startswith("hello")
    assert loop.turns


def test_without_a_server_the_client_learns_it(container: Container, loop: Loop) -> None:
    assert ask(None, "::1", number(container)) in ("", "Connection reset by peer")


def test_megabytes_pass_both_ways_and_ends_are_passed_on(net: Net, container: Container, loop: Loop) -> None:
    echo(net, container)
    data = os.urandom(1 << 20) * 8
    with socket.create_connection(("::1", number(container))) as client:

        def send() -> None:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        received = bytearray()
        while chunk := client.recv(1 << 16):
            received += chunk
        sender.join()
    assert bytes(received) == data


def test_a_client_that_does_not_read_costs_no_turns(net: Net, container: Container, loop: Loop) -> None:
    echo(net, container)
    with socket.create_connection(("::1", number(container))) as client:
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            while True:
                client.send(bytes(1 << 16))
        before = loop.turns
        with pytest.raises(TimeoutError):
            client.send(bytes(1 << 16))
        assert loop.turns - before < 10


def test_more_clients_than_it_takes_at_once_are_served_in_turn(net: Net, container: Container, loop: Loop) -> None:
    net.serve(container)
    clients = [socket.create_connection(("::1", number(container)), 60) for _ in range(60)]
    assert all(client.recv(100).startswith(b"hello") for client in clients)
    for client in clients:
        client.close()


def test_out_of_descriptors_it_rests_and_takes_clients_again(net: Net, container: Container, loop: Loop) -> None:
    net.serve(container)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    client = socket.socket(socket.AF_INET6)
    client.settimeout(60)
    resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))  # accept(2) fails, nothing was accepted
    try:
        client.connect(("::1", number(container)))
        turns = loop.turns
        time.sleep(0.5)
        assert loop.turns - turns < 5, "it rests"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert client.recv(100).startswith(b"hello")
    client.close()


def test_a_port_of_an_ipv6_address_alone(net: Net) -> None:
    container = net.container("[::1]::80")
    net.serve(container)
    proxy = open_proxy(container.lease)
    assert proxy is not None
    loop = Loop(proxy)
    try:
        assert ask(None, "::1", number(container)).startswith("hello")
        assert ask(None, "127.0.0.1", number(container)) == "Connection refused"
    finally:
        loop.stop()


def test_there_is_no_proxy_where_rules_do_it_all(net: Net) -> None:
    assert open_proxy(net.container("127.0.0.1::80").lease) is None
    assert open_proxy(net.container().lease) is None
    assert open_proxy(net.container("127.0.0.1::53/udp").lease) is None


def test_datagrams_to_the_loopback(net: Net) -> None:
    container = net.container("53/udp", "53/tcp")
    net.serve(container, 53, "udp")
    net.serve(container, 53, "tcp")
    proxy = open_proxy(container.lease)
    assert proxy is not None
    loop = Loop(proxy)
    try:
        sh(f"ip addr add fd00:7::1/128 dev {net.bridge} nodad")
        sh(f"ip addr add fd00:7::2/128 dev {net.bridge} nodad")
        for port in container.lease["ports"]:
            for address in ("::1", "fd00:7::1", "fd00:7::2"):  # each must be the sender of the answer
                assert ask(None, address, port["host_port"], port["protocol"]).startswith("hello"), (address, port)
        clients = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(100)]
        for turn in range(2):
            for client in clients:
                client.settimeout(60)
                client.connect(("::1", number(container)))
                client.send(b"?")
                assert client.recv(100).startswith(b"hello"), turn
        for client in clients:
            client.close()
        before = loop.turns
    finally:
        loop.stop()
    assert before < 1000


def test_with_an_ipv6_network_the_loopback_still_needs_it(net6: Net) -> None:
    container = net6.container("80")
    net6.serve(container)
    proxy = open_proxy(container.lease)
    assert proxy is not None
    loop = Loop(proxy)
    try:
        assert ask(None, "::1", number(container)).startswith("hello")
    finally:
        loop.stop()
