"""Leases under real processes: a hundred starts at once, owners that die."""

from __future__ import annotations

import os
import secrets
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crate.errors import KernelError, NotFoundError
from crate.net import addresses, removal, sandbox, store
from crate.net.firewall import table as firewall
from net.scene import Net

if TYPE_CHECKING:
    from collections.abc import Callable

    from claims import Claims

pytestmark = pytest.mark.requires("root", "nft")


def forked(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return pid


def leased(net: Net) -> dict[str, str]:
    found = dict(addresses.records(str(net.lease_root / net.bridge)))
    return {address: record["container"] for address, record in found.items()}


def test_a_hundred_starts_at_once_get_a_hundred_addresses(net: Net) -> None:
    ready_fd, go_fd = os.pipe()
    told_fd, tell_fd = os.pipe()

    def owner() -> None:
        os.close(go_fd)
        os.read(ready_fd, 1)  # end of file: all start at one moment, network and table included
        name = secrets.token_hex(32)
        lease = sandbox.prepare(net.roots, net.settings, net.request("127.0.0.1::80"), name)
        port = lease["ports"][0]["host_port"]
        os.write(tell_fd, f"{lease['endpoints'][0]['address']} {name} {port}\n".encode())
        signal.pause()

    pids = [forked(owner) for _ in range(100)]
    os.close(ready_fd)
    os.close(go_fd)
    os.close(tell_fd)
    told = b""
    deadline = time.monotonic() + 60
    while told.count(b"\n") < 100 and time.monotonic() < deadline:
        told += os.read(told_fd, 65536)
    os.close(told_fd)
    rows = [line.split() for line in told.decode().splitlines()]
    try:
        assert len(rows) == 100
        assert len({address for address, _, _ in rows}) == 100
        assert len({port for _, _, port in rows}) == 100
        assert leased(net) == {address: name for address, name, _ in rows}
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_a_release_that_fails_keeps_no_port(net: Net) -> None:
    container = net.container("127.0.0.1::80")
    (fd,) = container.lease["port_fds"]
    directory = net.lease_root / net.bridge
    directory.rename(net.lease_root / ".aside")
    directory.touch()
    with pytest.raises(KernelError, match="use directory"):
        sandbox.release(net.roots, container.lease)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    directory.unlink()
    (net.lease_root / ".aside").rename(directory)


def test_who_comes_to_a_network_that_was_just_removed_leaves_nothing(
    net: Net, claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    span = claims.pool()
    network = net.define("bridge", span, span.replace(".0/", ".1/").partition("/")[0])
    network["network_interface"] = f"late{net.mark}"
    store.save(net.roots, network)
    net.end(net.container(network=network["name"]))
    removal.remove(net.roots, net.settings, network)
    monkeypatch.setattr(sandbox, "find_network", lambda *_: network)  # as it was read before
    with pytest.raises(NotFoundError, match="no such network"):
        net.container(network=network["name"])
    assert not (net.lease_root / network["network_interface"]).exists()
    assert not Path(f"/sys/class/net/{network['network_interface']}").exists()
    net.networks.remove(network)


def test_the_table_is_asserted_while_networks_come_and_go(net: Net) -> None:
    net.container("127.0.0.1::80")
    stop_fd, write_fd = os.pipe()
    os.set_blocking(stop_fd, False)

    def coming_and_going() -> None:
        os.close(write_fd)
        number = 0
        while True:
            try:
                if not os.read(stop_fd, 1):
                    return
            except BlockingIOError:
                number += 1
            with addresses.LeaseDirectory(f"{net.lease_root}/cg{net.mark}{number % 8}") as leases:
                removal.remove_directory(leases.path)

    pid = forked(coming_and_going)
    os.close(stop_fd)
    try:
        for _ in range(5):
            firewall.reload(net.table, str(net.lease_root))
            firewall.sweep(net.table, str(net.lease_root))
    finally:
        os.close(write_fd)
        _, status = os.waitpid(pid, 0)
    assert status == 0
    assert elements(net)


def killed_owner(net: Net) -> tuple[str, int]:
    """The address and the published port of an owner that was killed, and left its lease and its element."""
    told_fd, tell_fd = os.pipe()

    def owner() -> None:
        lease = sandbox.prepare(net.roots, net.settings, net.request("127.0.0.1::80"), secrets.token_hex(32))
        sandbox.publish(lease)
        os.write(tell_fd, f"{lease['endpoints'][0]['address']} {lease['ports'][0]['host_port']}".encode())
        signal.pause()

    pid = forked(owner)
    address, port = os.read(told_fd, 100).decode().split()
    os.close(told_fd)
    os.close(tell_fd)
    assert list(leased(net)) == [address]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return address, int(port)


def elements(net: Net) -> str:
    return net.nft("list", "map", "inet", net.table, "published4").partition("elements")[2]


def test_the_address_of_a_killed_owner_is_given_again_when_its_turn_comes(net: Net) -> None:
    address, _ = killed_owner(net)
    assert net.container().endpoint["address"] != address
    assert elements(net)
    heir = net.container(ip=address)
    assert heir.endpoint["address"] == address
    assert not elements(net), "the port of the dead one must not lead to its heir"


def test_a_sweep_removes_what_killed_owners_left(net: Net) -> None:
    living = net.container("127.0.0.1::80")
    killed_owner_of = net.lease_root / net.bridge
    before = sorted(os.listdir(killed_owner_of))
    living_element = elements(net)
    net.end(living)
    address, _ = killed_owner(net)
    living = net.container(f"127.0.0.1:{living.lease['ports'][0]['host_port']}:80", ip=living.endpoint["address"])
    assert address in os.listdir(killed_owner_of)
    assert len(firewall.sweep(net.table, str(net.lease_root))) == 1
    assert firewall.sweep(net.table, str(net.lease_root)) == []
    assert sorted(os.listdir(killed_owner_of)) == before
    assert elements(net) == living_element


def test_who_ends_removes_what_killed_owners_left(net: Net) -> None:
    address, _ = killed_owner(net)
    (net.lease_root / net.bridge / "10.0.0.1").touch()  # the writer died in the act
    net.end(net.container())
    left = os.listdir(net.lease_root / net.bridge)
    assert address not in left and "10.0.0.1" not in left
    assert not elements(net)


def test_who_ends_finishes_what_one_killed_after_its_release_began(net: Net) -> None:
    killed = net.container("127.0.0.1::80")
    sandbox.release(net.roots, killed.lease)
    assert elements(net)
    heir = net.container(ip=killed.endpoint["address"])
    assert heir.endpoint["address"] == killed.endpoint["address"] and not elements(net)
    net.containers.remove(killed)
    other = net.container("127.0.0.1::80")
    sandbox.release(net.roots, other.lease)
    net.end(heir)
    assert not elements(net)
    assert [name for name in os.listdir(net.lease_root / net.bridge) if not name.startswith(".")] == []
    net.containers.remove(other)


def test_the_former_owner_of_a_restarted_container_withdraws_nothing(net: Net) -> None:
    """The same container, address and port, before the monitor of its first life has cleaned up."""
    first = net.container("127.0.0.1::80")
    before = elements(net)
    sandbox.release(net.roots, first.lease)
    port, address = first.lease["ports"][0]["host_port"], first.endpoint["address"]
    pid = forked(signal.pause)
    request = net.request(f"127.0.0.1:{port}:80", ip=address)
    second = sandbox.prepare(net.roots, net.settings, request, first.lease["container"], owner_pid=pid)
    sandbox.publish(second)
    sandbox.discard(first.lease)
    assert elements(net) == before
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    net.containers.remove(first)
    for fd in second["port_fds"]:
        os.close(fd)


def test_an_owner_may_be_named(net: Net) -> None:
    pid = forked(signal.pause)
    lease = sandbox.prepare(net.roots, net.settings, net.request(), secrets.token_hex(32), owner_pid=pid)
    assert lease["owner"][0] == pid
    record = dict(addresses.records(lease["endpoints"][0]["lease_directory"]))[lease["endpoints"][0]["address"]]
    assert addresses.is_alive(record)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert not addresses.is_alive(record)


def test_one_that_heals_and_has_the_pid_of_the_dead_owner_closes_nothing(net: Net) -> None:
    read_fd, write_fd = os.pipe()
    lease = net.container().lease
    lease["owner"], lease["port_fds"], lease["helper_pid"] = [os.getpid(), 1], [read_fd], os.getpid()
    sandbox.release(net.roots, lease)
    os.write(write_fd, b"x")
    assert os.read(read_fd, 1) == b"x"
    os.close(read_fd)
    os.close(write_fd)
