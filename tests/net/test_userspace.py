"""pasta and slirp4netns for an ordinary user: packets out, ports in, no process left."""

from __future__ import annotations

import json
import secrets
import subprocess
import tempfile
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from crate.errors import HostError, UsageError
from crate.net import sandbox
from crate.net.rootless import pasta, slirp, userspace_process
from crate.settings import Settings
from program import until

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parent.parent.parent

# The owner of a sandbox, as root of a user namespace. The machine's /dev/net/tun may be root's alone: it has its own.
OWNER = textwrap.dedent("""
    import json, os, sys
    sys.path.insert(0, sys.argv[1])
    from crate.linux.namespace import CLONE_NEWNET, unshare
    from crate.linux.process import PR_SET_PDEATHSIG, fork_child, prctl
    from crate.net import sandbox
    from crate.plan.ports import parse_publish
    from crate.errors import CrateError

    class Roots:
        graphroot = runroot = sys.argv[2]
        rootless, uid = True, 65534

    class Settings:
        def get(self, key):
            return {"network.rootless": sys.argv[3], "network.bridge": "crate0", "network.default": "podman"}[key]

    request = {"mode": "bridge", "ports": [p for text in sys.argv[4].split() for p in parse_publish(text)]}
    lease = sandbox.prepare(Roots, Settings(), request, "0123456789abcdef")
    ready, done = os.pipe(), os.pipe()

    def container():
        prctl(PR_SET_PDEATHSIG, 9)
        unshare(CLONE_NEWNET)
        os.write(ready[1], b"x")
        os.read(done[0], 1)
        os.execvp("python3", ["python3", "-u", "-c", sys.argv[5]])

    pid = fork_child(container)
    os.read(ready[0], 1)
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        sandbox.connect(lease, fd)
    except CrateError as error:
        print("error", error, flush=True)
        sys.exit(1)
    os.write(done[1], b"x")
    print(json.dumps(lease), flush=True)
    os.waitpid(pid, 0)
    helper = lease["helper_pid"]
    sandbox.release(Roots, lease)
    print("helper left" if os.path.exists(f"/proc/{helper}") else "helper gone", os.listdir(sys.argv[2]), flush=True)
""")

SERVER = """
import os, socket
socket.setdefaulttimeout(60)
server = socket.create_server(("0.0.0.0", 80))
print("ready")
connection, client = server.accept()
connection.sendall(("hello " + client[0]).encode())
connection.close()
"""

CLIENT = """
import socket
try:
    connection = socket.create_connection(("ADDRESS", PORT), 60)
    print(connection.recv(100).decode())
except OSError as error:
    print(error)
"""

needs_pasta = pytest.mark.requires("root", "unprivileged-user", "pasta")
needs_slirp = pytest.mark.requires("root", "unprivileged-user", "pasta", "slirp4netns")


class Owner:
    """A running owner and what it printed about its lease."""

    def __init__(self, place: Path, mode: str, ports: str, program: str, tun_mode: str = "666") -> None:
        directory, tun = place / "run", place / f"tun-{secrets.token_hex(2)}"
        directory.mkdir(exist_ok=True)
        directory.chmod(0o777)
        script = (
            f"mknod {tun} c 10 200 && chmod {tun_mode} {tun} && mount --bind {tun} /dev/net/tun && rm {tun} && "
            'exec setpriv --reuid=65534 --regid=65534 --clear-groups unshare -Ur python3 -I -S -c "$@"'
        )
        words = [OWNER, str(CHECKOUT / "src"), str(directory), mode, ports, program]
        self.process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", script, "sh", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def lease(self) -> dict[str, Any]:
        line = self.line()
        assert line.startswith("{"), line + "\n" + self.process.communicate()[0]
        lease: dict[str, Any] = json.loads(line)
        return lease

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that other users can reach, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="crate-test-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def ask_host(address: str, port: int) -> str:
    program = CLIENT.replace("ADDRESS", address).replace("PORT", str(port))
    return subprocess.run(["python3", "-c", program], check=True, capture_output=True, text=True).stdout.strip()


@needs_pasta
def test_a_port_published_by_pasta_keeps_the_clients_address(place: Path) -> None:
    owner = Owner(place, "pasta", "127.0.0.1::80", SERVER)
    lease = owner.lease()
    assert lease["resolver"] == pasta.RESOLVER
    assert owner.line() == "ready"
    assert ask_host("127.0.0.1", lease["ports"][0]["host_port"]) == "hello 127.0.0.1"
    assert owner.process.communicate()[0] == "helper gone []\n"
    owner.end()


@needs_slirp
def test_a_port_published_by_slirp4netns(place: Path) -> None:
    owner = Owner(place, "slirp4netns", "127.0.0.1::80", SERVER)
    lease = owner.lease()
    assert lease["endpoints"][0]["address"] == "10.0.2.100"
    assert owner.line() == "ready"
    assert ask_host("127.0.0.1", lease["ports"][0]["host_port"]) == "hello 10.0.2.2"
    assert owner.process.communicate()[0] == "helper gone []\n"
    owner.end()


class _Greeter:
    """A server on an address of this host that greets one client."""

    def __init__(self) -> None:
        import socket

        self.address = subprocess.run(
            ["hostname", "-I"], check=True, capture_output=True, text=True
        ).stdout.split()[0]  # fmt: skip
        self.server = socket.create_server((self.address, 0))
        self.server.settimeout(60)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        connection, _ = self.server.accept()
        connection.sendall(b"welcome")
        connection.close()


@pytest.mark.parametrize("mode", [pytest.param("slirp4netns", marks=needs_slirp)])
def test_a_container_reaches_a_server_of_the_host_by_its_address(place: Path, mode: str) -> None:
    greeter = _Greeter()
    program = CLIENT.replace("ADDRESS", greeter.address).replace("PORT", str(greeter.server.getsockname()[1]))
    owner = Owner(place, mode, "", program)
    owner.lease()
    assert owner.line() == "welcome"
    greeter.thread.join()
    greeter.server.close()
    owner.end()


@pytest.mark.parametrize(
    "mode", [pytest.param("pasta", marks=needs_pasta), pytest.param("slirp4netns", marks=needs_slirp)]
)
def test_the_helper_dies_with_its_owner(place: Path, mode: str) -> None:
    owner = Owner(place, mode, "", "import time; time.sleep(60)")
    helper = Path(f"/proc/{owner.lease()['helper_pid']}")
    assert helper.exists()
    owner.end()

    def is_gone() -> bool:
        try:
            return "Z" in (helper / "stat").read_text().rpartition(")")[2][:3]
        except OSError:
            return True

    until(is_gone, what=f"the end of {mode}")


@needs_pasta
def test_a_taken_port_is_an_error_before_anything_starts(place: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        owner = Owner(place, "pasta", f"127.0.0.1:{port}:80", SERVER)
        output = owner.process.communicate()[0]
    assert f"NameInUseError: cannot publish port 127.0.0.1:{port}/tcp: address already in use" in output


@needs_pasta
def test_without_a_tun_device_the_error_says_what_to_do(place: Path) -> None:
    owner = Owner(place, "pasta", "", "", tun_mode="600")
    assert "chmod 666 /dev/net/tun" in owner.process.communicate()[0]


class _Roots:
    graphroot = runroot = "/nonexistent"
    rootless = True
    uid = 1000


@pytest.mark.parametrize(("mode", "package"), [("pasta", "passt"), ("slirp4netns", "slirp4netns")])
def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch, mode: str, package: str) -> None:
    monkeypatch.setattr(userspace_process, "find_program", lambda name: "")
    settings = Settings({"network.rootless": (mode, "test")})
    with pytest.raises(HostError, match=f"no program {mode}") as failure:
        sandbox.prepare(_Roots(), settings, {"mode": "bridge"}, "0" * 64)
    assert f"apt install {package}" in (failure.value.hint or "")


def _port(host_ip: str, host_port: int, container_port: int, protocol: str) -> Any:
    return {"host_ip": host_ip, "host_port": host_port, "container_port": container_port, "protocol": protocol}


def test_the_command_line_of_pasta() -> None:
    ports = [_port("", 8080, 80, "tcp"), _port("127.0.0.1", 53, 5353, "udp")]
    words = pasta.arguments("", "eth0", ports)
    assert words[words.index("-t") + 1] == "8080:80"
    assert words[words.index("-u") + 1] == "127.0.0.1/53:5353"
    assert "--no-map-gw" in words
    words = pasta.arguments("--map-gw,-4", "eth0", [])
    assert "--no-map-gw" not in words
    assert words[words.index("-t") + 1] == "none"
    assert words[-1] == "-4"


def test_what_a_user_gives_pasta_replaces_what_crate_would() -> None:
    words = pasta.arguments("-T,8080,--ns-ifname=net0,--tcp-ports,auto,-a,10.0.0.5", "eth0", [])
    assert words.count("-T") == 1 and words[words.index("-T") + 1] == "8080"
    assert "--ns-ifname" not in words and "-t" not in words
    assert pasta.given_address("-4,-a,10.0.0.5") == "10.0.0.5"
    assert pasta.given_interface("--ns-ifname=net0") == "net0"
    for option in ("--netns,/proc/1/ns/net", "--pid=/tmp/x", "-p,/tmp/x"):
        with pytest.raises(UsageError, match="crate sets it itself"):
            pasta.arguments(option, "eth0", [])


def test_the_command_line_of_slirp4netns() -> None:
    options = slirp.parse("mtu=1500,allow_host_loopback=true,cidr=10.7.0.0/24,port_handler=rootlesskit")
    words = slirp.arguments(options, "eth0", "/run/x.sock")
    assert "--mtu=1500" in words and "--cidr=10.7.0.0/24" in words and "--api-socket=/run/x.sock" in words
    assert "--disable-host-loopback" not in words and "--enable-ipv6" in words
    assert slirp.addresses(options) == ("10.7.0.100", 24, "10.7.0.2", "10.7.0.3")
    words = slirp.arguments(slirp.parse("outbound_addr=192.0.2.1,enable_ipv6=false"), "eth0")
    assert "--outbound-addr=192.0.2.1" in words and "--enable-ipv6" not in words


@pytest.mark.parametrize(
    "text", ["speed=9", "mtu=large", "cidr=10.0.2.0/28", "cidr=fd00::/64", "enable_ipv6=perhaps", "port_handler=own"]
)
def test_wrong_options_of_slirp4netns(text: str) -> None:
    with pytest.raises(UsageError):
        slirp.parse(text)
