"""Options of `run` about namespaces: one's own, the host's, another container's; names and /etc files."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
RUN = ("run", "--rm", "--network", "none")
KINDS = ("pid", "ipc", "uts", "net", "mnt", "cgroup")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def _namespaces(crate: Crate, *words: str) -> dict[str, str]:
    lines = crate.ok(*words, "sh", "-c", "for n in pid ipc uts net mnt cgroup; do readlink /proc/self/ns/$n; done")
    return dict(zip(KINDS, lines.split(), strict=True))


def test_own_and_the_hosts(crate: Crate) -> None:
    own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in KINDS}
    private = _namespaces(crate, *RUN, IMAGE)
    assert not set(private.values()) & set(own.values())
    shared = _namespaces(
        crate,
        "run",
        "--rm",
        "--pid",
        "host",
        "--ipc",
        "host",
        "--uts",
        "host",
        "--net",
        "host",
        "--cgroupns",
        "host",
        IMAGE,
    )
    assert {kind for kind in KINDS if shared[kind] == own[kind]} == {"pid", "ipc", "uts", "net", "cgroup"}
    assert crate.ok("run", "--rm", "--uts", "host", "--network", "none", IMAGE, "hostname") == socket.gethostname()
    assert crate(*RUN, "--ipc", "none", IMAGE, "ls", "/dev/shm").status == 1


@pytest.mark.requires("nft")
def test_another_containers(crate: Crate) -> None:
    first = crate.ok(
        "run", "-d", "--name", "first", "--hostname", "one", IMAGE, "sh", "-c", "echo x > /dev/shm/f; sleep 1000"
    )
    theirs = _namespaces(crate, "exec", "first")
    for kind in ("pid", "ipc", "uts", "net"):
        found = _namespaces(crate, "run", "--rm", f"--{kind}", f"container:{first[:12]}", IMAGE)
        assert {name for name in KINDS if found[name] == theirs[name]} == {kind}
    script = "cat /dev/shm/f; echo y > /dev/shm/g"
    assert crate.ok(*RUN, "--ipc", "container:first", IMAGE, "sh", "-c", script) == "x"
    assert crate.ok("exec", "first", "cat", "/dev/shm/g") == "y"
    address = crate.inspect("first")["NetworkSettings"]["IPAddress"]
    shown = crate.ok("run", "--rm", "--net", "container:first", IMAGE, "sh", "-c", "ip addr show eth0; cat /etc/hosts")
    assert f"inet {address}/" in shown and f"{address}\tone" in shown
    assert crate.ok(*RUN, "--pid", "container:first", IMAGE, "ps").count("sleep 1000") == 1


def test_another_container_must_run(crate: Crate) -> None:
    crate.ok("create", "--name", "still", "--network", "none", IMAGE)
    for kind in ("pid", "ipc", "uts", "net"):
        assert "still" in crate.fails(125, "run", "--rm", f"--{kind}", "container:still", IMAGE, "true")
        assert "gone" in crate.fails(125, "run", "--rm", f"--{kind}", "container:gone", IMAGE, "true")
        assert "nonsense" in crate.fails(125, "run", "--rm", f"--{kind}", "nonsense:x", IMAGE, "true")
    crate.ok("create", "--name", "joins", "--net", "container:still", IMAGE, "true")
    assert crate.inspect("joins")["Dependencies"] == [crate.inspect("still")["Id"]]
    assert "still" in crate.fails(125, "start", "joins")
    assert crate.ok("ps", "--all", "--format", "{{.Names}}").split() == ["joins", "still"]


@pytest.mark.requires("nft")
def test_names_and_files_of_etc(crate: Crate) -> None:
    shown = crate.ok(
        "run", "--rm", "--hostname", "box", "--domainname", "example.org", "--add-host", "db:10.1.2.3",
        "--add-host", "six:2001:db8::1", "--dns", "192.0.2.53", "--dns-search", "example.org",
        "--dns-option", "ndots:3", IMAGE,
        "sh", "-c", "hostname; cat /proc/sys/kernel/domainname /etc/hostname /etc/hosts /etc/resolv.conf",
    ).splitlines()  # fmt: skip
    assert shown[:3] == ["box", "example.org", "box"]
    assert {"10.1.2.3\tdb", "2001:db8::1\tsix", "nameserver 192.0.2.53", "search example.org", "options ndots:3"} < set(
        shown
    )
    assert any("\tbox.example.org box " in line for line in shown)
    assert crate.ok("run", "--rm", "--no-hosts", IMAGE, "sh", "-c", "test -s /etc/hosts || echo none") == "none"
    assert len(crate.ok(*RUN, IMAGE, "hostname")) == 12
    for options in (["--hostname", "a b"], ["--add-host", "db"], ["--add-host", "db:nowhere"], ["--dns", "nowhere"]):
        assert options[1] in crate.fails(125, "run", "--rm", *options, IMAGE, "true")


def test_sysctl_of_a_shared_namespace_is_refused(crate: Crate) -> None:
    assert "net.ipv4.ip_forward" in crate.fails(
        125, "run", "--rm", "--net", "host", "--sysctl", "net.ipv4.ip_forward=1", IMAGE, "true"
    )
    assert "vm.overcommit_memory" in crate.fails(125, *RUN, "--sysctl", "vm.overcommit_memory=1", IMAGE, "true")
