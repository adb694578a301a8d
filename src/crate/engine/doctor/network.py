"""The part of `doctor` about networks: what the bridge needs, and what ordinary users need instead."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.engine.doctor.users import Check, Finding, Patient

_TUN = "/dev/net/tun"


def userspace(patient: Patient) -> Finding:
    """pasta, or slirp4netns: the network of ordinary users."""
    check = "pasta"
    found = patient.program("pasta") or patient.program("slirp4netns")
    if found.endswith("slirp4netns"):
        return patient.poor(
            check, f"not there, but {found}", "a slower network (--network slirp4netns)", "sudo apt install passt"
        )
    if found:
        return patient.good(check, found)
    costs = "only --network none and host" if patient.rootless else "ordinary users have only --network none and host"
    return patient.poor(check, "not there, nor slirp4netns", costs, "sudo apt install passt")


def tun(patient: Patient) -> Finding:
    """The device that those programs make their interface of."""
    check = _TUN
    if not os.path.exists(_TUN):
        return patient.poor(check, "not there", "no network of ordinary users' containers", "sudo modprobe tun")
    if os.stat(_TUN).st_mode & 0o006 != 0o006:
        return patient.poor(
            check, "not everybody may open it", "no network of ordinary users' containers", f"sudo chmod 666 {_TUN}"
        )
    return patient.good(check, "everybody may open it")


def _nftables(patient: Patient) -> Finding:
    """Whether the kernel answers a question about tables; ordinary users have no part in them."""
    check = "nftables"
    if patient.rootless:
        return patient.good(check, "not needed by ordinary users")
    from crate.engine.doctor.host import in_child

    fault = in_child(_tables_fault)
    if fault:
        return patient.poor(check, f"no ({fault})", "no bridge networks, no published ports", "modprobe nf_tables")
    return patient.good(check, "the kernel has it")


def _tables_fault() -> str:
    """Asks the kernel for the number of its rule set, in a network namespace of its own."""
    from crate.linux import namespace
    from crate.linux.netlink import NETLINK_NETFILTER, Netlink
    from crate.net.firewall.nftables import generation

    try:
        namespace.unshare(namespace.CLONE_NEWNET)
        with Netlink(NETLINK_NETFILTER) as netfilter:
            generation(netfilter)
    except OSError as error:
        return str(error.strerror)
    return ""


def _forwarding(patient: Patient) -> Finding:
    check = "net.ipv4.ip_forward"
    value = patient.read("/proc/sys/net/ipv4/ip_forward")
    if patient.rootless:
        return patient.good(check, f"{value}, not needed by ordinary users")
    if value != "1" and not os.access("/proc/sys/net/ipv4/ip_forward", os.W_OK):
        return patient.poor(check, value, "containers reach the host only", "sysctl -w net.ipv4.ip_forward=1")
    return patient.good(check, value if value == "1" else f"{value}, set when the first bridge is made")


def _bridge_netfilter(patient: Patient) -> Finding:
    """With it the packets between containers of one bridge pass the host's firewall, whose policy may drop them."""
    check = "br_netfilter"
    value = patient.read("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if patient.rootless:
        return patient.good(check, "nothing to ordinary users")
    if value == "1":
        return patient.poor(
            check, "bridge-nf-call-iptables is 1", "the host's firewall sees what neighbours send each other",
            "sysctl -w net.bridge.bridge-nf-call-iptables=0",
        )  # fmt: skip
    return patient.good(check, "no packets of bridges pass the firewall")


NETWORK_CHECKS: tuple[Check, ...] = (userspace, tun, _nftables, _forwarding, _bridge_netfilter)
