"""Networks beside the firewalls of others: a real dockerd and a real firewalld, each on a host that is a namespace."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from program import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from program import Crate

IMAGE = "crate.local/busybox"
SERVER = ("sh", "-c", "mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www")
OUTSIDE, INSIDE = "198.18.0.2", "198.18.0.1"

pytestmark = [pytest.mark.requires("root", "overlay", "busybox", "nft"), pytest.mark.usefixtures("busybox")]


class Host:
    """A network and mount namespace with a wire to another network namespace, which is the world."""

    def __init__(self, crate: Crate) -> None:
        self._crate = crate
        self.table = f"crate_test_{crate.mark}"
        self._processes: list[subprocess.Popen[str]] = []
        self.own = self._holder("unshare", "--net", "--mount")
        self.world = self._holder("unshare", "--net")
        self.run(
            "sh", "-ec",
            "mkdir -p /run/docker /run/dbus /run/firewalld; for at in docker dbus firewalld; do mount -t tmpfs tmpfs"
            " /run/$at; done; umount /sys/fs/cgroup/unified 2>/dev/null || true;"
            f" ip link set lo up; ip link add wire type veth peer name eth0 netns {self.world};"
            f" ip addr add {INSIDE}/24 dev wire; ip link set wire up; ip route add default via {OUTSIDE};"
            " echo 0 > /proc/sys/net/ipv4/ip_forward",  # docker changes the policy only where it turns this on
        )  # fmt: skip
        self.run(
            "sh", "-ec", f"ip link set lo up; ip addr add {OUTSIDE}/24 dev eth0; ip link set eth0 up", pid=self.world
        )

    def _holder(self, *command: str) -> int:
        process = subprocess.Popen([*command, "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        assert process.stdout and process.stdout.readline()
        return process.pid

    def command(self, *command: str, pid: int = 0) -> list[str]:
        """A command on this host, or in the world."""
        where = ["--net"] if pid == self.world else ["--net", "--mount"]
        return ["nsenter", "--target", str(pid or self.own), *where, *command]

    def start(self, *command: str) -> None:
        """Starts a service."""
        quiet = subprocess.DEVNULL
        self._processes.append(subprocess.Popen(self.command(*command), stdout=quiet, stderr=quiet, text=True))

    def run(self, *command: str, pid: int = 0) -> str:
        """What a command prints; it must not fail."""
        done = subprocess.run(self.command(*command, pid=pid), check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def crate(self, *arguments: str) -> str:
        """crate on this host."""
        return self.run(*self._crate.command(*arguments)).strip()

    def fetch(self, address: str, port: int) -> str:
        """A page as the world gets it."""
        command = self.command("curl", "-s", "-m", "10", f"http://{address}:{port}/", pid=self.world)
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()

    def close(self) -> None:
        """Ends it all."""
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def host(crate: Crate) -> Iterator[Host]:
    made = Host(crate)
    yield made
    crate("rm", "--all", "--force", "--time", "0")
    made.close()


def start_dockerd(host: Host, place: Path) -> None:
    host.start(
        "dockerd", "--data-root", str(place / "docker"), "--exec-root", "/run/docker/exec", "--pidfile",
        "/run/docker/pid", "-H", "unix:///run/docker/sock",
    )  # fmt: skip
    until(lambda: "-P FORWARD DROP" in host.run("iptables", "-S"), what="docker's policy")


def reach_out(host: Host, container: str) -> None:
    """A container reaches the world, which only forwarded packets do, and the world a published port of it."""
    host.crate("exec", container, "ping", "-c", "1", "-W", "30", OUTSIDE)
    port = int(host.crate("port", container, "80").splitlines()[0].rpartition(":")[2])
    until(lambda: host.fetch(INSIDE, port) == "served", what="the page in the world")


@pytest.mark.requires("dockerd")
def test_a_dockerd_whose_policy_is_to_drop(host: Host, tmp_path: Path) -> None:
    start_dockerd(host, tmp_path)
    host.crate("run", "-d", "--name", "first", "-p", "80", IMAGE, *SERVER)
    host.crate("network", "create", "back")
    host.crate("run", "-d", "--name", "second", "--network", "back", "-p", "80", IMAGE, *SERVER)
    for name in ("first", "second"):
        reach_out(host, name)
    host.run("iptables", "-F", "DOCKER-USER")
    host.run("nft", "flush", "table", "inet", host.table)
    host.crate("network", "reload")
    for name in ("first", "second"):
        reach_out(host, name)


@pytest.mark.requires("firewalld")
def test_firewalld(host: Host) -> None:
    host.start("dbus-daemon", "--system", "--nofork", "--nopidfile")
    until(lambda: host.run("sh", "-c", "ls /run/dbus") == "system_bus_socket\n", what="the bus")
    host.start("firewalld", "--nofork", "--nopid")

    def running() -> bool:
        done = subprocess.run(host.command("firewall-cmd", "--state"), check=False, capture_output=True, text=True)
        return done.returncode == 0

    until(running, what="firewalld runs")
    host.crate("run", "-d", "--name", "web", "-p", "80", IMAGE, *SERVER)
    reach_out(host, "web")
