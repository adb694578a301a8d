"""Takes away what a network has on this host beside its record: bridge, leases, its place in the firewall; cold.

A bridge belongs to the host: it stays while a container of whichever store is on it.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from crate.errors import KernelError, NotFoundError, StateError
from crate.linux.netlink import NETLINK_NETFILTER, Netlink
from crate.net import endpoint, store
from crate.net.addresses import LeaseDirectory, is_alive, records
from crate.net.firewall import messages as nft_messages
from crate.net.firewall import nftables
from crate.net.firewall import rules as nft_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.net.store import Network, Roots
    from crate.settings import Settings


def remove(
    roots: Roots, settings: Settings, network: Network, others: Sequence[Network] = (), *, here: bool = True
) -> None:
    """Removes it all, the record too, but for what the `others` of its store need; what is not there is no failure.

    `here`: whether this process is where bridges can be. The record goes while nobody can lease an address; who leases
    one afterwards does not find it any more (sandbox.add_endpoint).

    StateError while a living container has an address of it, whichever store it is in; KernelError.
    """
    directory = endpoint.lease_directory(settings, network)
    table, bridged = str(settings.get("network.table")), here and network["driver"] in store.ROUTED
    if bridged and os.path.isdir(directory):
        for key, record in list(records(directory)):
            if not is_alive(record):
                nftables.bury(table, directory, key, record)
    with LeaseDirectory(directory) as leases:  # made, if there is none: nobody leases an address meanwhile
        for _, record in records(directory):
            if is_alive(record):
                raise StateError(
                    f"network {network['name']} is in use by container {record['container'][:12]}",
                    "stop it first, or use --force",
                )
        if here:
            endpoint.driver_of(network["driver"]).remove(network, others)
        if bridged and leases.note(nftables.NETWORK):
            _remove_from_firewall(table, network)
        if store.is_current(roots, network):
            store.remove(roots, network["name"])
        remove_directory(directory)


def remove_late(roots: Roots, settings: Settings, network: Network) -> None:
    """Removes what one who came too late to a removed network made of it once more."""
    try:
        remove(roots, settings, network, [store.load(roots, name) for name in store.names(roots)])
    except (NotFoundError, StateError):
        pass  # others came too late as well: the last one removes it


def remove_directory(path: str) -> None:
    """With its notes; whoever asserts the firewall's table may write one more."""
    while True:
        for name in os.listdir(path):
            os.unlink(f"{path}/{name}")
        try:
            os.rmdir(path)
            return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise KernelError(f"remove {path}", error) from None


def _remove_from_firewall(table: str, network: Network) -> None:
    """What asserts the table finds the network no more; until then these elements would match an interface to come."""
    subnets = [subnet["subnet"] for subnet in network["subnets"]]
    sets = nft_rules.network_elements(network["network_interface"], subnets, nftables.traits(network))
    batches = [nft_messages.delete_elements(table, name, elements) for name, elements in sets.items()]
    with Netlink(NETLINK_NETFILTER) as netfilter:
        try:
            netfilter.request(nft_messages.batch([message for messages in batches for message in messages]))
            return  # the kernel takes 10 ms for a batch
        except OSError:
            pass  # somebody flushed the table, or it lacks some of them
        for messages in batches:
            try:
                netfilter.request(nft_messages.batch(messages))
            except OSError:
                continue
