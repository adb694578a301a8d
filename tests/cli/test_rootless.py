"""An ordinary user runs the same commands through the same code."""

from __future__ import annotations

import urllib.request

import pytest

from claims import free_port
from program import Crate, until

IMAGE = "crate.local/busybox"

pytestmark = pytest.mark.requires("unprivileged-user", "busybox")


@pytest.mark.parametrize(
    ("command", "status"), [(["true"], 0), (["sh", "-c", "exit 32"], 32), (["no-such"], 127), (["/etc"], 126)]
)
def test_status_of_the_command(rootless_crate: Crate, command: list[str], status: int) -> None:
    assert rootless_crate("run", "--rm", "--network", "none", IMAGE, *command).status == status


def test_user_is_root_inside_only(rootless_crate: Crate) -> None:
    assert rootless_crate.ok("run", "--rm", "--network", "none", IMAGE, "id", "-u") == "0"
    assert rootless_crate.ok("run", "--rm", "--network", "none", "--user", "1000:1000", IMAGE, "id", "-u") == "1000"
    user = rootless_crate.user
    assert user
    outside = rootless_crate.ok("run", "--rm", "--network", "none", IMAGE, "cat", "/proc/self/uid_map").split()
    assert outside[:2] == ["0", "0"] or outside[:2] == ["0", str(user.uid)]


def test_life_of_a_detached_container(rootless_crate: Crate) -> None:
    script = "echo started; exec sleep 1000"
    rootless_crate.ok("run", "-d", "--name", "one", "--network", "none", IMAGE, "sh", "-c", script)
    assert rootless_crate.ok("ps", "--format", "{{.Names}}") == "one"
    assert rootless_crate.ok("exec", "one", "echo", "inside") == "inside"
    assert rootless_crate.ok("logs", "one") == "started"
    rootless_crate.ok("stop", "-t", "0", "one")
    assert rootless_crate.inspect("one")["State"]["Status"] == "exited"
    rootless_crate.ok("rm", "one")
    assert rootless_crate.ok("ps", "-aq") == ""


@pytest.mark.requires("registry")
def test_pull(rootless_crate: Crate, busybox_image: str) -> None:
    rootless_crate.ok("pull", busybox_image)
    assert rootless_crate.ok("run", "--rm", "--network", "none", busybox_image, "echo", "pulled") == "pulled"


def test_network_of_the_host(rootless_crate: Crate) -> None:
    links = rootless_crate.ok("run", "--rm", "--network", "host", IMAGE, "ls", "/sys/class/net").split()
    assert "lo" in links


@pytest.mark.requires("pasta")
def test_network_by_pasta(rootless_crate: Crate) -> None:
    out = rootless_crate.ok("run", "--rm", "--network", "pasta", IMAGE, "ip", "-o", "addr")
    assert "scope global" in out


@pytest.mark.requires("pasta")
def test_published_port(rootless_crate: Crate) -> None:
    port = free_port()
    serve = ["sh", "-c", "echo served > /tmp/index.html; exec httpd -f -p 8000 -h /tmp"]
    rootless_crate.ok("run", "-d", "--name", "web", "-p", f"127.0.0.1:{port}:8000", IMAGE, *serve)

    def page() -> bytes:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            return b""

    assert until(page, what="the page is served") == b"served\n"


@pytest.mark.requires("delegation")
def test_limits_in_a_delegated_subtree(rootless_crate: Crate) -> None:
    show = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max"
    limits = ["-m", "128m", "--pids-limit", "100"]
    out = rootless_crate.ok("run", "--rm", "--network", "none", *limits, IMAGE, "sh", "-c", show)
    assert out.endswith("134217728\n100")
