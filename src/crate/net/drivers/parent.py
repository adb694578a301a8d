"""The interface of the host that macvlan and ipvlan hang on: a given one, a VLAN of it, the default route's, a dummy.

What crate makes carries crate's alias, and is removed with the last network that names it.
"""

from __future__ import annotations

import errno
from _socket import AF_INET, AF_INET6

from crate.errors import HostError, KernelError, UsageError
from crate.linux.netlink import NETLINK_ROUTE, Netlink
from crate.net.drivers.bridge import find
from crate.net.netlink import device as device_messages
from crate.net.netlink import route as route_messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.net.store import Network

_ALIAS = "crate"
_VLAN_MAX = 4094
#: kinds that an internal network can hang on: the first is docker's, the second stands in where there is none
_UNCONNECTED = ("dummy", "ifb")
_NO_SUCH_DRIVER = (errno.EOPNOTSUPP, errno.ENOENT)


def name_of(network: Network) -> str:
    """The parent of a network: `eth0`, `eth0.50`; empty for that of the default route."""
    options = network["options"]
    name = network["network_interface"] or options.get("parent", "")
    if vlan := options.get("vlan"):
        return f"{name}.{vlan}"
    if not name and network["internal"]:
        return "dm-" + network["id"][:12]
    return name


def check(network: Network) -> None:
    """UsageError for a VLAN that is none, or that has no interface; HostError for a parent that is not there."""
    options = network["options"]
    if vlan := options.get("vlan"):
        _check_number(vlan)
        if not (network["network_interface"] or options.get("parent")):
            raise UsageError(f"vlan={vlan} needs an interface", "give --opt parent=INTERFACE too")
    name = name_of(network)
    if not name or name.startswith("dm-"):
        return
    if len(name) > 15:
        raise UsageError(f"invalid parent interface {name}: longer than 15 characters")
    with Netlink(NETLINK_ROUTE) as route:
        if find(route, name) is None:
            below, vlan = _split(name)
            if not vlan or find(route, below) is None:
                raise _missing(below if vlan else name, network)


def ensure(network: Network) -> int:
    """The index of a network's parent; a VLAN's interface and a dummy are made when they are not there. HostError."""
    name = name_of(network)
    with Netlink(NETLINK_ROUTE) as route:
        if not name:
            return _of_default_route(route, network)
        found = find(route, name)
        if found is None:
            found = _make(route, name, network)
        if not found[1] & route_messages.IFF_UP:
            route.request([route_messages.link_up(found[0])])
        return found[0]


def remove(network: Network, others: Sequence[Network]) -> None:
    """Deletes the parent if crate made it and none of the other networks hangs on it. KernelError."""
    name = name_of(network)
    if not name or any(name_of(other) == name for other in others if other["driver"] in ("macvlan", "ipvlan")):
        return
    with Netlink(NETLINK_ROUTE) as route:
        found = find(route, name)
        if found is None or device_messages.alias(found[2]) != _ALIAS:
            return
        try:
            route.request([route_messages.delete_link(found[0])])
        except OSError as error:
            raise KernelError(f"delete interface {name}", error) from error


def _make(route: Netlink, name: str, network: Network) -> tuple[int, int, dict[int, bytes]]:
    if name.startswith("dm-"):
        _make_unconnected(name)
    else:
        below, vlan = _split(name)
        parent = find(route, below) if vlan else None
        if parent is None:
            raise _missing(below if vlan else name, network)
        make("vlan", name, "8021q", link=parent[0], vlan_id=_check_number(vlan))
    found = find(route, name)
    if found is None:
        raise HostError(f"cannot use parent interface {name}: it vanished")
    return found


def _make_unconnected(name: str) -> None:
    for kind in _UNCONNECTED:
        try:
            make(kind, name, "dummy")
            return
        except HostError:
            if kind == _UNCONNECTED[-1]:
                raise


def make(kind: str, name: str, module: str, **settings: int | str) -> None:
    """Makes an interface that may be there. HostError with the module's name where the kernel has no such kind."""
    from crate.net.drivers import devices

    try:
        devices.make(kind, name, _ALIAS, **settings)
    except OSError as error:
        if error.errno in _NO_SUCH_DRIVER:
            raise lacking(name, module) from None
        if error.errno != errno.EEXIST:  # another process made it a moment ago
            raise KernelError(f"create interface {name}", error) from error


def lacking(name: str, module: str) -> HostError:
    """The error for a kernel without a driver."""
    return HostError(
        f"cannot create interface {name}: the kernel has no {module} driver", f"load the module: modprobe {module}"
    )


def _of_default_route(route: Netlink, network: Network) -> int:
    for family in (AF_INET, AF_INET6):
        for _, payload in route.request([route_messages.routes(family)]):
            destination, prefix, index = route_messages.parse_route(payload)
            if not destination and not prefix and index > 1:
                return index
    raise HostError(
        f"cannot use network {network['name']}: the host has no default route to find a parent interface by",
        "create the network with --opt parent=INTERFACE",
    )


def _missing(name: str, network: Network) -> HostError:
    return HostError(
        f"cannot use network {network['name']}: the host has no interface {name}", "`ip link` shows the interfaces"
    )


def _split(name: str) -> tuple[str, str]:
    """`eth0.50` as `eth0` and `50`; an empty number for what is written otherwise."""
    below, dot, number = name.rpartition(".")
    return (below, number) if dot and below and number.isascii() and number.isdigit() else (name, "")


def _check_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _VLAN_MAX):
        raise UsageError(f"invalid vlan {text}", f"a number from 1 to {_VLAN_MAX}")
    return int(text)
