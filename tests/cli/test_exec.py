"""`exec`: further processes in a running container."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from program import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from program import Crate

    Exec = Callable[..., str]

IMAGE = "crate.local/busybox"

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


@pytest.fixture
def host(crate: Crate) -> str:
    """A container that runs as www-data in /tmp."""
    crate.ok(
        "run", "-d", "--name", "host", "-u", "33", "-w", "/tmp", "-e", "A=1", "--network", "none",
        IMAGE, "sleep", "1000",
    )  # fmt: skip
    return "host"


def test_inherits_from_the_container(crate: Crate, host: str) -> None:
    shown = crate.ok(
        "exec", host, "sh", "-c", "id -u; pwd; echo $A $HOME; hostname; readlink /proc/1/exe >/dev/null; ps | wc -l"
    )
    assert shown.splitlines()[:3] == ["33", "/tmp", "1 /var/www"]
    assert crate.ok("exec", host, "cat", "/proc/1/comm") == "sleep"


def test_options(crate: Crate, host: str) -> None:
    script = "id -u; id -g; pwd; echo $A $B $HOME"
    words = ("exec", "-e", "A=2", "-e", "B", "-u", "0:50", "-w", "/etc", host, "sh", "-c", script)
    assert crate.ok(*words, B="from-host") == "0\n50\n/etc\n2 from-host /root"
    assert crate.ok("exec", "-i", host, "cat", input="typed") == "typed"
    assert crate.ok("exec", host, "cat", input="not for it") == ""
    bits = crate.ok("exec", "-u", "0", host, "grep", "CapEff", "/proc/self/status").split()[1]
    every = crate.ok("exec", "-u", "0", "--privileged", host, "grep", "CapEff", "/proc/self/status").split()[1]
    assert bits == "00000000a80425fb" and int(every, 16) & int(bits, 16) == int(bits, 16) < int(every, 16)
    own = crate.ok("exec", host, "grep", "-e", "CapEff", "-e", "Seccomp:", "/proc/self/status").split()
    assert int(own[1], 16) == 0 and own[3] == "2"


def test_is_within_the_containers_limits(crate: Crate) -> None:
    crate.ok(
        "run", "-d", "--name", "small", "-m", "16m", "--pids-limit", "20", "--network", "none", IMAGE, "sleep", "1000"
    )
    result = crate("exec", "small", "sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1; echo status $?")
    assert "status 137" in result.out
    forks = crate(
        "exec", "small", "sh", "-c", "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 5 & done"
    )
    assert "fork" in forks.err
    assert crate.ok("ps", "-q")


def test_exit_statuses(crate: Crate, host: str) -> None:
    assert crate("exec", host, "sh", "-c", "exit 9").status == 9
    assert crate("exec", host, "sh", "-c", "kill -9 $$").status == 137
    assert "no-such" in crate.fails(127, "exec", host, "no-such")
    assert "/etc" in crate.fails(126, "exec", host, "/etc")
    assert "/no/where" in crate.fails(126, "exec", "-w", "/no/where", host, "true")
    assert "nobody-such" in crate.fails(125, "exec", "-u", "nobody-such", host, "true")
    assert "gone" in crate.fails(125, "exec", "gone", "true")
    assert "command" in crate.fails(125, "exec", host)
    assert "ctrl-?" in crate.fails(125, "exec", "--detach-keys", "ctrl-?", host, "true")
    crate.ok("kill", host)
    crate.ok("wait", host)
    assert "exited" in crate.fails(125, "exec", host, "true")


def test_detached(crate: Crate, host: str) -> None:
    assert crate.ok("exec", "-d", host, "sh", "-c", "echo done > /tmp/file; sleep 1000") == ""
    until(lambda: crate("exec", host, "cat", "/tmp/file").out == "done\n", what="the detached command ran")
    assert "no-such" in crate.fails(127, "exec", "-d", host, "no-such")
    assert "sleep 1000" in crate.ok("exec", host, "ps")


def test_ends_with_its_container(crate: Crate, host: str) -> None:
    running = crate.popen("exec", host, "sh", "-c", "echo ready; sleep 1000")
    assert running.stdout and running.stdout.readline() == "ready\n"
    crate.ok("kill", host)
    assert running.wait(60) == 137


def test_is_not_in_the_log(crate: Crate, host: str) -> None:
    assert crate.ok("exec", host, "echo", "aside") == "aside"
    assert crate.ok("logs", host) == ""
