"""The network of a sandbox, in the order of its life: prepare, connect, publish; release, discard.

    prepare   before the clone    bridge and firewall stand, host ports are bound, the address is leased
    connect   after the clone     from the host's namespace: veth pair, address, routes, loopback (or pasta)
    publish   before the exec     the firewall sends published ports to the address
    release   at the exit         what others can see as taken: address and ports
    discard   after the answer    firewall elements, which take 10 ms to delete

All five are called by the process that owns the sandbox; `release` and `discard` also by one that heals after it.
A lease is plain JSON data, so that it can be handed over an execve and kept in a container's state.
"""

from __future__ import annotations

import os

from crate import hotcore
from crate.errors import KernelError, UsageError
from crate.linux.netlink import NETLINK_ROUTE, netlink_in
from crate.net import route_messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NotRequired, TypedDict

    from crate.net.store import Network, Roots
    from crate.settings import Settings

    class Port(TypedDict):
        """A port to publish; host port 0 lets the kernel choose, host address "" means every one."""

        host_ip: str
        host_port: int
        host_port_last: NotRequired[int]  # the end of a range to choose from; never in a lease
        container_port: int
        protocol: str  # tcp, udp

    class Request(TypedDict):
        """What a container asks of the network; only `mode` must be there."""

        mode: str  # none, host, bridge, container, ns, pasta, slirp4netns
        network: NotRequired[str]
        networks: NotRequired[list[Any]]  # further ones, which nothing here attaches to
        ports: NotRequired[list[Port]]
        ip: NotRequired[str]
        ip6: NotRequired[str]
        mac: NotRequired[str]
        interface: NotRequired[str]
        hostname: NotRequired[str]
        aliases: NotRequired[list[str]]
        options: NotRequired[str]  # of pasta or slirp4netns, separated by commas

    class Lease(TypedDict):
        """What a sandbox holds of the network. All texts are empty and all numbers 0 where the mode has no such thing.

        `port_fds` are descriptors of the owner: it keeps them open, over an execve too, as long as it publishes.
        """

        version: int
        container: str
        mode: str
        network: str
        bridge: str
        bridge_index: int
        table: str
        lease_directory: str
        interface: str
        host_interface: str
        address: str
        prefix: int
        gateway: str
        address6: str
        prefix6: int
        gateway6: str
        mac: str
        mtu: int
        resolver: str  # an address in the container that passes questions on to the host's resolver
        ports: list[Port]
        port_fds: list[int]
        owner: list[int]  # pid and start time
        helper_pid: int  # pasta or slirp4netns, a child of the owner
        options: str


#: the modes whose namespace belongs to somebody else, or to nobody: there is nothing to prepare or to undo
_PASSIVE = ("host", "container", "ns")
_USERSPACE = ("pasta", "slirp4netns")


def prepare(roots: Roots, settings: Settings, request: Request, container_id: str, owner_pid: int = 0) -> Lease:
    """Takes from the host what the request needs, or nothing at all. The owner is the caller unless told otherwise.

    NameInUseError for a taken address or port, UsageError for an address outside the network, NotFoundError for an
    unknown network, HostError when the host cannot do it.
    """
    from crate.net.addresses import owner_of

    mode = request["mode"]
    if request.get("networks"):
        raise UsageError("cannot attach a container to several networks", "name one network")
    if mode == "bridge" and roots.rootless:
        if request.get("network") not in ("", None, settings.get("network.bridge")):
            raise UsageError(
                f"cannot attach to network {request.get('network')} without root: an ordinary user has no bridge",
                "use --network pasta, slirp4netns, host or none",
            )
        mode = str(settings.get("network.rootless"))
    lease: Lease = {
        "version": 1,
        "container": container_id,
        "mode": mode,
        "network": "",
        "bridge": "",
        "bridge_index": 0,
        "table": "",
        "lease_directory": "",
        "interface": request.get("interface") or "eth0",
        "host_interface": "",
        "address": "",
        "prefix": 0,
        "gateway": "",
        "address6": "",
        "prefix6": 0,
        "gateway6": "",
        "mac": "",
        "mtu": 0,
        "resolver": "",
        "ports": [],
        "port_fds": [],
        "owner": owner_of(owner_pid or os.getpid()),
        "helper_pid": 0,
        "options": "",
    }
    if mode == "bridge":
        with hotcore.Apart("bridge"):
            _prepare_bridge(lease, roots, settings, request)
    elif mode in _USERSPACE:
        from crate.net import userspace

        userspace.prepare(lease, request, roots.runroot)
    elif mode not in ("none", *_PASSIVE):
        raise UsageError(f"unknown network mode: {mode}")
    return lease


def _prepare_bridge(lease: Lease, roots: Roots, settings: Settings, request: Request) -> None:
    from crate.net import bridge

    wanted = request.get("ports") or []
    network = _network(roots, settings, request.get("network") or str(settings.get("network.bridge")))
    lease["network"], lease["bridge"] = network["name"], network["network_interface"]
    lease["bridge_index"] = bridge.ensure(network)
    lease["table"] = str(settings.get("network.table"))
    lease["lease_directory"] = f"{settings.get('network.lease_root')}/{lease['bridge']}"
    lease["mtu"] = int(network["options"]["mtu"])
    if wanted:
        from crate.net import ports

        lease["ports"], lease["port_fds"] = ports.reserve(wanted)
    try:
        _lease_address(lease, network, request)
    except BaseException:
        _close(lease["port_fds"])
        raise


def _network(roots: Roots, settings: Settings, name: str) -> Network:
    from crate.errors import NotFoundError
    from crate.net import store

    try:
        return store.load(roots, name)
    except NotFoundError:
        if name != settings.get("network.bridge"):
            raise
    from crate.net import default_network

    return default_network.ensure(roots, settings)


def _lease_address(lease: Lease, network: Network, request: Request) -> None:
    from crate.net import addresses, nftables

    subnets = {subnet["subnet"]: subnet["gateway"] for subnet in network["subnets"]}
    spans = {text: addresses.parse_subnet(text) for text in subnets}
    text4 = next(text for text, span in spans.items() if len(span[0]) == 4)
    span4, gateway4 = spans[text4], subnets[text4]
    wanted = request.get("ip") or ""
    if wanted and not addresses.contains(span4, addresses.parse_address(wanted)):
        raise UsageError(f"address {wanted} is not in subnet {text4} of network {network['name']}")
    if wanted == gateway4:
        raise UsageError(f"address {wanted} is the gateway of network {network['name']}")
    mac = addresses.parse_mac(request["mac"]) if request.get("mac") else b""
    with addresses.LeaseDirectory(lease["lease_directory"]) as leases:
        nftables.ensure(lease["table"], leases, list(subnets))
        if wanted:
            leases.check(wanted)
        lease["address"] = wanted or leases.next_free(span4, gateway4)
        packed = addresses.parse_address(lease["address"])
        lease["prefix"], lease["gateway"] = span4[1], gateway4
        lease["mac"] = addresses.format_mac(mac or addresses.mac_of(packed))
        for text, span in spans.items():
            if len(span[0]) == 16:  # the same place in its subnet, so that one lease covers both
                number = int.from_bytes(packed, "big") - int.from_bytes(span4[0], "big")
                lease["address6"] = request.get("ip6") or addresses.format_address(addresses.nth(span, number))
                lease["prefix6"], lease["gateway6"] = span[1], subnets[text]
        dead = leases.read(lease["address"])
        leases.write(lease["address"], nftables.record_of(lease))
    if dead is not None and dead["ports"]:  # its owner was killed; nothing of its ports may lead to this container
        nftables.withdraw(lease["table"], lease["lease_directory"], lease["address"], dead)


def connect(lease: Lease, netns_fd: int) -> None:
    """Makes the container's network namespace work. The caller is in the host's namespace and has CAP_NET_ADMIN there.

    Notes in the lease what only the act can tell. KernelError when the kernel refuses.
    """
    if lease["mode"] == "bridge":
        from crate.net import bridge

        bridge.connect(lease, netns_fd)
    elif lease["mode"] in _USERSPACE:
        from crate.net import userspace

        userspace.connect(lease, netns_fd)
    elif lease["mode"] not in _PASSIVE:
        with netlink_in(netns_fd, NETLINK_ROUTE) as route:
            try:
                route.request([route_messages.link_up(1)])
            except OSError as error:
                raise KernelError("bring up the loopback interface", error) from error


def publish(lease: Lease) -> None:
    """Lets packets for the published ports through to the container: from here on the world can reach it."""
    if lease["mode"] == "bridge" and lease["ports"]:
        from crate.net import nftables

        nftables.publish(lease)
        if lease["port_fds"]:
            from crate.net import ports

            ports.listen(lease["port_fds"])


def release(roots: Roots, lease: Lease) -> None:
    """Gives back what others can see as taken: the address and, in the owner, the host ports.

    Somebody who heals may have the pid that the owner had: the descriptors and the helper are not his.
    """
    from crate.net.addresses import LeaseDirectory, owner_of

    if lease["mode"] == "bridge" and lease["address"]:
        with LeaseDirectory(lease["lease_directory"]) as leases:
            if lease["ports"]:
                leases.give_back(lease["address"], lease["container"])
            else:
                leases.remove(lease["address"], lease["container"])
    if lease["owner"][0] == os.getpid() and owner_of(os.getpid()) == lease["owner"]:
        _close(lease["port_fds"])
        if lease["helper_pid"]:
            from crate.net import userspace

            userspace.stop(lease)
    lease["port_fds"] = []


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def discard(lease: Lease) -> None:
    """Removes what nobody notices any more: firewall elements of published ports, its own and of owners that died."""
    if lease["mode"] == "bridge" and lease["address"]:
        from crate.net import addresses, nftables

        table, directory = lease["table"], lease["lease_directory"]
        if lease["ports"]:
            nftables.withdraw(table, directory, lease["address"], nftables.record_of(lease))
        for address, record in addresses.dead(directory, lease["address"]):
            nftables.bury(table, directory, address, record)
