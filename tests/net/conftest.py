"""A network of the tests' own, and a host outside."""

from __future__ import annotations

import secrets
import subprocess
from typing import TYPE_CHECKING

import pytest

from net.scene import Net, Roots, sh
from wires import ends

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from claims import Claims


@pytest.fixture
def net(tmp_path: Path, claims: Claims) -> Iterator[Net]:
    """A network with IPv4."""
    made = Net(tmp_path, claims.pool(), "")
    yield made
    made.remove()


@pytest.fixture
def net6(tmp_path: Path, claims: Claims) -> Iterator[Net]:
    """A network with IPv4 and IPv6. The host goes on forwarding IPv6: other tests may need it by now."""
    six = f"fd00:{secrets.randbelow(0xFFFF) + 1:x}:{secrets.randbelow(0xFFFF) + 1:x}::/64"
    made = Net(tmp_path, claims.pool(), six)
    made.roots = Roots(tmp_path / "six")  # a store of its own: the default network has one name
    yield made
    made.remove()


@pytest.fixture
def outside(net: Net) -> Iterator[str]:
    """A namespace that is another host on a wire to this one: of the ends of `wires`, this host has the first."""
    name = net.namespace("outside")
    wire = f"ct{net.mark}o"
    here, there = ends(net.mark)
    sh(f"ip link add {wire} type veth peer name eth0 netns {name}")
    sh(f"ip addr add {here}/30 dev {wire} && ip link set {wire} up")
    sh(f"ip -n {name} addr add {there}/30 dev eth0 && ip -n {name} link set eth0 up")
    sh(f"ip -n {name} link set lo up")
    yield name
    subprocess.run(["ip", "link", "del", wire], check=False, capture_output=True)
