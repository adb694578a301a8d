"""The firewall's part in a container's start and end: is our table there; elements of published ports in and out.

Hot; the table itself is made by `nft_rules`, and `firewall` puts everything in again when somebody flushed it.
"""

from __future__ import annotations

import errno
import os

from crate.errors import HostError, KernelError
from crate.linux.netlink import NETLINK_NETFILTER, Netlink
from crate.net.addresses import LeaseDirectory, is_alive, lock_directory, parse_address
from crate.net.firewall import messages as nft_messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crate.net.addresses import LeaseRecord
    from crate.net.endpoint import Endpoint
    from crate.net.firewall.messages import Element
    from crate.net.store import Network

_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
#: notes beside the leases of a bridge: generation and number of rules when the table was last seen whole; a line of
#: subnets and one of what is special about the network
SEEN, NETWORK = ".firewall", ".network"


def ensure(table: str, leases: LeaseDirectory, network: Network) -> None:
    """Makes sure that the table is whole: one question to the kernel when no rule changed since the last look.

    The number of rules tells whether somebody flushed the table, which takes its rules and keeps its sets.
    """
    with Netlink(NETLINK_NETFILTER) as netfilter:
        try:
            seen = leases.note(SEEN).split()
            now = generation(netfilter)
            if len(seen) == 2 and int(seen[0]) == now:
                return
            count = len(netfilter.request([nft_messages.rules(table)]))
            if len(seen) == 2 and count == int(seen[1]):
                if _forward_drops(netfilter):
                    from crate.net.firewall import foreign as foreign_firewalls

                    foreign_firewalls.open_iptables_nft(netfilter, [os.path.basename(leases.path)])
                leases.set_note(SEEN, f"{now} {count}")
                return
            from crate.net.firewall import table as firewall

            subnets = " ".join(subnet["subnet"] for subnet in network["subnets"])
            leases.set_note(NETWORK, f"{subnets}\n{' '.join(traits(network))}")
            firewall.reassert(netfilter, table, os.path.dirname(leases.path))
        except OSError as error:
            raise refusal(table, error) from error


def traits(network: Network) -> list[str]:
    """What is special about a network, in the words of `nft_rules.network_elements`."""
    options = network["options"]
    found = {
        "internal": network["internal"],
        "open": options.get("isolate") == "false",
        "routed": options.get("masquerade") == "false",
    }
    return [name for name, holds in found.items() if holds]


def _forward_drops(netfilter: Netlink) -> bool:
    """Whether iptables' FORWARD chain drops by default: docker, started later, does that to everybody's bridges."""
    try:
        answers = netfilter.request([nft_messages.chain("filter", "FORWARD", nft_messages.NFPROTO_IPV4)])
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        raise
    return nft_messages.parse_policy(answers[0][1]) == 0


def generation(netfilter: Netlink) -> int:
    """The number of the kernel's rule set."""
    return nft_messages.parse_generation(netfilter.request([nft_messages.generation()])[0][1])


def refusal(table: str, error: OSError) -> HostError:
    """The error for a kernel that does not take our firewall messages."""
    hint = None
    if error.errno in (errno.EPROTONOSUPPORT, errno.EOPNOTSUPP, errno.ENOENT, errno.EINVAL):
        hint = "load the modules: modprobe -a nf_tables nft_nat nft_masq nft_fib_inet nft_ct"
    return KernelError(f"change nftables table {table}", error, hint)


def port_elements(
    ports: Iterable[Sequence[str | int]], address: str, address6: str
) -> list[tuple[str, tuple[bytes, bytes, bool]]]:
    """The map and the element of each published port: host address, host port, container port, protocol.

    `::1`, an address with a zone, and an IPv6 address where the container has none, give nothing: the owner's proxy
    serves them.
    """
    found: list[tuple[str, Element]] = []
    for host_ip, host_port, container_port, protocol in ports:
        socket = _PROTOCOLS[str(protocol)].to_bytes(1, "big") + bytes(3) + _port(host_port)
        for suffix, target in (("4", address), ("6", address6)):
            if (
                not target
                or host_ip == "::1"
                or "%" in str(host_ip)
                or (host_ip and (":" in str(host_ip)) != (suffix == "6"))
            ):
                continue
            value = parse_address(target) + _port(container_port)
            if host_ip in ("", "0.0.0.0", "::"):
                found.append((f"any{suffix}", (socket, value, False)))
            else:
                found.append((f"published{suffix}", (parse_address(str(host_ip)) + socket, value, False)))
    return found


def _port(number: str | int) -> bytes:
    return int(number).to_bytes(2, "big") + bytes(2)


def _by_map(elements: Iterable[tuple[str, Element]]) -> dict[str, list[Element]]:
    maps: dict[str, list[Element]] = {}
    for name, element in elements:
        maps.setdefault(name, []).append(element)
    return maps


def publish(table: str, directory: str, ports: Sequence[Sequence[str | int]], endpoint: Endpoint) -> None:
    """Sends ports (as `port_elements` takes them) to an endpoint; overwrites what a dead container left at them."""
    root, own = os.path.dirname(directory), (endpoint["address"], endpoint["address6"])
    elements = port_elements(ports, *own)
    lock_fd = lock_directory(root)
    try:
        with Netlink(NETLINK_NETFILTER) as netfilter:
            try:
                add(netfilter, table, elements)
            except OSError as error:
                if error.errno == errno.ENOENT:
                    from crate.net.firewall import table as firewall

                    firewall.reassert(netfilter, table, root)
                elif error.errno not in (errno.EEXIST, errno.EBUSY):
                    raise
                stale = [item for item in elements if _value(netfilter, table, item) not in (None, item[1][1])]
                add(netfilter, table, elements, stale)
        if any(port[3] == "udp" for port in ports):
            from crate.net.firewall import conntrack

            conntrack.forget_others(ports, own)
    except OSError as error:
        raise refusal(table, error) from error
    finally:
        os.close(lock_fd)


def withdraw(table: str, directory: str, key: str, record: LeaseRecord) -> None:
    """Deletes the elements of a lease that has ended: 10 ms, for after the answer.

    What leads elsewhere by now, or is wanted by the lease that has the address now (the same container's, started
    again, too), stays.
    """
    elements = port_elements(record["ports"], record["address"], record["address6"])
    lock_fd = lock_directory(os.path.dirname(directory))
    try:
        with LeaseDirectory(directory) as leases:
            successor = leases.read(key)
        if successor is not None and is_alive(successor) and _holder(successor) != _holder(record):
            wanted = port_elements(successor["ports"], successor["address"], successor["address6"])
            elements = [element for element in elements if element not in wanted]
        with Netlink(NETLINK_NETFILTER) as netfilter:
            elements = [element for element in elements if _value(netfilter, table, element) == element[1][1]]
            if elements:
                add(netfilter, table, (), elements)
        if any(port[3] == "udp" for port in record["ports"]):
            from crate.net.firewall import conntrack

            conntrack.forget_own(record["ports"], (record["address"], record["address6"]))
    except OSError as error:
        raise refusal(table, error) from error
    finally:
        os.close(lock_fd)


def _holder(record: LeaseRecord) -> tuple[str, list[int]]:
    return record["container"], record["owner"]


def bury(table: str, directory: str, key: str, record: LeaseRecord | None) -> bool:
    """Removes the lease of a dead owner, and first what it published; tells whether it was still there."""
    if record is not None and record["ports"]:
        withdraw(table, directory, key, record)
    with LeaseDirectory(directory) as leases:
        return leases.bury(key, record)


def add(
    netfilter: Netlink,
    table: str,
    elements: Sequence[tuple[str, Element]],
    stale: Sequence[tuple[str, Element]] = (),
) -> None:
    """Deletes the stale elements and adds the others, in one batch."""
    messages = []
    for name, items in _by_map(stale).items():
        messages += nft_messages.delete_elements(table, name, items)
    for name, items in _by_map(elements).items():
        messages += nft_messages.add_elements(table, name, items)
    netfilter.request(nft_messages.batch(messages))


def _value(netfilter: Netlink, table: str, element: tuple[str, Element]) -> bytes | None:
    """What the kernel has at an element's key; None when there is nothing."""
    name, (key, _, _) = element
    try:
        return nft_messages.parse_element(netfilter.request([nft_messages.get_element(table, name, key)])[0][1])
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
