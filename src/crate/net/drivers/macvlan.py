"""The drivers macvlan and ipvlan: an interface in the container that is on the host's own wire, with no bridge between.

A macvlan has a hardware address of its own; an ipvlan has that of its parent, which switches by address (l2) or routes
(l3, l3s). Nothing of it is in the host's namespace, so the firewall, published ports and traffic shaping have no part.
"""

from __future__ import annotations

import errno
import os
from _socket import AF_INET, AF_INET6

from crate.errors import HostError, KernelError, UsageError
from crate.linux.netlink import NETLINK_ROUTE, Netlink, netlink_in
from crate.net import endpoint as endpoints
from crate.net.addresses import format_mac, parse_mac
from crate.net.drivers import bridge, parent
from crate.net.netlink import device as device_messages
from crate.net.netlink import route as route_messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.net.addresses import LeaseRecord
    from crate.net.endpoint import Endpoint
    from crate.net.store import Network

HAS_HOST_END = False
_DEFAULT_MODES = {"macvlan": "bridge", "ipvlan": "l2"}
_MODES = {"macvlan": device_messages.MACVLAN_MODES, "ipvlan": device_messages.IPVLAN_MODES}
#: modes whose packets the parent routes: there are no neighbours, and no gateway among them
_ROUTING = ("l3", "l3s")


def check_options(network: Network) -> None:
    """Checks the record of a new network. UsageError, HostError."""
    driver, options = network["driver"], network["options"]
    mode = _mode(driver, options)
    if mode not in _MODES[driver]:
        raise UsageError(f"unknown {driver} mode {mode}", f"one of {', '.join(_MODES[driver])}")
    flag = options.get("flag", "bridge")
    if flag not in device_messages.IPVLAN_FLAGS:
        raise UsageError(f"unknown ipvlan flag {flag}", f"one of {', '.join(device_messages.IPVLAN_FLAGS)}")
    parent.check(network)


def ensure(network: Network) -> int:
    """The index of the parent, which is made where crate has to."""
    return parent.ensure(network)


def remove(network: Network, others: Sequence[Network]) -> None:
    """Takes away what `ensure` made on the host, unless another network needs it."""
    parent.remove(network, others)


#: an address of the network's subnets is taken
prepare = endpoints.lease


def can_publish(place: Network | Endpoint) -> bool:
    """False: the host has no part in its traffic."""
    return False


def redirect(endpoint: Endpoint, table: str, ports: list[list[str | int]]) -> bool:
    """False."""
    return False


def release(endpoint: Endpoint, container: str, *, published: bool) -> None:
    """Frees the address."""
    endpoints.give_back(endpoint, container, published=False)


def discard(endpoint: Endpoint, table: str, record: LeaseRecord | None) -> None:
    """Frees the addresses of owners that died."""
    bridge.discard(endpoint, table, None)


def attach(endpoint: Endpoint, netns_fd: int, publishes: bool) -> None:
    """Makes the interface in the container's namespace, with addresses and routes. HostError, KernelError."""
    driver, options, interface = endpoint["driver"], endpoint["options"], endpoint["interface"]
    mode = _mode(driver, options)
    if driver == "macvlan":
        data, mac = device_messages.macvlan_data(mode), parse_mac(endpoint["mac"])
    else:
        data, mac = device_messages.ipvlan_data(mode, options.get("flag", "bridge")), b""
    # Before Linux 6.14 a name must be free in the namespace of the sender too, which has an eth0 of its own.
    staged = "mv" + os.urandom(5).hex()
    message = device_messages.device(
        driver,
        staged,
        data=data,
        parent=endpoint["link_index"],
        netns_fd=netns_fd,
        mac=b"" if mode == "passthru" else mac,
        mtu=int(options.get("mtu") or 0),
    )
    with Netlink(NETLINK_ROUTE) as route:
        try:
            route.request([message])
        except OSError as error:
            raise _failure(endpoint, mode, error) from None
    with netlink_in(netns_fd, NETLINK_ROUTE) as route:
        made = bridge.find(route, staged)
        if made is None:
            raise HostError(f"cannot use interface {interface} of network {endpoint['network']}: it vanished")
        try:
            route.request([device_messages.rename(made[0], interface)])
        except OSError as error:
            route.request([route_messages.delete_link(made[0])])
            raise _failure(endpoint, mode, error) from None
    try:
        _configure(endpoint, netns_fd, routed=mode in _ROUTING)
    except BaseException:
        bridge.detach(endpoint, netns_fd)  # the container may go on without it
        raise


def _configure(endpoint: Endpoint, netns_fd: int, *, routed: bool) -> None:
    bridge.configure({**endpoint, "internal": endpoint["internal"] or routed}, netns_fd)
    with netlink_in(netns_fd, NETLINK_ROUTE) as route:
        answer = route.request([route_messages.link_by_name(endpoint["interface"])])[0][1]
        index, _, attributes = route_messages.parse_link(answer)
        endpoint["mtu"] = route_messages.link_mtu(attributes)
        endpoint["mac"] = format_mac(device_messages.hardware_address(attributes))
        if routed and not endpoint["internal"]:
            families = [family for key, family in (("address", AF_INET), ("address6", AF_INET6)) if endpoint[key]]  # type: ignore[literal-required]
            metric = endpoint["metric"]
            route.request([device_messages.route_without_gateway(index, one, metric) for one in families])


def detach(endpoint: Endpoint, netns_fd: int) -> None:
    """Removes the interface from a container that goes on without it. KernelError."""
    bridge.detach(endpoint, netns_fd)


def _mode(driver: str, options: dict[str, str]) -> str:
    return options.get("mode") or _DEFAULT_MODES[driver]


def _failure(endpoint: Endpoint, mode: str, error: OSError) -> HostError:
    driver, interface = endpoint["driver"], endpoint["interface"]
    if error.errno in (errno.EOPNOTSUPP, errno.ENOENT):
        return parent.lacking(interface, driver)
    hint = None
    if error.errno == errno.EBUSY:
        hint = "is the parent in a bridge, in passthru mode, or the parent of the other driver?"
    if error.errno == errno.EADDRINUSE:
        hint = f"another interface of the parent has the address {endpoint['mac']}"
    return KernelError(f"create {driver} {interface} in mode {mode} for network {endpoint['network']}", error, hint)
