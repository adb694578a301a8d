"""An ordinary user's own networks: names, ports with the client's address, the uplink, and who may be killed."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from claims import free_port
from program import Crate, until
from wires import ends

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claims import Claims

IMAGE = "crate.local/busybox"
SLEEP = ["sleep", "1000"]

pytestmark = pytest.mark.requires("root", "unprivileged-user", "busybox", "pasta", "nft")


class Far(NamedTuple):
    """Another host on a wire to this one: its namespace, its address, and this host's."""

    name: str
    address: str
    here: str
    address6: str
    here6: str

    def ask(self, host: str, port: int, kind: str = "STREAM") -> str:
        """What a server says to a client there: the client's address as the server sees it, and its port."""
        return ask(host, port, kind, "ip", "netns", "exec", self.name)


# A server on a port that tells each client what it asks: who the server takes it for.
SERVE = """
import socket, sys
server = socket.socket(socket.AF_INET6, getattr(socket, "SOCK_" + sys.argv[2]))
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("::", int(sys.argv[1])))
if sys.argv[2] == "STREAM":
    server.listen()
print("ready", flush=True)
while True:
    if sys.argv[2] == "DGRAM":
        _, client = server.recvfrom(200)
        server.sendto(f"{client[0].removeprefix('::ffff:')} {client[1]}".encode(), client)
        continue
    connection, client = server.accept()
    connection.recv(200)
    connection.sendall(f"{client[0].removeprefix('::ffff:')} {client[1]}".encode())
    connection.close()
"""
ASK = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
client = socket.socket(family, getattr(socket, "SOCK_" + sys.argv[3]))
client.settimeout(float(sys.argv[4]))
try:
    client.connect((sys.argv[1], int(sys.argv[2])))
    client.send(b"who am I\\n")
    print(client.recv(200).decode(), client.getsockname()[1])
except OSError as error:
    print(error)
"""


def ask(host: str, port: int, kind: str = "STREAM", *enter: str, seconds: float = 20) -> str:
    words = [*enter, "python3", "-c", ASK, host, str(port), kind, str(seconds)]
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.fixture
def far() -> Iterator[Far]:
    mark = secrets.token_hex(2)
    name, wire = f"ctf{mark}", f"ctf{mark}w"
    (here, there), six = ends(mark), f"fd00:{int(mark, 16) or 1:x}"
    script = f"""
        ip netns add {name}
        ip link add {wire} type veth peer name eth0 netns {name}
        ip addr add {here}/30 dev {wire}; ip addr add {six}::1/64 dev {wire} nodad; ip link set {wire} up
        ip -n {name} addr add {there}/30 dev eth0; ip -n {name} addr add {six}::2/64 dev eth0 nodad
        ip -n {name} link set eth0 up; ip -n {name} link set lo up
    """
    subprocess.run(["sh", "-ec", textwrap.dedent(script)], check=True)
    yield Far(name, there, here, f"{six}::2", f"{six}::1")
    subprocess.run(["ip", "netns", "del", name], check=True)
    subprocess.run(["ip", "link", "del", wire], check=False, capture_output=True)


@pytest.fixture
def crate(rootless_crate: Crate, rootless_busybox: str) -> Crate:
    """An ordinary user's, with the image and a network `one` in its store."""
    rootless_crate.ok("network", "create", "one")
    return rootless_crate


def run(crate: Crate, name: str, *words: str, network: str = "one", options: tuple[str, ...] = ()) -> None:
    crate.ok("run", "-d", "--name", name, "--network", network, *options, IMAGE, *(words or SLEEP))


def address(crate: Crate, name: str, network: str = "one") -> str:
    return str(crate.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"])


def gateway(crate: Crate, name: str, network: str = "one") -> str:
    return str(crate.inspect(name)["NetworkSettings"]["Networks"][network]["Gateway"])


def host_port(crate: Crate, name: str, port: str) -> int:
    return int(crate.ok("port", name, port).splitlines()[0].rpartition(":")[2])


def uplink(crate: Crate) -> int:
    """The pid of the running uplink; 0 while there is none."""
    pid, started = json.loads((crate.runroot / "netns.json").read_text()).get("uplink") or [0, 0]
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0
    return int(pid) if fields[0] != "Z" and int(fields[19]) == started else 0


def monitor(crate: Crate, name: str) -> int:
    return int(crate.inspect(name)["State"]["ConmonPid"])


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "Z"
    except OSError:
        return True


@pytest.fixture
def serve(crate: Crate) -> Iterator[Any]:
    """`serve(name, port, kind)`: starts a server in the network of a container."""
    started: list[subprocess.Popen[str]] = []

    def start(name: str, port: int, kind: str = "STREAM") -> None:
        words = [*inside(crate, name), "python3", "-c", SERVE, str(port), kind]
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
        pipe = started[-1].stdout
        assert pipe and pipe.readline() == "ready\n"

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def inside(crate: Crate, name: str) -> list[str]:
    """The words that run a program of this host in the network of a container."""
    return ["nsenter", f"--net=/proc/{crate.inspect(name)['State']['Pid']}/ns/net"]


def await_answer(far: Far, port: int) -> None:
    until(lambda: far.address in far.ask(far.here, port), what=f"port {port} answers")


def await_end(pid: int) -> None:
    until(lambda: is_gone(pid), what=f"process {pid} has ended")


class Greeter:
    """A server of the host, on its address, that says hello to everybody."""

    def __init__(self) -> None:
        here = subprocess.run(["ip", "-o", "route", "get", "198.51.100.1"], check=True, capture_output=True, text=True)
        self.address = here.stdout.split(" src ")[1].split()[0]
        self.port = free_port()
        words = ["python3", "-c", SERVE, str(self.port), "STREAM"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"


@pytest.fixture
def greeter() -> Iterator[Greeter]:
    made = Greeter()
    yield made
    made.process.kill()
    made.process.wait()
    assert made.process.stdout
    made.process.stdout.close()


def reaches(crate: Crate, name: str, greeter: Greeter, seconds: float = 20) -> bool:
    said = ask(greeter.address, greeter.port, "STREAM", *inside(crate, name), seconds=seconds)
    return said.startswith(f"{greeter.address} ")


def test_names_and_the_way_out(crate: Crate, greeter: Greeter) -> None:
    run(crate, "server", "httpd", "-f", "-p", "80", "-h", "/etc", options=("--network-alias", "web"))
    run(crate, "client")
    for name in ("server", "web"):
        assert "server" not in crate.ok("exec", "client", "wget", "-qO-", f"http://{name}/hostname")
    assert address(crate, "server") in crate("exec", "client", "nslookup", "server").out
    assert reaches(crate, "client", greeter)
    hosts = crate.ok("exec", "client", "cat", "/etc/hosts")
    assert f"{greeter.address}\thost.containers.internal" in hosts
    assert crate.inspect("client")["HostConfig"]["NetworkMode"] == "bridge"


def test_networks_are_isolated_and_a_container_may_be_on_two(crate: Crate, serve: Any) -> None:
    crate.ok("network", "create", "two")
    run(crate, "here")
    run(crate, "there", network="two")
    serve("here", 80)
    there = inside(crate, "there")
    assert "timed out" in ask(address(crate, "here"), 80, "STREAM", *there, seconds=1)
    crate.ok("network", "connect", "two", "here")
    both = address(crate, "here", "two")
    assert both in crate("exec", "there", "nslookup", "here").out
    assert ask(both, 80, "STREAM", *there).startswith(address(crate, "there", "two"))
    crate.ok("network", "disconnect", "two", "here")
    assert both not in crate("exec", "there", "nslookup", "here").out
    assert "network is being used" in crate("network", "rm", "two").err
    crate.ok("rm", "-f", "-t", "0", "there")
    crate.ok("network", "rm", "two")
    assert "two" not in crate.ok("network", "ls", "--format", "{{.Name}}").split()


def is_seen(said: str, client: str) -> bool:
    """`ADDRESS PORT OWN`: whether the server sees the client's address and port."""
    seen, port, own = said.split()
    return (seen, port) == (client, own)


def test_published_ports_keep_the_client_s_address(crate: Crate, far: Far, serve: Any) -> None:
    crate.ok("network", "create", "--ipv6", "six")
    run(crate, "four", options=("-p", "80", "-p", "53/udp"))
    run(crate, "six", network="six", options=("-p", "80"))
    serve("four", 80)
    serve("four", 53, "DGRAM")
    serve("six", 80)
    tcp, udp, six = host_port(crate, "four", "80"), host_port(crate, "four", "53/udp"), host_port(crate, "six", "80")
    for _ in range(2):
        for port, kind in ((tcp, "STREAM"), (udp, "DGRAM")):
            assert is_seen(far.ask(far.here, port, kind), far.address)
            assert is_seen(ask(far.here, port, kind), far.here)
    assert is_seen(far.ask(far.here6, six), far.address6)
    # Whom no address of another host can stand for appears as the bridge.
    bridge = gateway(crate, "four")
    for host in ("127.0.0.1", "::1"):
        assert ask(host, tcp).split()[0] == bridge
        assert ask(host, udp, "DGRAM").split()[0] == bridge
    assert far.ask(far.here6, tcp).split()[0] == bridge


def test_ports_on_one_address_in_ranges_and_between_containers(
    crate: Crate, far: Far, serve: Any, claims: Claims
) -> None:
    port = claims.ports(2)
    run(crate, "server", options=("-p", f"127.0.0.1:{port}:81", "-p", f"{far.here}:{port}-{port + 1}:80-81"))
    serve("server", 80)
    assert is_seen(far.ask(far.here, port), far.address)
    assert "reset" in ask("127.0.0.1", port)
    serve("server", 81)
    assert is_seen(far.ask(far.here, port + 1), far.address)
    assert ask("127.0.0.1", port).split()[0] == gateway(crate, "server")
    error = crate.fails(125, "run", "--rm", "--network", "one", "-p", f"127.0.0.1:{port}:1", IMAGE, "true")
    assert "address already in use" in error
    run(crate, "client")
    client = inside(crate, "client")
    assert ask(address(crate, "server"), 80, "STREAM", *client).startswith(address(crate, "client"))
    assert ask(far.here, port, "STREAM", *client).split()[1].isdigit()


def test_a_port_follows_its_container_to_another_network(crate: Crate, far: Far, serve: Any) -> None:
    crate.ok("network", "create", "two")
    run(crate, "server", options=("-p", "80", "--network", "two"))
    serve("server", 80)
    port = host_port(crate, "server", "80")
    assert is_seen(far.ask(far.here, port), far.address)
    crate.ok("network", "disconnect", "one", "server")
    await_answer(far, port)


def test_restarts_keep_the_port(crate: Crate, far: Far, serve: Any) -> None:
    run(crate, "server", options=("-p", "80", "--restart", "always"))
    serve("server", 80)
    port, pid = host_port(crate, "server", "80"), crate.inspect("server")["State"]["Pid"]
    assert is_seen(far.ask(far.here, port), far.address)
    os.kill(pid, signal.SIGKILL)
    until(lambda: crate.inspect("server")["State"]["Pid"] not in (0, pid), what="it runs again")
    serve("server", 80)
    assert host_port(crate, "server", "80") != 0
    assert is_seen(far.ask(far.here, host_port(crate, "server", "80")), far.address)
    crate.ok("stop", "-t", "0", "server")
    with socket.create_server(("0.0.0.0", port)):
        pass  # free again


def test_a_killed_uplink_is_started_again(crate: Crate, greeter: Greeter) -> None:
    for name in ("first", "second"):
        run(crate, name)
    assert reaches(crate, "second", greeter)
    before = uplink(crate)
    os.kill(before, signal.SIGKILL)
    assert until(lambda: uplink(crate) not in (0, before), what="another uplink runs")
    assert until(lambda: reaches(crate, "second", greeter))


def test_the_uplink_outlives_whoever_started_it_and_not_the_last(crate: Crate, greeter: Greeter) -> None:
    run(crate, "first")
    run(crate, "second")
    first, pid = monitor(crate, "first"), uplink(crate)
    assert Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1] == str(first)
    os.kill(first, signal.SIGKILL)
    await_end(first)
    assert reaches(crate, "second", greeter)
    assert uplink(crate) == pid
    run(crate, "third")
    assert uplink(crate) == pid
    crate.ok("rm", "-f", "-t", "0", "third")
    assert reaches(crate, "second", greeter)
    os.kill(monitor(crate, "second"), signal.SIGKILL)
    await_end(pid)
    run(crate, "fourth")
    assert uplink(crate) not in (0, pid)
    assert reaches(crate, "fourth", greeter)


def test_killed_forwarders_and_helpers_are_started_again(crate: Crate, far: Far, serve: Any) -> None:
    run(crate, "own", options=("-p", "80"))
    run(crate, "default", network="pasta", options=("-p", "80"))
    for name, program in (("default", "passt"), ("own", "crate:ports")):
        serve(name, 80)
        port = host_port(crate, name, "80")
        assert is_seen(far.ask(far.here, port), far.address)
        owner = monitor(crate, name)
        (helper,) = [pid for pid in children(owner, program) if pid != uplink(crate)]
        os.kill(helper, signal.SIGKILL)
        await_answer(far, port)
        (helper,) = [pid for pid in children(owner, program) if pid != uplink(crate)]
        os.kill(owner, signal.SIGKILL)
        await_end(helper)


def children(pid: int, name: str) -> list[int]:
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):  # it has ended
            if Path(f"/proc/{child}/comm").read_text().startswith(name):
                found.append(int(child))
    return found


def children_of_user(crate: Crate, name: str) -> list[str]:
    assert crate.user
    words = ["ps", "-u", str(crate.user.uid), "-o", "stat=,comm="]
    lines = subprocess.run(words, check=False, capture_output=True, text=True).stdout.splitlines()
    return [line for line in lines if line.split()[1].startswith(name) and not line.startswith("Z")]


def test_many_begin_at_the_same_time(crate: Crate) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: run(crate, f"c{number}"), range(6)))
    found = {address(crate, f"c{number}") for number in range(6)}
    assert len(found) == 6 and all(found)
    until(lambda: len(children_of_user(crate, "passt")) == 1, what="one uplink for all")
    crate.ok("rm", "--all", "--force", "--time", "0")
    until(lambda: not children_of_user(crate, "passt"), what="no uplink is left")


def test_a_network_without_a_way_out_needs_no_helper(crate: Crate) -> None:
    crate.ok("network", "create", "--internal", "inner")
    run(crate, "server", "httpd", "-f", "-p", "80", "-h", "/etc", network="inner")
    crate.ok("run", "--rm", "--network", "inner", IMAGE, "wget", "-qO-", "http://server/hostname")
    assert not children_of_user(crate, "passt")


def test_a_container_of_an_internal_network_gets_a_way_out_later(crate: Crate, greeter: Greeter) -> None:
    crate.ok("network", "create", "--internal", "inner")
    run(crate, "web", network="inner")
    assert uplink(crate) == 0 and not reaches(crate, "web", greeter, 1)
    crate.ok("network", "connect", "one", "web")
    assert reaches(crate, "web", greeter)
    before = uplink(crate)
    os.kill(before, signal.SIGKILL)
    assert until(lambda: uplink(crate) not in (0, before), what="its monitor starts another one")
    assert until(lambda: reaches(crate, "web", greeter))
    crate.ok("network", "disconnect", "one", "web")
    assert not reaches(crate, "web", greeter, 1)
    crate.ok("network", "connect", "one", "web")
    assert reaches(crate, "web", greeter)
    last = uplink(crate)
    crate.ok("rm", "-f", "-t", "0", "web")
    await_end(last)


@pytest.mark.requires("slirp4netns")
class TestSlirp:
    """`network.rootless = "slirp4netns"`: the other uplink."""

    @pytest.fixture
    def more_settings(self) -> str:
        return 'rootless = "slirp4netns"\n'

    def test_the_way_out_and_a_port(self, crate: Crate, greeter: Greeter, far: Far, serve: Any) -> None:
        run(crate, "server", options=("-p", "80"))
        serve("server", 80)
        assert reaches(crate, "server", greeter)
        assert is_seen(far.ask(far.here, host_port(crate, "server", "80")), far.address)


class TestBridge:
    """`network.rootless = "bridge"`: containers are on a network of the user's own without a word."""

    @pytest.fixture
    def more_settings(self) -> str:
        return 'rootless = "bridge"\n'

    def test_it_is_the_default_and_stands_a_restart(self, crate: Crate, greeter: Greeter) -> None:
        crate.ok("run", "-d", "--name", "web", "--restart", "always", "-p", "80", IMAGE, "sleep", "1000")
        before = crate.inspect("web")["NetworkSettings"]
        assert before["IPAddress"].startswith("10.") and reaches(crate, "web", greeter)
        for count in (1, 2):
            os.kill(crate.inspect("web")["State"]["Pid"], signal.SIGKILL)
            until(
                lambda count=count: (
                    (found := crate.inspect("web"))["RestartCount"] == count  # type: ignore[misc]
                    and found["State"]["Status"] == "running"
                )
            )
        assert reaches(crate, "web", greeter)


def test_a_default_network_that_is_none(crate: Crate) -> None:
    crate.config.write_text(crate.config.read_text().replace("[network]", '[network]\nrootless = "bridges"'))
    error = crate.fails(125, "run", "--rm", IMAGE, "true")
    assert "invalid network.rootless bridges: it is one of pasta, slirp4netns, bridge, none" in error


def test_what_an_ordinary_user_cannot_have_is_told(crate: Crate) -> None:
    def refused(*words: str) -> str:
        return crate.fails(125, "run", "--rm", *words, IMAGE, "true")

    assert "sctp" in refused("--network", "one", "-p", "80/sctp")
    assert "no such network" in refused("--network", "other")
    crate.ok("network", "create", "--driver", "macvlan", "--subnet", "10.99.0.0/24", "wire")
    assert "without root: its driver macvlan" in refused("--network", "wire")
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) > 81:
        for network in ("one", "pasta"):
            error = refused("--network", network, "-p", "81:80")
            assert "net.ipv4.ip_unprivileged_port_start" in error
    run(crate, "default", network="pasta")
    assert "pasta" in crate("network", "connect", "one", "default").err


def test_unshare_goes_to_where_the_bridges_are(crate: Crate) -> None:
    run(crate, "one")
    shown = crate.ok("unshare", "--rootless-netns", "ip", "-o", "addr")
    assert f" {gateway(crate, 'one')}/" in shown
    assert "uplink" in shown
    crate.ok("rm", "-f", "-t", "0", "one")
    assert "uplink" in crate.ok("unshare", "--rootless-netns", "ip", "-o", "link")
    until(lambda: not children_of_user(crate, "passt"), what="the uplink ended with the command")


def test_a_rate_of_a_running_container_can_be_changed(crate: Crate) -> None:
    run(crate, "one", options=("--network-rate", "50mbit"))
    crate.ok("update", "--network-rate", "80mbit", "one")
    shown = crate.ok("unshare", "--rootless-netns", "tc", "qdisc", "show")
    assert "80Mbit" in shown and "50Mbit" not in shown
