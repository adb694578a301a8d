"""Interfaces of the host that networks hang on: VLANs, VXLAN devices and dummies, through pyroute2 (cold: once a boot).

Loading pyroute2 takes longer than starting a container (decision 60): only who has to make one comes here.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from crate import late_site

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: what a VXLAN entry has for every address that has none of its own
_ANY_MAC = "00:00:00:00:00:00"


def make(kind: str, name: str, alias: str, **settings: int | str) -> None:
    """Makes an interface of a kind, down, with pyroute2's words for its settings (`vlan_id`, `link`…). OSError."""
    with _route() as route:
        route.link("add", kind=kind, ifname=name, **settings)
        for index in route.link_lookup(ifname=name):
            route.link("set", index=index, ifalias=alias)  # the kernel ignores that of a new one


def set_peers(index: int, add: Sequence[str], drop: Sequence[str]) -> None:
    """Sends what a VXLAN device has no better place for to these addresses too, and no more to those. OSError."""
    with _route() as route:
        for command, peers in (("del", drop), ("append", add)):
            for address in peers:
                route.fdb(command, ifindex=index, lladdr=_ANY_MAC, dst=address)


@contextmanager
def _route() -> Iterator[Any]:
    late_site.install()
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as route:
            yield route
    except NetlinkError as error:
        raise OSError(error.code, os.strerror(error.code)) from None
