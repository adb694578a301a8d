"""Whether a subnet is in use already when a bridge is to get it (cold: once a bridge).

The record of a network was made when its subnet was free. Until a container needs the bridge nothing shows that it is
taken: the network of another store, or podman's, may have chosen the same one meanwhile. The address is given to the
bridge first, and then this looks: of two that do so at once, one at least sees the other.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6

from crate.net.addresses import contains
from crate.net.netlink import route as route_messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.linux.netlink import Netlink


def occupant(route: Netlink, index: int, subnet: tuple[bytes, int]) -> str | None:
    """The other interface that has an address in the subnet, or a route into it; empty for a route without one.

    A route to more than the subnet is none of these: that of the bridge, which is narrower, goes before it.
    """
    family = AF_INET6 if len(subnet[0]) == 16 else AF_INET
    for _, payload in route.request([route_messages.addresses(family)]):
        found, local, _ = route_messages.parse_address(payload)
        if found != index and contains(subnet, local):
            return _name(route, found)
    for _, payload in route.request([route_messages.routes(family)]):
        destination, prefix, found = route_messages.parse_route(payload)
        if found != index and prefix >= subnet[1] and contains(subnet, destination):
            return _name(route, found)
    return None


def _name(route: Netlink, wanted: int) -> str:
    for _, payload in route.request([route_messages.links()]):
        index, _, attributes = route_messages.parse_link(payload)
        if index == wanted:
            return route_messages.link_name(attributes)
    return ""
