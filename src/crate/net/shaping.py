"""Limits the rate of a container's traffic, on the host's end of its interface, where it has no say.

    in    what the host's end sends:      a token bucket (tbf) is its root queue
    out   what the host's end receives:   redirected through an ifb device with such a bucket, which gives it back

The bucket goes with the interface. An ifb stays: its name has that of the interface in it, and whoever ends the
container deletes it, or whoever shapes next.
"""

from __future__ import annotations

import errno

from crate.errors import HostError, KernelError, UsageError
from crate.linux.netlink import NETLINK_ROUTE, Netlink
from crate.net.drivers.bridge import find
from crate.net.endpoint import driver_of
from crate.net.netlink import device as device_messages
from crate.net.netlink import route as route_messages
from crate.net.netlink import shaping as shaping_messages
from crate.net.rates import parse_rates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.linux.netlink import Message
    from crate.net.endpoint import Endpoint

_VETH, _IFB = "veth", "ifb"
#: the least that may go out at once: a packet of segmentation offload has up to 64 KiB, and would be cut
_BURST_BYTES = 65536
_BURST_SECONDS, _WAIT_SECONDS = 0.005, 0.1
_ABSENT = (errno.ENOENT, errno.EINVAL, errno.ENODEV, errno.EOPNOTSUPP)
_HINT = "load the modules: modprobe -a sch_tbf sch_ingress cls_u32 act_mirred ifb"


def set_rates(endpoint: Endpoint, given: Sequence[str]) -> None:
    """Notes the rates of an endpoint; a direction that is not among them stays as it is. UsageError."""
    rates = parse_rates(given)
    if any(rates.values()) and not driver_of(endpoint["driver"]).HAS_HOST_END:
        raise UsageError(
            f"cannot limit the rate of network {endpoint['network']}: {endpoint['driver']} has no end on the host",
            "use a bridge or vxlan network",
        )
    endpoint["rates"] = {**endpoint.get("rates", {}), **rates}


def apply(endpoint: Endpoint) -> None:
    """Makes the kernel keep the endpoint's rates, and no others. HostError, KernelError."""
    name, rates = endpoint["host_interface"], endpoint.get("rates") or {}
    with Netlink(NETLINK_ROUTE) as route:
        found = find(route, name)
        if found is None:
            shown = name or f"network {endpoint['network']}"
            raise HostError(f"cannot limit the rate of {shown}: there is no such interface on the host")
        if rates.get("in"):
            _do(route, [_bucket(found[0], rates["in"])], name)
        else:
            _undo(route, shaping_messages.no_bucket(found[0]))
        if rates.get("out"):
            _shape_out(route, found[0], name, rates["out"])
        else:
            _undo(route, shaping_messages.no_ingress(found[0]))
            _delete(route, _ifb_name(name))


def remove(endpoint: Endpoint) -> None:
    """Deletes what does not go with the interface: 20 ms."""
    if (endpoint.get("rates") or {}).get("out"):
        with Netlink(NETLINK_ROUTE) as route:
            _delete(route, _ifb_name(endpoint["host_interface"]))


def _shape_out(route: Netlink, index: int, name: str, bits: int) -> None:
    own = _ifb_name(name)
    device = find(route, own)
    if device is None:
        _sweep(route)
        try:
            route.request([device_messages.device(_IFB, own)])
        except OSError as error:
            raise KernelError(f"create interface {own}", error, _HINT) from None
        device = find(route, own)
        if device is None:
            raise HostError(f"cannot limit the rate of {name}: {own} vanished")
    _do(route, [_bucket(device[0], bits), route_messages.link_up(device[0])], own)
    try:
        route.request([shaping_messages.ingress(index)])
    except OSError as error:
        if error.errno == errno.EEXIST:
            return  # with its filter: it is an earlier rate that changes
        raise KernelError(f"limit the rate of {name}", error, _HINT) from None
    try:
        _do(route, [shaping_messages.redirect(index, device[0])], name)
    except KernelError:
        _undo(route, shaping_messages.no_ingress(index))
        raise


def _sweep(route: Netlink) -> None:
    """Deletes the ifb devices of interfaces that are gone."""
    kinds, indexes = {}, {}
    for _, payload in route.request([route_messages.links()]):
        index, _, attributes = route_messages.parse_link(payload)
        name = device_messages.name_of(attributes)
        kinds[name], indexes[name] = route_messages.link_kind(attributes), index
    for name, kind in kinds.items():
        mark = name.removeprefix(_IFB)
        if kind == _IFB and len(mark) == 8 and not mark.strip("0123456789abcdef") and _VETH + mark not in kinds:
            _undo(route, route_messages.delete_link(indexes[name]))


def _bucket(index: int, bits: int) -> Message:
    burst = max(_BURST_BYTES, int(bits / 8 * _BURST_SECONDS))
    limit = burst + int(bits / 8 * _WAIT_SECONDS)
    return shaping_messages.bucket(index, bits, min(burst, 0xFFFFFFFF), min(limit, 0xFFFFFFFF))


def _ifb_name(name: str) -> str:
    return _IFB + name.removeprefix(_VETH)


def _delete(route: Netlink, name: str) -> None:
    found = find(route, name)
    if found is not None:
        _undo(route, route_messages.delete_link(found[0]))


def _do(route: Netlink, messages: list[Message], name: str) -> None:
    try:
        route.request(messages)
    except OSError as error:
        raise KernelError(f"limit the rate of {name}", error, _HINT) from None


def _undo(route: Netlink, message: Message) -> None:
    try:
        route.request([message])
    except OSError as error:
        if error.errno not in _ABSENT:
            raise KernelError("lift a rate", error) from None
