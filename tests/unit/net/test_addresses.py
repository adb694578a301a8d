"""Addresses and subnets, and the leases in a directory."""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.errors import HostError, NameInUseError, UsageError
from crate.net import addresses

if TYPE_CHECKING:
    from pathlib import Path

    from crate.net.addresses import LeaseRecord

packed = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)


def lease(container: str, alive: bool = True) -> LeaseRecord:
    owner = addresses.owner_of(os.getpid())
    whose = {"container": container, "owner": owner if alive else [owner[0], 1], "names": []}
    return {**whose, "address": "", "address6": "", "mac": "", "ports": []}  # type: ignore[typeddict-item]


@given(packed)
def test_addresses_are_read_and_written_as_ipaddress_does(address: bytes) -> None:
    text = str(ipaddress.ip_address(address))
    assert addresses.parse_address(text) == address
    assert addresses.parse_address(addresses.format_address(address)) == address


@pytest.mark.parametrize("text", ["", "10.0.0", "10.0.0.256", "010.0.0.1", "::g", "10.0.0.1/8", "a\0b", " 10.0.0.1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="invalid IP address"):
        addresses.parse_address(text)


@pytest.mark.parametrize("text", ["10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/²", "10.0.0.1/24"])
def test_what_is_no_subnet_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="invalid subnet"):
        addresses.parse_subnet(text)


@given(packed, st.integers(0, 128), packed, st.integers(0, 128))
def test_overlaps_and_contains_agree_with_ipaddress(one: bytes, length: int, other: bytes, other_length: int) -> None:
    length, other_length = min(length, len(one) * 8), min(other_length, len(other) * 8)
    first, second = (
        ipaddress.ip_network((address, prefix), strict=False)
        for address, prefix in ((one, length), (other, other_length))
    )
    same = first.version == second.version
    mine = addresses.parse_subnet(str(first))
    theirs = addresses.parse_subnet(str(second))
    assert addresses.overlaps(mine, theirs) == (same and first.overlaps(second))
    assert addresses.contains(mine, other) == (same and ipaddress.ip_address(other) in first)


def test_a_mac_is_that_of_docker() -> None:
    assert addresses.format_mac(addresses.mac_of(addresses.parse_address("10.88.0.2"))) == "02:42:0a:58:00:02"
    assert addresses.parse_mac("2:42:A:58:0:2") == bytes.fromhex("02420a580002")


@pytest.mark.parametrize("text", ["", "02:42", "02:42:0a:58:00:zz", "02:42:0a:58:00:100", "01:00:5e:00:00:01"])
def test_what_is_no_mac_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="invalid MAC address"):
        addresses.parse_mac(text)


def take(path: Path, span: str, container: str, gateway: str = "10.9.0.1") -> str:
    with addresses.LeaseDirectory(str(path)) as leases:
        address = leases.next_free(addresses.parse_subnet(span), gateway)
        leases.write(address, lease(container))
    return address


def test_an_address_rests_before_its_reuse(tmp_path: Path) -> None:
    assert [take(tmp_path, "10.9.0.0/29", name) for name in "abc"] == ["10.9.0.2", "10.9.0.3", "10.9.0.4"]
    with addresses.LeaseDirectory(str(tmp_path)) as leases:
        assert leases.remove("10.9.0.2", "a")
        assert leases.remove("10.9.0.4", "c")
    assert [take(tmp_path, "10.9.0.0/29", name) for name in "def"] == ["10.9.0.5", "10.9.0.6", "10.9.0.2"]
    assert take(tmp_path, "10.9.0.0/29", "g") == "10.9.0.4"
    with pytest.raises(HostError, match=r"all of 10\.9\.0\.0/29 are taken"):
        take(tmp_path, "10.9.0.0/29", "h")


def test_a_lease_is_removed_by_its_container_alone(tmp_path: Path) -> None:
    address = take(tmp_path, "10.9.0.0/24", "a")
    with addresses.LeaseDirectory(str(tmp_path)) as leases:
        assert not leases.remove(address, "b")
        assert leases.remove(address, "a")
        assert not leases.remove(address, "a")


def test_a_dead_lease_is_free(tmp_path: Path) -> None:
    with addresses.LeaseDirectory(str(tmp_path)) as leases:
        leases.write("10.9.0.2", lease("dead", alive=False))
        leases.check("10.9.0.2")
        assert leases.next_free(addresses.parse_subnet("10.9.0.0/30"), "10.9.0.1") == "10.9.0.2"


def test_a_living_lease_is_not(tmp_path: Path) -> None:
    address = take(tmp_path, "10.9.0.0/24", "0123456789abcdef")
    with addresses.LeaseDirectory(str(tmp_path)) as leases, pytest.raises(NameInUseError, match="0123456789ab has it"):
        leases.check(address)


@pytest.mark.parametrize("text", ["", "{", "1", "{}", "\0\0\0"])
def test_a_lease_whose_writer_died_in_the_act_is_free(tmp_path: Path, text: str) -> None:
    (tmp_path / "10.9.0.2").write_text(text)
    assert take(tmp_path, "10.9.0.0/24", "a") == "10.9.0.2"


@given(st.text(max_size=20))
def test_a_spoilt_note_of_the_last_address_does_no_harm(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("leases")
    (path / ".last").write_text(text, encoding="utf-8", errors="replace")
    assert addresses.contains(
        addresses.parse_subnet("10.9.0.0/24"), addresses.parse_address(take(path, "10.9.0.0/24", "a"))
    )
