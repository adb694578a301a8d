"""Names of containers on user-defined networks, as containers look them up; packets: tests/net/test_dns.py."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import dns_flood
from net.name_server import NameServer
from program import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from program import Crate

IMAGE = "crate.local/busybox"

pytestmark = [pytest.mark.requires("root", "overlay", "busybox", "nft"), pytest.mark.usefixtures("busybox")]


@pytest.fixture
def server() -> Iterator[NameServer]:
    """A name server of the host, which says of every name that it has the address 1.1.1.1."""
    made = NameServer("1.1.1.1")
    yield made
    made.end()


def look(crate: Crate, container: str, name: str) -> set[str]:
    """The addresses of a name as a running container sees it."""
    return addresses(crate("exec", container, "nslookup", name).out)


def addresses(said: str) -> set[str]:
    return set(re.findall(r"^Address: (\S+)$", said.partition("\n\n")[2], re.MULTILINE))


def address(crate: Crate, name: str, network: str) -> str:
    found: str = crate.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"]
    return found


def await_lean(crate: Crate, name: str) -> None:
    """Waits for the hand-over to the monitor that stays."""
    command_line = Path(f"/proc/{crate.inspect(name)['State']['ConmonPid']}/cmdline")
    until(lambda: b"tasks.resume" in command_line.read_bytes(), what="a lean monitor")


def test_names_aliases_ids_and_hostnames(crate: Crate) -> None:
    crate.ok("network", "create", "front")
    crate.ok("network", "create", "back")
    run = ("run", "-d", "--network")
    identifier = crate.ok(*run, "front:alias=service", "--name", "web", "--hostname", "Machine", IMAGE, "sleep", "1000")
    crate.ok(*run, "front", "--network-alias", "service", "--name", "db", IMAGE, "sleep", "1000")
    crate.ok(*run, "back", "--name", "stranger", IMAGE, "sleep", "1000")
    crate.ok(*run, "front", "--network", "back", "--name", "both", IMAGE, "sleep", "1000")
    web, db, stranger = (
        address(crate, "web", "front"),
        address(crate, "db", "front"),
        address(crate, "stranger", "back"),
    )
    words = ["web", "WEB", "web.front", identifier[:12], "machine", "service", "stranger.front"]
    # At once: the monitor that answers is the young one.
    script = f'cat /etc/resolv.conf; for name in {" ".join(words)}; do echo; echo "= $name"; nslookup $name; done'
    said = crate("run", "--rm", "--network", "front", "--dns", "127.255.255.254", IMAGE, "sh", "-c", script).out
    conf, *answers = said.split("= ")
    assert re.fullmatch(r"nameserver 127\.0\.0\.11\n(search .*\n)?options (.* )?ndots:0\n*", conf)
    found = {answer.partition("\n")[0]: addresses(answer) for answer in answers}
    assert found == {word: {web} for word in words} | {"service": {web, db}, "stranger.front": set()}
    await_lean(crate, "db")
    await_lean(crate, "both")
    assert look(crate, "db", "web") == {web}
    assert look(crate, "both", "stranger") == {stranger}
    assert look(crate, "both", "service") == {web, db}
    assert look(crate, "both", "both") == {address(crate, "both", name) for name in ("front", "back")}
    assert look(crate, "web", "both") == {address(crate, "both", "front")}
    joined = crate.ok("run", "--rm", "--network", "container:db", IMAGE, "nslookup", "web")
    assert addresses(joined) == {web}
    # Whoever ends takes its names along, however it ends.
    crate.ok("rm", "-f", "-t", "0", "web")
    assert look(crate, "db", "service") == {db}
    state = json.loads((crate.runroot / "containers" / crate.inspect("both")["Id"] / "state.json").read_text())
    os.kill(state["monitor_pid"], signal.SIGKILL)
    until(lambda: not Path(f"/proc/{state['monitor_pid']}").exists())
    said = crate("exec", "db", "nslookup", "both.dns.podman").out
    assert "NXDOMAIN" in said


def test_other_names_are_the_hosts_business(crate: Crate, server: NameServer) -> None:
    crate.ok("network", "create", "--dns", server.address, "front")
    crate.ok("network", "create", "--internal", "inside")
    # A question before the hand-over, its answer after the time of it.
    said = crate.ok(
        "run",
        "--rm",
        "--network",
        "front",
        IMAGE,
        "sh",
        "-c",
        "sleep 0.15; nslookup slow.test; sleep 0.5; nslookup web.test",
    )
    assert said.count("Address: 1.1.1.1") >= 2
    crate.ok("run", "-d", "--network", "inside", "--dns", server.address, "--name", "inner", IMAGE, "sleep", "1000")
    said = crate("exec", "inner", "nslookup", "secret.test").out
    assert "NXDOMAIN" in said
    crate.ok("run", "-d", "--network", "front", "--network", "inside", "--name", "both", IMAGE, "sleep", "1000")
    assert look(crate, "both", "web.test") == {"1.1.1.1"}
    assert look(crate, "both", "inner") == {address(crate, "inner", "inside")}
    # The servers of a network may change while its containers run.
    other = NameServer("2.2.2.2")
    crate.ok("network", "update", "--dns-add", other.address, "--dns-drop", server.address, "front")
    assert look(crate, "both", "web.test") == {"2.2.2.2"}
    other.end()
    asked = server.end()
    assert "web udp" in asked
    assert "secret" not in asked


def test_a_renamed_container_is_found_by_its_new_name(crate: Crate) -> None:
    crate.ok("network", "create", "front")
    crate.ok("run", "-d", "--network", "front:alias=service", "--name", "web", IMAGE, "sleep", "1000")
    web = address(crate, "web", "front")
    crate.ok("rename", "web", "shop")
    assert look(crate, "shop", "shop") == look(crate, "shop", "service") == {web}
    assert "NXDOMAIN" in crate("exec", "shop", "nslookup", "web.dns.podman").out


def test_a_step_of_a_build_finds_names(crate: Crate, tmp_path: Path) -> None:
    crate.ok("network", "create", "front")
    crate.ok("run", "-d", "--network", "front", "--name", "web", IMAGE, "sleep", "1000")
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN nslookup web\n")
    said = crate.ok("build", "--network", "front", str(tmp_path))
    assert address(crate, "web", "front") in addresses(said)


def test_names_come_and_go_with_the_networks_of_a_running_container(crate: Crate) -> None:
    crate.ok("network", "create", "front")
    crate.ok("network", "create", "--disable-dns", "mute")
    crate.ok("run", "-d", "--network", "front", "--name", "web", IMAGE, "sleep", "1000")
    crate.ok("run", "-d", "--name", "late", IMAGE, "sleep", "1000")
    before = crate.ok("exec", "late", "cat", "/etc/resolv.conf")
    crate.ok("network", "connect", "mute", "late")
    assert crate.ok("exec", "late", "cat", "/etc/resolv.conf") == before
    crate.ok("network", "connect", "--alias", "tardy", "front", "late")
    assert "nameserver 127.0.0.11\n" in crate.ok("exec", "late", "cat", "/etc/resolv.conf") + "\n"
    assert look(crate, "late", "web") == {address(crate, "web", "front")}
    assert look(crate, "web", "tardy") == look(crate, "web", "late") == {address(crate, "late", "front")}
    crate.ok("network", "disconnect", "front", "late")
    assert crate.ok("exec", "late", "cat", "/etc/resolv.conf") == before
    assert "NXDOMAIN" in crate("exec", "web", "nslookup", "late.dns.podman").out
    crate.ok("exec", "late", "sh", "-c", "echo '# mine' >> /etc/resolv.conf")
    crate.ok("network", "connect", "front", "late")
    assert "127.0.0.11" not in crate.ok("exec", "late", "cat", "/etc/resolv.conf")
    assert addresses(crate.ok("exec", "late", "nslookup", "web", "127.0.0.11")) == {address(crate, "web", "front")}
    crate.ok("restart", "-t", "0", "late")
    assert look(crate, "late", "web") == {address(crate, "web", "front")}


def test_the_default_network_has_no_names(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "plain", IMAGE, "sleep", "1000")
    assert "127.0.0.11" not in crate.ok("exec", "plain", "cat", "/etc/resolv.conf")
    state = json.loads((crate.runroot / "containers" / crate.inspect("plain")["Id"] / "state.json").read_text())
    assert state["lease"]["dns_fds"] == []


def test_a_restarted_container_has_names_and_no_more_descriptors(crate: Crate) -> None:
    crate.ok("network", "create", "front")
    script = "nslookup web; sleep 0.5; exit 1"
    run = ("run", "-d", "--network", "front", "--name")
    crate.ok(*run, "web", IMAGE, "sleep", "1000")
    crate.ok(*run, "again", "--restart", "on-failure:3", IMAGE, "sh", "-c", script)
    web = address(crate, "web", "front")
    crate.ok("wait", "again")
    until(lambda: crate.ok("logs", "again").count(f"Address: {web}") == 4)
    crate.ok("restart", "-t", "0", "web")
    await_lean(crate, "web")
    identifier = crate.inspect("web")["Id"]
    state = json.loads((crate.runroot / "containers" / identifier / "state.json").read_text())
    before = len(os.listdir(f"/proc/{state['monitor_pid']}/fd"))
    for _ in range(20):
        assert look(crate, "web", "web") == {address(crate, "web", "front")}
    assert len(os.listdir(f"/proc/{state['monitor_pid']}/fd")) <= before + 3  # epoll, two of its own


def test_a_flood_does_not_stall_the_streams(crate: Crate) -> None:
    crate.ok("network", "create", "front")
    script = "i=0; while [ $i -lt 300 ]; do echo $i; i=$((i+1)); usleep 10000; done"
    process = crate.popen("run", "--rm", "--network", "front", "--name", "web", IMAGE, "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    pid = crate.inspect("web")["State"]["Pid"]
    question = bytes.fromhex("0100 0001 0000 0000 0000 03776562 00 0001 0001")
    flood = dns_flood.start(["nsenter", "-t", str(pid), "-n"], 3, [question, *(os.urandom(60) for _ in range(2))])
    lines, meanwhile = 1, 0
    for line in process.stdout:
        assert line == f"{lines}\n"
        lines += 1
        meanwhile += flood.poll() is None
    assert lines == 300
    assert process.wait(60) == 0
    assert meanwhile > 50  # of about 200; stalled they all come when the flood is over
    assert dns_flood.rate(flood) > dns_flood.LEAST
