"""The table: as nft reads it, whole again after others flushed it, open doors in other firewalls."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from crate.linux.netlink import NETLINK_NETFILTER, Netlink
from crate.net import sandbox
from crate.net.firewall import nftables
from net.scene import Net, ask, sh

pytestmark = pytest.mark.requires("root", "nft")

TABLE = """\
table inet TABLE {
	set bridges {
		type ifname
		elements = { "BRIDGE" }
	}

	set pairs {
		type ifname . ifname
		elements = { "BRIDGE" . "BRIDGE" }
	}

	set internal {
		type ifname
	}

	set open {
		type ifname
	}

	set networks4 {
		type ipv4_addr
		flags interval
		elements = { SUBNET }
	}

	map published4 {
		type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
		elements = { 127.0.0.1 . tcp . PORT : ADDRESS . 80 }
	}

	map any4 {
		type inet_proto . inet_service : ipv4_addr . inet_service
	}

	set networks6 {
		type ipv6_addr
		flags interval
	}

	map published6 {
		type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service
	}

	map any6 {
		type inet_proto . inet_service : ipv6_addr . inet_service
	}

	chain raw {
		type filter hook prerouting priority raw; policy accept;
		iifname != "lo" ip daddr 127.0.0.0/8 drop
	}

	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		dnat ip to ip daddr . meta l4proto . th dport map @published4
		meta nfproto ipv4 fib daddr type local dnat ip to meta l4proto . th dport map @any4
		dnat ip6 to ip6 daddr . meta l4proto . th dport map @published6
		fib daddr type local ip6 daddr != ::1 dnat ip6 to meta l4proto . th dport map @any6
	}

	chain output {
		type nat hook output priority -100; policy accept;
		dnat ip to ip daddr . meta l4proto . th dport map @published4
		meta nfproto ipv4 fib daddr type local dnat ip to meta l4proto . th dport map @any4
		dnat ip6 to ip6 daddr . meta l4proto . th dport map @published6
		fib daddr type local ip6 daddr != ::1 dnat ip6 to meta l4proto . th dport map @any6
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 127.0.0.0/8 oifname @bridges masquerade
		ip saddr @networks4 oifname != "lo" oifname != @bridges masquerade
		ip saddr @networks4 oifname @bridges ct status dnat masquerade
		ip6 saddr @networks6 oifname != "lo" oifname != @bridges masquerade
		ip6 saddr @networks6 oifname @bridges ct status dnat masquerade
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		iifname . oifname @pairs accept
		iifname @internal drop
		oifname @internal drop
		oifname @bridges ct state established,related accept
		oifname @bridges ct status dnat accept
		iifname @open oifname @open accept
		oifname @bridges drop
	}
}
"""


def listed(net: Net) -> str:
    return net.nft("list", "table", "inet", net.table)


def test_the_table_is_what_nft_reads(net: Net) -> None:
    container = net.container("127.0.0.1::80")
    expected = TABLE.replace("TABLE", net.table).replace("BRIDGE", net.bridge)
    expected = expected.replace("SUBNET", net.settings.get("network.address_pools")[0])
    expected = expected.replace("PORT", str(container.lease["ports"][0]["host_port"]))
    assert listed(net) == expected.replace("ADDRESS", container.endpoint["address"])


@pytest.mark.parametrize(
    "spoil",
    [
        "delete table inet {table}",
        "flush table inet {table}",
        "flush chain inet {table} forward",
        "delete table inet {table}; add table inet {table}",
    ],
)
def test_the_next_start_makes_the_table_whole_again(net: Net, spoil: str) -> None:
    container = net.container("80")
    net.serve(container)
    port = container.lease["ports"][0]["host_port"]
    whole = listed(net)
    sh(f"nft '{spoil.format(table=net.table)}'")
    other = net.container()
    assert listed(net) == whole, "the running container's port is there again"
    assert ask(other, container.endpoint["gateway"], port).startswith("hello")


def test_a_table_that_vanishes_before_the_publishing_is_made_again(net: Net) -> None:
    first = net.container("80")
    whole = listed(net)
    sh(f"nft delete table inet {net.table}")
    sandbox.publish(first.lease)
    assert listed(net) == whole


def test_changes_of_others_that_leave_our_table_alone_cost_no_rebuilding(net: Net) -> None:
    net.container()
    handle = sh(f"nft -a list table inet {net.table} | grep -c handle")
    before = sh(f"nft -a list chain inet {net.table} forward")
    other = f"{net.table}_other"
    sh(f"nft add table inet {other} && nft delete table inet {other}")
    net.container()
    assert sh(f"nft -a list chain inet {net.table} forward") == before
    assert sh(f"nft -a list table inet {net.table} | grep -c handle") == handle


def test_without_the_right_to_change_it_the_kernel_refuses_at_once(net: Net) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            os.setresuid(65534, 65534, 65534)
            with Netlink(NETLINK_NETFILTER) as netfilter:
                nftables.add(netfilter, net.table, [("any4", (bytes(8), bytes(8), False))])
        except PermissionError:
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


NESTED = """
import os, sys
sys.path[:0] = {path!r}
from pathlib import Path
from net.scene import Net
net = Net(Path("/run"), "10.77.0.0/24", "")
net.container("127.0.0.1::80")
os.system({later!r})
net.container()
"""


def nested(setup: str, show: str, later: str = ":") -> str:
    """What a command shows in a network namespace where, as on a fresh host, two containers started after `setup`."""
    program = NESTED.format(path=sys.path, later=later)
    script = f'mount -t tmpfs tmpfs /run && ip link set lo up && {setup} && "$0" -c "$1" && {show}'
    command = ["unshare", "--net", "--mount", "sh", "-c", script, sys.executable, program]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def iptables_rules(shown: str) -> list[str]:
    return [line for line in shown.splitlines() if " -i ct" in line or " -o ct" in line]


@pytest.mark.parametrize("program", ["iptables-nft", "iptables-legacy"])
@pytest.mark.parametrize("chain", ["DOCKER-USER", "FORWARD"])
def test_a_forward_chain_that_drops_gets_doors_for_our_bridge(program: str, chain: str) -> None:
    docker = f"{program} -N DOCKER-USER && {program} -A FORWARD -j DOCKER-USER" if chain == "DOCKER-USER" else ":"
    shown = nested(f"{program} -P FORWARD DROP && {docker}", f"{program} -S {chain}")
    rules = iptables_rules(shown)
    assert len(rules) == 2, "two containers, one pair of rules"
    assert {rule.split()[2] for rule in rules} == {"-i", "-o"}
    assert all(rule.endswith("-j ACCEPT") for rule in rules)
    assert "-j ACCEPT" in shown.splitlines()[1], "before what docker's users put there"


@pytest.mark.parametrize("program", ["iptables-nft", "iptables-legacy"])
def test_a_forward_chain_that_accepts_is_left_alone(program: str) -> None:
    assert iptables_rules(nested(f"{program} -P FORWARD ACCEPT", f"{program} -S")) == []


def test_docker_that_starts_later_gets_them_at_the_next_start() -> None:
    shown = nested(":", "iptables-nft -S FORWARD", later="iptables-nft -P FORWARD DROP")
    assert len(iptables_rules(shown)) == 2
