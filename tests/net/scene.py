"""What tests of networks are made of: bridge, table and leases of their own, namespaces as containers."""

from __future__ import annotations

import os
import secrets
import subprocess
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from crate.net import sandbox, store
from crate.plan.ports import parse_publish
from crate.settings import Settings
from wires import ends

if TYPE_CHECKING:
    from crate.net.endpoint import Attachment, Endpoint
    from crate.net.sandbox import Lease, Request
    from crate.net.store import Network

#: seconds for one command; an emulated machine is 15 to 40 times slower
PATIENCE = 300 if os.environ.get("CRATE_IN_VM") else 60


class Roots:
    """As much of storage.roots.Roots as the network knows."""

    rootless = False
    uid = 0

    def __init__(self, place: Path) -> None:
        self.graphroot, self.runroot = str(place / "root"), str(place / "run")


class Container:
    """A network namespace with a lease."""

    def __init__(self, name: str, lease: Lease) -> None:
        self.name, self.lease = name, lease

    @property
    def endpoint(self) -> Endpoint:
        """Its place on its first network."""
        return self.lease["endpoints"][0]

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Starts a command in the namespace."""
        return subprocess.Popen(
            ["ip", "netns", "exec", self.name, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str) -> str:
        """What a command in the namespace prints, its complaints included."""
        return self.start(*command).communicate(timeout=PATIENCE)[0].strip()


class Net:
    """Everything that one test may make of networks; `remove` takes it away."""

    def __init__(self, place: Path, pool: str, ipv6: str) -> None:
        mark = secrets.token_hex(3)
        self.mark, self.bridge, self.table = mark, f"ct{mark}", f"crate_test_{mark}"
        self.roots = Roots(place)
        self.lease_root = place / "leases"
        given: dict[str, tuple[bool | int | str | list[str] | dict[str, list[str]], str]] = {
            "network.bridge": (self.bridge, "test"),
            "network.table": (self.table, "test"),
            "network.address_pools": ([pool], "test"),
            "network.lease_root": (str(self.lease_root), "test"),
            "network.ipv6_subnet": (ipv6, "test"),
        }
        self.settings = Settings(given)
        self.containers: list[Container] = []
        self.namespaces: list[str] = []
        self.networks: list[Network] = []
        self.processes: list[subprocess.Popen[str]] = []

    def namespace(self, name: str = "") -> str:
        """A new network namespace."""
        name = f"ct{self.mark}-{name or len(self.namespaces)}"
        sh(f"ip netns add {name}")
        self.namespaces.append(name)
        return name

    def define(self, driver: str, subnet: str, gateway: str = "", **options: str) -> Network:
        """The record of a network, saved under a name of its own; it can be changed and saved again."""
        name = f"{driver}{self.mark}{len(self.networks)}"
        network: Network = {
            "version": 1, "name": name, "id": secrets.token_hex(32), "driver": driver, "network_interface": "",
            "created": "2026-01-01T00:00:00Z", "subnets": [], "ipv6_enabled": ":" in subnet, "internal": False,
            "dns_enabled": False, "labels": {}, "options": options, "ipam_options": {"driver": "host-local"},
        }  # fmt: skip
        if subnet:
            network["subnets"].append({"subnet": subnet, "gateway": gateway})
        os.makedirs(store.directory(self.roots), exist_ok=True)
        store.save(self.roots, network)
        self.networks.append(network)
        return network

    def request(self, *publish: str, network: str = "", **more: str) -> Request:
        """What a container asks for with these `-p` on one network: the default one, if none is named."""
        attachment: Attachment = {
            "network": network or self.bridge, "ip": "", "ip6": "", "mac": "", "aliases": [], "interface": ""
        }  # fmt: skip
        attachment.update(more)  # type: ignore[typeddict-item]
        ports = [port for text in publish for port in parse_publish(text)]
        return {"mode": "bridge", "networks": [attachment], "ports": ports}

    def container(self, *publish: str, **more: str) -> Container:
        """A namespace that went through prepare, connect and publish."""
        lease = sandbox.prepare(self.roots, self.settings, self.request(*publish, **more), secrets.token_hex(32))
        container = Container(self.namespace(), lease)
        self.containers.append(container)
        fd = os.open(f"/run/netns/{container.name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            sandbox.connect(lease, fd)
        finally:
            os.close(fd)
        sandbox.publish(lease)
        return container

    def end(self, container: Container) -> None:
        """The end of a container: release and discard."""
        self.containers.remove(container)
        sandbox.release(self.roots, container.lease)
        sandbox.discard(container.lease)

    def serve(self, container: Container, port: int = 80, protocol: str = "tcp", address: str = "0.0.0.0") -> None:
        """A server in the container that answers each client with `hello` and the client's address."""
        process = container.start(*PYTHON, SERVER, address, str(port), protocol)
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    def nft(self, *words: str) -> str:
        """What nft prints."""
        return sh("nft " + " ".join(words))

    def remove(self) -> None:
        """Takes everything away."""
        for process in self.processes:
            process.kill()
            process.wait()
        for container in list(self.containers):
            self.end(container)
        for name in self.namespaces:
            sh(f"ip netns del {name}")
        subprocess.run(["ip", "link", "del", self.bridge], check=False, capture_output=True)
        subprocess.run(["nft", "delete", "table", "inet", self.table], check=False, capture_output=True)


# Both start without the parts of Python that they do without: in an emulated machine each start would take two seconds.
PYTHON = ("python3", "-I", "-S", "-u", "-c")
SERVER = textwrap.dedent("""
    import _socket, sys
    address, port, protocol = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    server = _socket.socket(family, _socket.SOCK_STREAM if protocol == "tcp" else _socket.SOCK_DGRAM)
    server.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, protocol == "tcp")
    server.bind((address, port))
    if protocol == "tcp":
        server.listen()
    print("ready")
    while True:
        if protocol == "tcp":
            fd, client = server._accept()
            connection = _socket.socket(fileno=fd)
            connection.sendall(f"hello {client[0]}".encode())
            connection.close()
        else:
            _, client = server.recvfrom(100)
            server.sendto(f"hello {client[0]}".encode(), client)
""")

CLIENT = textwrap.dedent("""
    import _socket, sys
    address, port, protocol = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    client = _socket.socket(family, _socket.SOCK_STREAM if protocol == "tcp" else _socket.SOCK_DGRAM)
    client.settimeout(float(sys.argv[4]))
    try:
        client.connect((address, port))
        if protocol == "udp":
            client.send(b"?")
        print(client.recv(100).decode())
    except TimeoutError:
        print("timeout")
    except OSError as error:
        print(error.strerror)
""")


def ask(
    place: Container | str | None, address: str, port: int, protocol: str = "tcp", seconds: float = PATIENCE
) -> str:
    """What a server says to a client in a container, in a namespace, or (None) on this host."""
    name = place.name if isinstance(place, Container) else place
    within = ["ip", "netns", "exec", name] if name else []
    command = [*within, *PYTHON, CLIENT, address, str(port), protocol, str(seconds)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=2 * PATIENCE).stdout.strip()


def sh(command: str) -> str:
    """What a shell command prints; it must not fail."""
    done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True, timeout=2 * PATIENCE)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def host_on_the_wire(net: Net) -> str:
    """This host's address on the wire to `outside`."""
    return ends(net.mark)[0]
