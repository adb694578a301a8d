"""The host's bridge of a network, and the veth pair that joins a container's namespace to it."""

from __future__ import annotations

import errno
import os

from crate.errors import HostError, KernelError, NameInUseError
from crate.linux.netlink import NETLINK_ROUTE, Netlink, netlink_in
from crate.net import endpoint as endpoints
from crate.net.addresses import mac_of, parse_address, parse_mac, parse_subnet
from crate.net.netlink import route as route_messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.net.addresses import LeaseRecord
    from crate.net.endpoint import Endpoint
    from crate.net.store import Network

HAS_HOST_END = True
_SYSCTL = "/proc/sys/net"


def find(route: Netlink, name: str) -> tuple[int, int, dict[int, bytes]] | None:
    """Index, flags and attributes of an interface; None when there is none."""
    try:
        return route_messages.parse_link(route.request([route_messages.link_by_name(name)])[0][1])
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def ensure(network: Network) -> int:
    """The index of the network's bridge, which is made when it is not there; the host forwards packets afterwards."""
    name = network["network_interface"]
    with Netlink(NETLINK_ROUTE) as route:
        found = find(route, name)
        if found is None:
            found = _create(route, network)
        index, flags, attributes = found
        if route_messages.link_kind(attributes) != "bridge":
            raise HostError(
                f"cannot use interface {name} for network {network['name']}: it is not a bridge",
                f"remove it with `ip link delete {name}`",
            )
        if not flags & route_messages.IFF_UP:
            route.request([route_messages.link_up(index)])
    if not _is_on("ipv4/ip_forward"):
        _turn_on("ipv4/ip_forward", network)
    if network["ipv6_enabled"] and not _is_on("ipv6/conf/all/forwarding"):
        _keep_router_advertisements()
        _turn_on("ipv6/conf/all/forwarding", network)
    return index


def _create(route: Netlink, network: Network) -> tuple[int, int, dict[int, bytes]]:
    name, subnets = network["network_interface"], network["subnets"]
    mac = mac_of(parse_address(subnets[0]["gateway"]))
    try:
        route.request([route_messages.bridge(name, mac=mac, mtu=int(network["options"].get("mtu") or endpoints.MTU))])
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            raise HostError(
                f"cannot create bridge {name}: the kernel has no bridges", "load the module: modprobe bridge"
            ) from None
        if error.errno != errno.EEXIST:  # another process made it a moment ago
            raise KernelError(f"create bridge {name}", error) from error
    found = find(route, name)
    if found is None:
        raise HostError(f"cannot create bridge {name}: it vanished")
    if os.access(f"{_SYSCTL}/ipv6/conf/{name}", os.F_OK):
        # A container must not tell the host where its way out is (CVE-2020-13401).
        _write_sysctl(f"ipv6/conf/{name}/accept_ra", "0")
    if network["ipv6_enabled"]:
        # Looking for duplicates of its link-local address, the bridge answers no container for the first second.
        _write_sysctl(f"ipv6/conf/{name}/accept_dad", "0")
    else:
        keep_off_link_local(route, found[0])
    for subnet in subnets:
        prefix = parse_subnet(subnet["subnet"])[1]
        try:
            route.request([route_messages.address(found[0], parse_address(subnet["gateway"]), prefix)])
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise KernelError(f"give bridge {name} the address {subnet['gateway']}", error) from error
    _check_subnets(route, found[0], network)
    route.request([route_messages.link_up(found[0])])
    # Lets the host reach ports published on 127.0.0.1 through the bridge; the firewall's first chain drops what a
    # container sends to 127.0.0.0/8 itself (CVE-2020-8558).
    _write_sysctl(f"ipv4/conf/{name}/route_localnet", "1")
    return found


def _check_subnets(route: Netlink, index: int, network: Network) -> None:
    """Removes the new bridge and raises NameInUseError when something else of this host has its subnet."""
    from crate.net.occupation import occupant

    name = network["name"]
    for subnet in network["subnets"]:
        other = occupant(route, index, parse_subnet(subnet["subnet"]))
        if other is not None:
            route.request([route_messages.delete_link(index)])
            raise NameInUseError(
                f"cannot create the bridge of network {name}: "
                f"{f'interface {other}' if other else 'a route'} has its subnet {subnet['subnet']}",
                "give network.bridge in config.toml another name: its network gets a free subnet"
                if name == network["network_interface"]
                else f"free the subnet, or create the network anew: `crate network rm -f {name}`",
            )


def _keep_router_advertisements() -> None:
    """A host that forwards ignores the advertisements its own default route may come from, unless told otherwise."""
    for name in os.listdir(f"{_SYSCTL}/ipv6/conf"):
        key = f"ipv6/conf/{name}/accept_ra"
        if name not in ("all", "default"):
            with open(f"{_SYSCTL}/{key}", "rb", buffering=0) as file:
                accepts = file.read(1)
            if accepts == b"1":
                _write_sysctl(key, "2")


def keep_off_link_local(route: Netlink, index: int) -> None:
    """Keeps an interface that is to come up from making itself an IPv6 link-local address. KernelError."""
    try:
        route.request([route_messages.no_link_local(index)])
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:  # a kernel booted without IPv6 makes none anyway
            raise KernelError("keep an interface without IPv6", error) from error


def _is_on(key: str) -> bool:
    with open(f"{_SYSCTL}/{key}", "rb", buffering=0) as file:
        return file.read(1) != b"0"


def _turn_on(key: str, network: Network) -> None:
    try:
        _write_sysctl(key, "1")
    except OSError as error:
        raise KernelError(
            f"let network {network['name']} forward packets", error, f"set the sysctl net.{key.replace('/', '.')}=1"
        ) from error


def _write_sysctl(key: str, value: str) -> None:
    with open(f"{_SYSCTL}/{key}", "wb", buffering=0) as file:
        file.write(value.encode())


def attach(endpoint: Endpoint, netns_fd: int, publishes: bool) -> None:
    """Joins a network namespace to the bridge of an endpoint: veth pair, addresses, routes; notes the host's end.

    The host's end has a random name: a namespace, and with it the old veth of a restarted container, dies later than
    its last process. Nothing ever deletes a veth, which takes 20 ms: it dies with the namespace.
    """
    interface, mac = endpoint["interface"], parse_mac(endpoint["mac"])
    with Netlink(NETLINK_ROUTE) as route:
        for attempt in range(8):
            name = "veth" + os.urandom(4).hex()
            host_mac = b"\x02\x42" + os.urandom(4)
            messages = [
                route_messages.veth(
                    name,
                    master=endpoint["link_index"],
                    mtu=endpoint["mtu"],
                    mac=host_mac,
                    peer_name=interface,
                    peer_mac=mac,
                    peer_netns_fd=netns_fd,
                )
            ]
            if endpoint["options"].get("icc") == "false":
                messages.append(route_messages.isolated(name))
            if publishes:  # needed where br_netfilter is loaded, which bends the packet around inside the bridge
                messages.append(route_messages.hairpin(name))
            try:
                route.request(messages)
                break
            except OSError as error:
                if error.errno != errno.EEXIST or attempt == 7:
                    raise KernelError(f"connect {interface} to bridge {endpoint['link']}", error) from error
    endpoint["host_interface"] = name
    try:
        configure(endpoint, netns_fd)
    except BaseException:
        detach(endpoint, netns_fd)  # the container may go on without it
        raise


def check_options(network: Network) -> None:
    """Nothing more: definition.py knows what a bridge has."""


def remove(network: Network, others: Sequence[Network]) -> None:
    """Deletes the bridge. KernelError."""
    name = network["network_interface"]
    with Netlink(NETLINK_ROUTE) as route:
        found = find(route, name)
        if found is None or route_messages.link_kind(found[2]) != "bridge":
            return
        try:
            route.request([route_messages.delete_link(found[0])])
        except OSError as error:
            raise KernelError(f"delete bridge {name}", error) from error


#: an address of the network's subnets is taken
prepare = endpoints.lease


def can_publish(place: Network | Endpoint) -> bool:
    """Whether ports of the host can lead to a network, or to an endpoint on it."""
    return not place["internal"]


def publish(endpoint: Endpoint, table: str, ports: Sequence[Sequence[str | int]]) -> None:
    """Sends ports (as `nftables.port_elements` takes them) to an endpoint. HostError."""
    from crate.net.firewall import nftables

    nftables.publish(table, endpoint["lease_directory"], ports, endpoint)


def redirect(endpoint: Endpoint, table: str, ports: list[list[str | int]]) -> bool:
    """Sends ports to an endpoint that was attached without; True. HostError, KernelError."""
    endpoints.note_ports(endpoint, ports)
    _bend(endpoint)
    publish(endpoint, table, ports)
    return True


def release(endpoint: Endpoint, container: str, *, published: bool) -> None:
    """Frees the address; one that ports lead to is told as taken until `discard`."""
    endpoints.give_back(endpoint, container, published=published)


def discard(endpoint: Endpoint, table: str, record: LeaseRecord | None) -> None:
    """Withdraws the ports of the record, if some led here, and what owners left that died. HostError."""
    if not endpoint["keys"]:
        return
    from crate.net import addresses
    from crate.net.firewall import nftables

    directory, key = endpoint["lease_directory"], endpoint["keys"][0]
    if record:
        nftables.withdraw(table, directory, key, record)
    for name, left in addresses.dead(directory, key):
        nftables.bury(table, directory, name, left)


def _bend(endpoint: Endpoint) -> None:
    """Lets an attached endpoint get back what it sends to a published port of its own."""
    with Netlink(NETLINK_ROUTE) as route:
        try:
            route.request([route_messages.hairpin(endpoint["host_interface"])])
        except OSError as error:
            raise KernelError(f"change {endpoint['host_interface']}", error) from error


def configure(endpoint: Endpoint, netns_fd: int) -> None:
    """Gives the interface of an endpoint, which is in the namespace, its addresses and routes, and brings it up."""
    interface = endpoint["interface"]
    own = [(endpoint["address"], endpoint["prefix"]), (endpoint["address6"], endpoint["prefix6"])]
    gateways = [] if endpoint["internal"] else [endpoint["gateway"], endpoint["gateway6"]]
    with netlink_in(netns_fd, NETLINK_ROUTE) as route:
        answers = route.request([route_messages.link_up(1), route_messages.link_by_name(interface)])
        index = route_messages.parse_link(answers[0][1])[0]
        if not endpoint["address6"]:
            keep_off_link_local(route, index)
        messages = [route_messages.address(index, parse_address(text), prefix) for text, prefix in own if text]
        messages.append(route_messages.link_up(index))
        messages += [
            route_messages.route(index, parse_address(text), metric=endpoint["metric"]) for text in gateways if text
        ]
        for destination, gateway, metric in endpoint["routes"]:
            span = parse_subnet(destination)
            messages.append(route_messages.route(index, parse_address(gateway), to=span, metric=int(metric)))
        try:
            route.request(messages)
        except OSError as error:
            raise KernelError(
                f"configure {interface} with {endpoint['address'] or endpoint['address6']}", error
            ) from error


def detach(endpoint: Endpoint, netns_fd: int) -> None:
    """Removes the interface from a container that goes on without it: 20 ms. KernelError."""
    with netlink_in(netns_fd, NETLINK_ROUTE) as route:
        found = find(route, endpoint["interface"])
        if found is None:
            return  # the container, which may, has removed it itself
        try:
            route.request([route_messages.delete_link(found[0])])
        except OSError as error:
            raise KernelError(f"remove {endpoint['interface']} from the container", error) from error
