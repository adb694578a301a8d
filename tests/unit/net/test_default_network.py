"""The choice of a subnet, and the records of networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crate.errors import HostError, NotFoundError, UsageError
from crate.net import store
from crate.net.addresses import format_address, parse_subnet
from crate.net.default_network import candidates, free_subnet
from crate.settings import Settings

if TYPE_CHECKING:
    from crate.net.store import Network


class Place:
    """As much of storage.roots.Roots as the network knows."""

    rootless = False
    uid = 0

    def __init__(self, path: Path) -> None:
        self.graphroot, self.runroot = str(path / "root"), str(path / "run")


def text(subnet: tuple[bytes, int]) -> str:
    return f"{format_address(subnet[0])}/{subnet[1]}"


def free(pools: list[str], *used: str) -> str:
    return text(free_subnet(pools, [parse_subnet(subnet) for subnet in used]))


def test_pools() -> None:
    assert [text(subnet) for subnet in candidates("10.88.0.0/16")] == ["10.88.0.0/16"]
    assert [text(subnet) for subnet in candidates("10.88.0.0/15/16")] == ["10.88.0.0/16", "10.89.0.0/16"]


@pytest.mark.parametrize(
    "pool", ["", "10.88.0.0", "10.88.0.0/16/15", "10.88.0.0/16/31", "10.88.0.0/16/x", "10.88.1.0/16"]
)
def test_what_is_no_pool_is_refused(pool: str) -> None:
    with pytest.raises(UsageError, match="invalid"):
        list(candidates(pool))


def test_the_first_subnet_that_nothing_uses_is_chosen() -> None:
    pools = ["10.88.0.0/16", "10.90.0.0/15/24"]
    assert free(pools) == "10.88.0.0/16"
    assert free(pools, "10.88.3.0/24") == "10.90.0.0/24"
    assert free(pools, "10.88.0.0/16", "10.90.0.0/23", "fd00::/8") == "10.90.2.0/24"
    assert free(pools, "10.88.0.9/32", "10.90.0.0/24") == "10.90.1.0/24"


def test_pools_that_are_all_in_use() -> None:
    with pytest.raises(HostError, match=r"every subnet .* overlaps") as failure:
        free(["10.88.0.0/16"], "10.0.0.0/8")
    assert "network.address_pools" in (failure.value.hint or "")


def test_the_default_pools_can_be_read() -> None:
    for pool in Settings().get("network.address_pools"):
        assert next(candidates(pool))


def network(name: str) -> Network:
    return {
        "version": store.VERSION,
        "name": name,
        "id": "0" * 64,
        "driver": "bridge",
        "network_interface": name,
        "created": "2025-01-01T00:00:00Z",
        "subnets": [{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}],
        "ipv6_enabled": False,
        "internal": False,
        "dns_enabled": False,
        "labels": {},
        "options": {"mtu": "1500"},
        "ipam_options": {"driver": "host-local"},
    }


def test_records_come_back(tmp_path: Path) -> None:
    roots = Place(tmp_path)
    assert store.names(roots) == []
    (tmp_path / "root" / "networks").mkdir(parents=True)
    for name in ("b.2", "a_1"):
        store.save(roots, network(name))
    assert store.names(roots) == ["a_1", "b.2"]
    assert store.load(roots, "b.2") == network("b.2")
    assert json.loads((tmp_path / "root/networks/a_1.json").read_text()) == network("a_1")
    store.remove(roots, "a_1")
    with pytest.raises(NotFoundError, match="no such network: a_1"):
        store.load(roots, "a_1")
    with pytest.raises(NotFoundError):
        store.remove(roots, "a_1")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "-a", "a b", "a\n", "é", "a\0"])
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="invalid network name"):
        store.load(Place(tmp_path), name)


def test_the_record_of_a_newer_crate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root" / "networks").mkdir(parents=True)
    newer = network("a")
    newer["version"] = store.VERSION + 1
    store.save(Place(tmp_path), newer)
    with pytest.raises(HostError, match="a newer crate made it"):
        store.load(Place(tmp_path), "a")
    (tmp_path / "root/networks/b.json").write_text("{")
    with pytest.raises(HostError, match="cannot read network b"):
        store.load(Place(tmp_path), "b")
