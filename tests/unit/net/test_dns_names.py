"""Names from lease files, those of the dead left out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from ipaddress import ip_address
from pathlib import Path

import pytest

from crate.net.addresses import LeaseDirectory, owner_of
from crate.net.dns.names import Names, address_in


def lease(directory: Path, address: str, *names: str, address6: str = "", pid: int = 0, key: str = "") -> None:
    with LeaseDirectory(str(directory)) as leases:
        leases.write(
            key or address,
            {
                "container": names[0] if names else "none",
                "owner": owner_of(pid or os.getpid()),
                "names": list(names),
                "address": address,
                "address6": address6,
                "mac": "",
                "ports": [],
            },
        )


def found(names: Names, name: str) -> set[str] | None:
    answer = names.addresses(name)
    return None if answer is None else {str(ip_address(packed)) for packed in answer[0] + answer[1]}


def test_a_name_has_the_addresses_of_all_who_are_called_so(tmp_path: Path) -> None:
    lease(tmp_path / "one", "10.1.0.2", "Web", "service", address6="fd00::2")
    lease(tmp_path / "one", "10.1.0.3", "db", "service")
    lease(tmp_path / "two", "10.2.0.2", "web")
    lease(tmp_path / "three", "10.3.0.2", "web", "stranger")
    names = Names([("Front", str(tmp_path / "one")), ("back", str(tmp_path / "two"))])
    assert found(names, "service") == {"10.1.0.2", "fd00::2", "10.1.0.3"}
    assert found(names, "web") == {"10.1.0.2", "fd00::2", "10.2.0.2"}
    assert found(names, "web.front") == {"10.1.0.2", "fd00::2"}
    assert found(names, "web.back") == {"10.2.0.2"}
    assert found(names, "web.dns.podman") == found(names, "web")
    assert names.addresses("db") == ([ip_address("10.1.0.3").packed], [])
    assert found(names, "stranger") is found(names, "web.three") is found(names, "") is None
    assert names.name_at(ip_address("fd00::2").packed) == "web"
    assert names.name_at(ip_address("10.3.0.2").packed) is None


def test_each_is_the_first_in_turn(tmp_path: Path) -> None:
    for number in range(2, 6):
        lease(tmp_path, f"10.1.0.{number}", f"c{number}", "service")
    names = Names([("n", str(tmp_path))])
    firsts = []
    for _ in range(8):
        answer = names.addresses("service")
        assert answer is not None
        firsts.append(answer[0][0])
    assert {firsts.count(first) for first in firsts} == {2}


def test_what_comes_and_goes_is_seen_at_once(tmp_path: Path) -> None:
    names = Names([("n", str(tmp_path / "leases"))])
    assert names.addresses("a") is None  # no directory yet
    for _ in range(30):  # faster than the clock of the files
        lease(tmp_path / "leases", "10.1.0.2", "a")
        assert found(names, "a") == {"10.1.0.2"}
        lease(tmp_path / "leases", "10.1.0.2", "b")
        assert found(names, "a") is None
        with LeaseDirectory(str(tmp_path / "leases")) as leases:
            leases.give_back("10.1.0.2", "b")
        assert found(names, "b") is None
    time.sleep(0.1)
    assert found(names, "a") is None  # the last look is trusted from here on
    lease(tmp_path / "leases", "10.1.0.2", "a")
    assert found(names, "a") == {"10.1.0.2"}


def test_the_dead_have_no_names(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lease(tmp_path, "10.1.0.2", "a", "service", pid=process.pid)
    lease(tmp_path, "10.1.0.3", "b", "service")
    names = Names([("n", str(tmp_path))])
    assert found(names, "service") == {"10.1.0.2", "10.1.0.3"}
    process.kill()
    process.wait()
    assert found(names, "service") == {"10.1.0.3"}
    assert found(names, "a") is None
    assert names.name_at(ip_address("10.1.0.2").packed) is None


def test_a_second_file_of_one_endpoint_is_no_other_container(tmp_path: Path) -> None:
    lease(tmp_path, "10.1.0.2", "a", address6="fd00::99")
    lease(tmp_path, "", address6="fd00::99", key="fd00::99")
    assert Names([("n", str(tmp_path))]).name_at(ip_address("fd00::99").packed) == "a"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"owner": [1]}', '{"owner": 1, "names": 5}', '{"a": "\ud800"}'])
def test_a_file_that_is_no_lease_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "10.1.0.9").write_bytes(text.encode("utf-8", "surrogatepass"))
    lease(tmp_path, "10.1.0.2", "a")
    assert found(Names([("n", str(tmp_path))]), "a") == {"10.1.0.2"}


@pytest.mark.parametrize("address", ["10.1.0.2", "255.0.0.1", "fd00::2", "::"])
def test_the_name_for_a_reverse_lookup(address: str) -> None:
    assert address_in(ip_address(address).reverse_pointer) == ip_address(address).packed


@pytest.mark.parametrize(
    "name", ["", "in-addr.arpa", "1.2.3.in-addr.arpa", "1.2.3.256.in-addr.arpa", "x.2.3.4.in-addr.arpa", "1.2.ip6.arpa"]
)
def test_no_name_for_a_reverse_lookup(name: str) -> None:
    assert address_in(name) == b""


def test_words_of_a_lease_that_are_no_names_are_nobody(tmp_path: Path) -> None:
    lease(tmp_path, "10.1.0.2", "web", 'We"b')
    names = Names([("n", str(tmp_path))])
    for word in ("container", "owner", "10.1.0.2", "eb", 'we"', ""):
        assert found(names, word) is None, word
    assert found(names, 'we"b') == {"10.1.0.2"}
    (tmp_path / "10.1.0.3").write_text('{"names": ["web"], "owner": "web"')
    os.utime(tmp_path)
    assert found(names, "web") == {"10.1.0.2"}
