"""Doors in other firewalls: where a table of another tool drops what it does not know, our accept does not help (cold).

Docker and ufw set the policy of iptables' FORWARD chain to drop: the rules go to DOCKER-USER, where docker wants those
of others, or into FORWARD. firewalld has its zone `trusted`. What is already there is not added again.
"""

from __future__ import annotations

import errno
import os

from crate.net.firewall import messages as nft_messages
from crate.net.firewall import rules as nft_rules
from crate.net.firewall.messages import NFPROTO_IPV4, NFPROTO_IPV6

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.linux.netlink import Netlink

_DROP = 0
_SECONDS = 20


def open_doors(netfilter: Netlink, bridges: Sequence[str]) -> None:
    """Lets the bridges' packets through whatever firewall of the host would drop them."""
    open_iptables_nft(netfilter, bridges)
    for program, tables in (("iptables-legacy", "ip_tables_names"), ("ip6tables-legacy", "ip6_tables_names")):
        if "filter" in _lines(f"/proc/net/{tables}"):
            _open_iptables_legacy(program, bridges)
    if os.path.isdir("/run/firewalld") or os.path.exists("/run/firewalld.pid"):
        for bridge in bridges:
            _run("firewall-cmd", "--zone=trusted", f"--change-interface={bridge}")


def open_iptables_nft(netfilter: Netlink, bridges: Sequence[str]) -> None:
    """The same for the chains that iptables keeps in nf_tables, by our own messages."""
    for nfproto in (NFPROTO_IPV4, NFPROTO_IPV6):
        _open_iptables_nft(netfilter, bridges, nfproto)


def _open_iptables_nft(netfilter: Netlink, bridges: Sequence[str], nfproto: int) -> None:
    if policy(netfilter, "FORWARD", nfproto) != _DROP:
        return
    chain = "FORWARD"
    try:
        netfilter.request([nft_messages.chain("filter", "DOCKER-USER", nfproto)])
        chain = "DOCKER-USER"
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
    there = {
        nft_messages.parse_comment(payload)
        for _, payload in netfilter.request([nft_messages.rules("filter", chain, nfproto)])
    }
    messages = []
    for bridge in bridges:
        comment = _comment(f"crate {bridge}")
        if comment not in there:
            messages += nft_rules.foreign_accept(chain, bridge, nfproto, comment)
    if messages:
        netfilter.request(nft_messages.batch(messages))


def policy(netfilter: Netlink, chain: str, nfproto: int) -> int | None:
    """The policy of a chain in iptables' filter table; None when there is no such chain."""
    try:
        return nft_messages.parse_policy(netfilter.request([nft_messages.chain("filter", chain, nfproto)])[0][1])
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise


def _comment(text: str) -> bytes:
    """A rule's comment as libnftnl keeps it: type 0, length, text with its NUL."""
    return bytes([0, len(text) + 1]) + text.encode() + b"\0"


def _open_iptables_legacy(program: str, bridges: Sequence[str]) -> None:
    shown = _run(program, "-w", "-S")
    if "-P FORWARD DROP" not in shown:
        return
    chain = "DOCKER-USER" if "-N DOCKER-USER" in shown else "FORWARD"
    for bridge in bridges:
        for flag in ("-i", "-o"):
            rule = f"-A {chain} {flag} {bridge} -j ACCEPT"
            if rule not in shown:
                _run(program, "-w", "-I", *rule.split()[1:])


def _run(*command: str) -> list[str]:
    """The lines a program prints; none where it is not there or fails, which the packets will tell soon enough."""
    import subprocess

    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().split()
    except OSError:
        return []
