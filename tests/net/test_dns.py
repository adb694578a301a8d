"""The resolver in real namespaces, stepped from a loop as the owner does it, asked by real clients.

Lease files are written here; the servers behind it are of the tests, on loopback addresses of the host.
"""

from __future__ import annotations

import os
import secrets
import select
import struct
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

import dns_flood
from crate.net.addresses import LeaseDirectory, owner_of
from crate.net.dns import door as dns_door
from crate.net.dns import upstream as dns_upstream
from crate.net.dns.resolver import Resolver
from net.name_server import SERVER, NameServer
from net.scene import sh
from program import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.requires("root", "nft", "dig")


class Sandbox:
    """A network namespace with the door in it, and its owner's loop in a thread."""

    def __init__(self, place: Path, name: str) -> None:
        self.place, self.name = place, name
        sh(f"ip netns add {name} && ip -n {name} link set lo up")
        netns_fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        self.fds = dns_door.open_door(netns_fd)
        os.close(netns_fd)
        self.resolv_conf = place / "resolv.conf"
        self.resolv_conf.write_text("")
        self.servers: list[NameServer] = []
        self.resolver: Resolver | None = None
        self.longest_step = 0.0
        self.stop_fd, self._stop = os.pipe()
        self._thread: threading.Thread | None = None

    def serve(self, *networks: str, forwards: bool = True, servers: tuple[str, ...] = ()) -> Sandbox:
        """Begins to answer."""
        self.resolver = Resolver(
            {
                "fds": self.fds,
                "networks": [[name, str(self.place / name)] for name in networks or ("front",)],
                "forwards": forwards,
                "servers": list(servers),
            },
            str(self.resolv_conf),
        )
        self._thread = threading.Thread(target=self._run, args=(self.resolver,))
        self._thread.start()
        return self

    def _run(self, resolver: Resolver) -> None:
        while True:
            poll = select.poll()
            poll.register(self.stop_fd, select.POLLIN)
            resolver.register(poll)
            due = resolver.due_at
            events = poll.poll(max(0, (due - time.monotonic()) * 1000) if due else None)
            if any(fd == self.stop_fd for fd, _ in events):
                return
            begin = time.thread_time()
            resolver.step()
            self.longest_step = max(self.longest_step, time.thread_time() - begin)

    def server(self, own: str) -> NameServer:
        """One more name server of the host."""
        server = NameServer(own)
        self.servers.append(server)
        with self.resolv_conf.open("a") as file:
            file.write(f"nameserver {server.address}\n")
        return server

    def lease(self, network: str, address: str, *names: str, address6: str = "") -> None:
        """A container of a network."""
        with LeaseDirectory(str(self.place / network)) as leases:
            leases.write(
                address,
                {
                    "container": names[0],
                    "owner": owner_of(os.getpid()),
                    "names": list(names),
                    "address": address,
                    "address6": address6,
                    "mac": "",
                    "ports": [],
                },
            )

    def run(self, *command: str, seconds: float = 120) -> str:
        """What a command in the namespace prints, its complaints included."""
        words = ["ip", "netns", "exec", self.name, *command]
        done = subprocess.run(
            words, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds
        )
        return done.stdout.strip()

    def dig(self, *words: str) -> list[str]:
        """The short answer of dig, sorted."""
        return sorted(self.run("dig", "@127.0.0.11", "+short", "+tries=1", "+time=60", *words).splitlines())

    def status(self, *words: str) -> str:
        """How an answer ends, its flags and counts."""
        lines = self.run("dig", "@127.0.0.11", "+tries=1", "+time=60", *words).splitlines()
        status = next(line for line in lines if "status:" in line).split("status: ")[1].split(",")[0]
        return f"{status} {next(line for line in lines if 'flags:' in line)[3:]}"

    def exchange(self, data: bytes, seconds: float = 60.0) -> bytes | None:
        """Sends a datagram of any content; the answer, if there is one."""
        words = f"""
import socket
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout({seconds})
client.connect(("127.0.0.11", 53))
client.send(bytes.fromhex("{data.hex()}"))
try:
    print(client.recv(65536).hex())
except TimeoutError:
    print("silence")
"""
        said = self.run(sys.executable, "-c", words)
        return None if said == "silence" else bytes.fromhex(said)

    def remove(self) -> None:
        """Takes everything away."""
        os.write(self._stop, b"x")
        if self._thread:
            self._thread.join()
        if self.resolver:
            self.resolver.close()
        dns_door.close_door([*self.fds, self.stop_fd, self._stop])
        for server in self.servers:
            server.end()
        sh(f"ip netns del {self.name}")


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox whose resolver is to be started."""
    made = Sandbox(tmp_path, f"ctdns{secrets.token_hex(3)}")
    yield made
    made.remove()


def test_names_of_containers(sandbox: Sandbox) -> None:
    sandbox.lease("front", "10.1.0.2", "Web", "0123456789ab", "service", address6="fd00::2")
    sandbox.lease("front", "10.1.0.3", "db", "service")
    sandbox.lease("back", "10.2.0.9", "other")
    sandbox.serve("front")
    assert sandbox.dig("web") == sandbox.dig("WEB.") == sandbox.dig("0123456789AB") == ["10.1.0.2"]
    assert sandbox.dig("service") == ["10.1.0.2", "10.1.0.3"]
    assert sandbox.dig("web.front") == sandbox.dig("web.dns.podman") == ["10.1.0.2"]
    assert sandbox.dig("web", "AAAA") == ["fd00::2"]
    assert sandbox.dig("-x", "10.1.0.2") == sandbox.dig("-x", "fd00::2") == ["web."]
    assert (
        sandbox.status("db", "AAAA") == "NOERROR flags: qr aa rd ra; QUERY: 1, ANSWER: 0, AUTHORITY: 0, ADDITIONAL: 1"
    )
    assert sandbox.status("db", "MX").startswith("NOERROR")
    assert sandbox.status("nobody.dns.podman").startswith("NXDOMAIN")
    assert "10.1.0.2" in sandbox.run("busybox", "nslookup", "web", "127.0.0.11")
    sandbox.lease("front", "10.1.0.4", "late")
    assert sandbox.dig("late") == ["10.1.0.4"]


def test_libc_asks_for_both_families_at_once(sandbox: Sandbox) -> None:
    sandbox.lease("front", "10.1.0.2", "web", address6="fd00::2")
    sandbox.lease("front", "10.1.0.3", "db")
    sandbox.serve()
    etc = f"/etc/netns/{sandbox.name}"
    os.makedirs(etc)
    try:
        with open(f"{etc}/resolv.conf", "w") as file:
            file.write("nameserver 127.0.0.11\nsearch example.test\noptions ndots:0 timeout:30\n")
        begin = time.monotonic()
        ask = "import socket, sys; print(sorted({i[4][0] for i in socket.getaddrinfo(sys.argv[1], 80)}))"
        assert sandbox.run(sys.executable, "-c", ask, "web") == "['10.1.0.2', 'fd00::2']"
        assert sandbox.run(sys.executable, "-c", ask, "db") == "['10.1.0.3']"
        assert sandbox.run("getent", "hosts", "10.1.0.3") == "10.1.0.3        db"
        assert time.monotonic() - begin < 30  # no question had to be repeated
    finally:
        os.unlink(f"{etc}/resolv.conf")
        os.rmdir(etc)


def test_a_hundred_addresses_by_tcp(sandbox: Sandbox) -> None:
    for number in range(1, 101):
        sandbox.lease("front", f"10.1.0.{number}", f"c{number}", "service")
    sandbox.serve()
    assert len(sandbox.dig("service")) == 100
    assert "tc" in sandbox.status("service", "+ignore", "+noedns")
    assert "MSG SIZE  rcvd: 5" in sandbox.run("dig", "@127.0.0.11", "service", "+ignore", "+noedns")
    assert len(sandbox.dig("service", "+bufsize=4096", "+ignore")) == 100
    assert len(sandbox.dig("service", "+tcp", "+keepopen", "c1", "c2", "+tcp")) == 102


def test_what_is_no_name_of_a_container_goes_to_the_hosts_servers(sandbox: Sandbox) -> None:
    server = sandbox.server("1.1.1.1")
    sandbox.lease("front", "10.1.0.2", "web")
    sandbox.serve()
    assert sandbox.dig("Example.test") == ["1.1.1.1"]
    assert sandbox.dig("single") == ["1.1.1.1"]
    assert (
        sandbox.status("nowhere.test") == "NXDOMAIN flags: qr rd ra; QUERY: 1, ANSWER: 0, AUTHORITY: 0, ADDITIONAL: 0"
    )
    assert sandbox.dig("forged.test") == ["1.1.1.1"]
    assert len(sandbox.dig("big.test")) == 60  # told to ask again by TCP
    assert sandbox.status("rude.test", "+noedns", "+ignore").startswith(
        "NOERROR flags: qr tc rd ra; QUERY: 1, ANSWER: 0"
    )
    assert sandbox.status("broken.test").startswith("SERVFAIL")
    assert sandbox.dig("web") == ["10.1.0.2"]
    other = NameServer("2.2.2.2")
    sandbox.servers.append(other)
    sandbox.resolv_conf.write_text(f"nameserver {other.address}\n")
    assert sandbox.dig("example.test") == ["2.2.2.2"]  # the host has another resolver by now
    asked = server.end().splitlines()
    assert not [line for line in asked if line.startswith("web ")]
    assert [line for line in asked if line.startswith("big tcp")]


def test_a_server_that_fails_is_passed_over(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.server("1.1.1.1")
    dead = f"127.{53 + secrets.randbelow(200)}.{secrets.randbelow(256)}.1"
    sandbox.resolv_conf.write_text(f"nameserver {dead}\n{sandbox.resolv_conf.read_text()}")
    sandbox.server("2.2.2.2")
    sandbox.serve()
    monkeypatch.setattr(dns_upstream, "_TRY_SECONDS", 100.0)
    monkeypatch.setattr(dns_upstream, "_ALL_SECONDS", 100.0)
    begin = time.monotonic()
    assert sandbox.dig("example.test") == ["1.1.1.1"]  # nobody listens at the first
    assert sandbox.dig("broken-1-1-1-1.test") == ["2.2.2.2"]
    assert sandbox.dig("big.test", "+tcp") == ["2.2.2.2"] * 60
    assert time.monotonic() - begin < 50  # nobody was waited for
    monkeypatch.setattr(dns_upstream, "_TRY_SECONDS", 1.0)
    begin = time.monotonic()
    assert sandbox.dig("silent-2-2-2-2.test") == ["1.1.1.1"]  # asked second, after a second
    assert time.monotonic() - begin > 0.9


def test_servers_that_are_silent(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_upstream, "_ALL_SECONDS", 4.0)
    sandbox.server("1.1.1.1")
    sandbox.lease("front", "10.1.0.2", "web")
    sandbox.serve()
    waiting = [
        subprocess.Popen(
            ["ip", "netns", "exec", sandbox.name, "dig", "@127.0.0.11", "+tries=1", "+time=60", f"silent.t{number}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    assert sandbox.dig("slow.test") == ["1.1.1.1"]
    assert sandbox.dig("web") == ["10.1.0.2"]
    assert all("SERVFAIL" in process.communicate(timeout=90)[0] for process in waiting)  # dig has not given up


def test_internal_networks_forward_nothing(sandbox: Sandbox) -> None:
    server = sandbox.server("1.1.1.1")
    sandbox.lease("front", "10.1.0.2", "web")
    sandbox.serve(forwards=False)
    assert sandbox.dig("web") == ["10.1.0.2"]
    assert sandbox.status("example.test").startswith("NXDOMAIN flags: qr aa rd; QUERY: 1")
    assert sandbox.status("example.test", "+tcp").startswith("NXDOMAIN")
    assert server.end() == ""


def test_servers_of_the_networks_own(sandbox: Sandbox) -> None:
    sandbox.server("1.1.1.1")
    own = NameServer("3.3.3.3")
    sandbox.servers.append(own)
    sandbox.serve(servers=(own.address,))
    assert sandbox.dig("example.test") == ["3.3.3.3"]


def test_a_host_without_a_server(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.lease("front", "10.1.0.2", "web")
    sandbox.serve(servers=("nonsense", "fe80::1%nowhere", "127.255.255.254"))
    monkeypatch.setattr(dns_upstream, "_TRY_SECONDS", 100.0)
    monkeypatch.setattr(dns_upstream, "_ALL_SECONDS", 100.0)
    assert sandbox.status("example.test").startswith("SERVFAIL")  # at once: dig gives up after a minute
    assert sandbox.status("example.test", "+tcp").startswith("SERVFAIL")
    assert sandbox.dig("web") == ["10.1.0.2"]


def test_servers_that_are_no_addresses_are_passed_over(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolv.conf of the host's with names, other scripts and scopes that no interface can have."""
    sandbox.server("1.1.1.1")
    lines = ["resolver.invalid", "\u00e4" * 70, "fe80::1%99999999999999999999", "10.0.0.1\0"]
    text = "".join(f"nameserver {line}\n" for line in lines) + sandbox.resolv_conf.read_text()
    sandbox.resolv_conf.write_text(text)
    sandbox.serve()
    monkeypatch.setattr(dns_upstream, "_TRY_SECONDS", 100.0)
    monkeypatch.setattr(dns_upstream, "_ALL_SECONDS", 100.0)
    assert sandbox.dig("example.test") == ["1.1.1.1"]  # at once: dig gives up after a minute


def test_a_container_that_serves_dns_itself(sandbox: Sandbox) -> None:
    sandbox.lease("front", "10.1.0.2", "web")
    sandbox.serve()
    words = ["ip", "netns", "exec", sandbox.name, sys.executable, "-c", SERVER, "0.0.0.0", "4.4.4.4"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for how in ("+notcp", "+tcp"):
            assert sandbox.run("dig", "@127.0.0.1", "+short", "web", how) == "4.4.4.4"
            assert sandbox.dig("web", how) == ["10.1.0.2"]
    finally:
        process.kill()
        process.communicate()


def test_without_nftables_port_53_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A rule that the kernel refuses, as one without nf_tables refuses every rule.
    monkeypatch.setattr(dns_door, "_TABLE", "x" * 300)
    made = Sandbox(tmp_path, f"ctdns{secrets.token_hex(3)}")
    try:
        assert made.run("nft", "list", "ruleset") == ""
        made.lease("front", "10.1.0.2", "web")
        made.serve()
        assert made.dig("web") == made.dig("web", "+tcp") == ["10.1.0.2"]
    finally:
        made.remove()


def test_rules_of_the_containers_own_see_port_53(sandbox: Sandbox) -> None:
    sandbox.lease("front", "10.1.0.2", "web")
    sandbox.serve()
    accepts = "ct state established,related accept; udp dport 53 accept; tcp dport 53 accept;"
    chains = [
        f"chain {hook} {{ type filter hook {hook} priority 0; policy drop; {accepts} }}" for hook in ("input", "output")
    ]
    rules = f"table inet own {{ {'; '.join(chains)}; }}"
    subprocess.run(["ip", "netns", "exec", sandbox.name, "nft", "-f", "-"], input=rules, text=True, check=True)
    assert sandbox.dig("web") == sandbox.dig("web", "+tcp") == ["10.1.0.2"]


def query(name: bytes = b"\3web\0", *, flags: int = 0x0100, counts: tuple[int, ...] = (1, 0, 0, 0)) -> bytes:
    return struct.pack(">6H", 0x1234, flags, *counts) + name + b"\0\1\0\1"


def test_hostile_packets(sandbox: Sandbox) -> None:
    sandbox.server("1.1.1.1")
    sandbox.lease("front", "10.1.0.2", "web")
    sandbox.serve()
    formerr = bytes.fromhex("1234 8101 0000 0000 0000 0000")
    assert sandbox.exchange(query(b"\xc0\x0c")) == formerr  # a pointer to itself
    assert sandbox.exchange(query(counts=(0, 0, 0, 0))) == formerr
    assert sandbox.exchange(query(counts=(300, 0, 0, 0))) == formerr
    assert sandbox.exchange(query()[:15]) == formerr
    assert sandbox.exchange(query(b"\3web\0", counts=(1, 0, 0, 5)) + os.urandom(60000)) == formerr
    assert sandbox.exchange(query(flags=0x2900)) == bytes.fromhex("1234 a904 0000 0000 0000 0000")
    assert sandbox.exchange(query(flags=0x8180), 0.5) is None
    assert sandbox.exchange(b"", 0.3) is None
    assert sandbox.status("web", "+edns=5", "+noednsneg").startswith("BADVERS")
    noise = """
import os, socket
for number in range(3000):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(("127.0.0.11", 53))
    data = bytearray(os.urandom(40 + number % 80))
    data[2:12] = bytes.fromhex("0100 0001 0000 0000 0000") if number % 2 else data[2:12]
    client.send(data)
for number in range(200):
    client = socket.create_connection(("127.0.0.11", 53))
    client.sendall(os.urandom(number))
    client.close()
"""
    assert sandbox.run(sys.executable, "-c", noise) == ""
    assert sandbox.dig("web") == sandbox.dig("web", "+tcp") == ["10.1.0.2"]


def test_connections_that_are_held_open(sandbox: Sandbox) -> None:
    sandbox.lease("front", "10.1.0.2", "web")
    sandbox.serve()
    words = """
import socket, sys
held = [socket.create_connection(("127.0.0.11", 53)) for _ in range(150)]
for one in held:
    try:
        one.sendall(b"\\0")
    except OSError:
        pass
print("held", flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen(
        ["ip", "netns", "exec", sandbox.name, sys.executable, "-c", words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert sandbox.dig("web", "+tcp") == sandbox.dig("web") == ["10.1.0.2"]
    process.communicate("")


#: malformed, looping, truncated, oversized, noise
HOSTILE = [query(b"\xc0\x0c"), query(counts=(300, 0, 0, 0)), query()[:15], query() + bytes(4000), os.urandom(60)]


@pytest.mark.parametrize("packets", [[query(b"\3web\0")], [query(b"\6silent\4test\0")], HOSTILE])
def test_a_flood_leaves_the_owner_time_for_other_work(sandbox: Sandbox, packets: list[bytes]) -> None:
    sandbox.server("1.1.1.1")
    sandbox.lease("front", "10.1.0.2", "web")
    sandbox.serve()
    used = time.process_time()
    flood = dns_flood.start(["ip", "netns", "exec", sandbox.name], 2, [packet[2:] for packet in packets])
    time.sleep(0.5)
    assert sandbox.dig("web", "+tcp") == ["10.1.0.2"]  # its datagram might be lost in the flood's
    assert dns_flood.rate(flood) > dns_flood.LEAST
    used = time.process_time() - used
    assert used < 0.9 * 2
    assert sandbox.longest_step < 0.5  # of the processor, for 16 questions
    until(lambda: sandbox.dig("web") == ["10.1.0.2"], what="an answer after the flood")
