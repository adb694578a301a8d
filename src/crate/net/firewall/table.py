"""Puts crate's table in, or in again: its rules, every bridge of this host, every published port (cold).

Called at the first use after a boot, when somebody flushed the table, and by `network reload`.
"""

from __future__ import annotations

import os

from crate.linux.netlink import NETLINK_NETFILTER, Netlink
from crate.net.addresses import is_alive, read_text, records
from crate.net.firewall import foreign as foreign_firewalls
from crate.net.firewall import messages as nft_messages
from crate.net.firewall import nftables
from crate.net.firewall import rules as nft_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.net.firewall.messages import Element


def reassert(netfilter: Netlink, table: str, lease_root: str) -> None:
    """Makes the table whole in one atomic batch, from the lease directories of all bridges.

    Takes no lock on them: whoever is about to publish does so afterwards, and finds the table. A network may be removed
    meanwhile.
    """
    messages, count = nft_rules.assert_table(table)
    bridges = []
    maps: dict[str, list[Element]] = {}
    for bridge in sorted(os.listdir(lease_root)):
        if bridge.startswith("."):
            continue
        try:
            living = [record for _, record in records(f"{lease_root}/{bridge}") if is_alive(record)]
        except FileNotFoundError:
            continue
        bridges.append(bridge)
        subnets, _, traits = read_text(f"{lease_root}/{bridge}/{nftables.NETWORK}").partition("\n")
        for name, elements in nft_rules.network_elements(bridge, subnets.split(), traits.split()).items():
            maps.setdefault(name, []).extend(elements)
        for record in living:
            for name, element in nftables.port_elements(record["ports"], record["address"], record["address6"]):
                maps.setdefault(name, []).append(element)
    for name, elements in maps.items():
        messages += nft_messages.add_elements(table, name, elements)
    netfilter.request(nft_messages.batch(messages))
    foreign_firewalls.open_doors(netfilter, bridges)
    seen = f"{nftables.generation(netfilter)} {count}"
    for bridge in bridges:
        try:
            with open(f"{lease_root}/{bridge}/{nftables.SEEN}", "w", encoding="ascii") as file:
                file.write(seen)
        except FileNotFoundError:
            continue


def reload(table: str, lease_root: str) -> None:
    """The same, for who has no other question to the firewall. HostError."""
    if not os.path.isdir(lease_root):
        return
    with Netlink(NETLINK_NETFILTER) as netfilter:
        try:
            reassert(netfilter, table, lease_root)
        except OSError as error:
            raise nftables.refusal(table, error) from error


def sweep(table: str, lease_root: str) -> list[str]:
    """Removes the leases whose owners died without an end, and their elements; gives the containers' ids."""
    swept = []
    for bridge in os.listdir(lease_root) if os.path.isdir(lease_root) else ():
        directory = f"{lease_root}/{bridge}"
        try:
            found = list(records(directory))
        except FileNotFoundError:
            continue
        for address, record in found:
            if is_alive(record):
                continue
            if nftables.bury(table, directory, address, record):
                swept.append(record["container"])
    return swept
