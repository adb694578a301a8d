"""Standard streams and signals between the caller and the container."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from program import until

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
RUN = ("run", "--rm", "--network", "none")
BOTH = ("sh", "-c", "echo out; echo err >&2")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def test_outputs_stay_apart(crate: Crate) -> None:
    assert crate(*RUN, IMAGE, *BOTH)[1:] == ("out\n", "err\n")
    assert crate(*RUN, "-a", "stdout", IMAGE, *BOTH)[1:] == ("out\n", "")
    assert crate(*RUN, "--attach", "STDERR", IMAGE, *BOTH)[1:] == ("", "err\n")
    assert "invalid" in crate.fails(125, *RUN, "-a", "stdwrong", IMAGE, "true")
    assert "conflicting" in crate.fails(125, *RUN, "-d", "-a", "stdout", IMAGE, "true")


def test_input(crate: Crate) -> None:
    assert crate.ok(*RUN, "-i", IMAGE, "cat", input="a line\nhalf") == "a line\nhalf"
    assert crate.ok(*RUN, IMAGE, "cat", input="not for it") == ""
    assert crate.ok(*RUN, "-i", IMAGE, "true", input="x" * 1_000_000) == ""
    assert crate.ok(*RUN, "-i", "-a", "stdin", "-a", "stdout", IMAGE, "cat", input="in") == "in"


def test_input_alone(crate: Crate) -> None:
    """Nothing of the container is shown, so its id is: docker and podman."""
    shown = crate.ok("run", "--network", "none", "-a", "stdin", IMAGE, "echo", "hello")
    assert shown == crate.inspect("-l")["Id"]
    assert crate.ok("wait", shown) == "0" and crate.ok("logs", shown) == "hello"
    shown = crate.ok("run", "--network", "none", "-i", "-a", "stdin", IMAGE, "cat", input="typed")
    assert crate.ok("logs", shown) == "typed"


def test_bulk(crate: Crate) -> None:
    data = os.urandom(3_000_000)
    done = subprocess.run(
        crate.command(*RUN, "-i", IMAGE, "tee", "/dev/stderr"),
        input=data, capture_output=True, check=True, env=crate.environment, timeout=60,
    )  # fmt: skip
    assert done.stdout == data and done.stderr == data


def test_reader_that_goes_away(crate: Crate) -> None:
    running = crate.popen(
        "run", "--name", "writer", "--network", "none", IMAGE, "sh", "-c", "while echo line; do :; done"
    )
    assert running.stdout and running.stdout.readline() == "line\n"
    running.stdout.close()
    until(lambda: crate.ok("ps", "-q"), what="the container goes on")
    crate.ok("rm", "--force", "writer")
    running.wait(60)


@pytest.mark.parametrize("name", ["TERM", "HUP", "USR1", "INT"])
def test_signals_are_passed_on(crate: Crate, name: str) -> None:
    script = f"trap 'echo caught; exit 9' {name}; echo ready; while true; do sleep 0.1; done"
    running = crate.popen(*RUN, IMAGE, "sh", "-c", script)
    assert running.stdout and running.stdout.readline() == "ready\n"
    running.send_signal(getattr(signal, f"SIG{name}"))
    assert running.stdout.read() == "caught\n" and running.wait(60) == 9


def test_signals_kept_from_it(crate: Crate) -> None:
    running = crate.popen(
        "run",
        "--name",
        "calm",
        "--sig-proxy=false",
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        "echo ready; exec sleep 1000",
    )
    assert running.stdout and running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) != 0
    assert crate.inspect("calm")["State"]["Running"] is True


def test_killed_caller_leaves_the_container(crate: Crate) -> None:
    running = crate.popen(
        "run", "--name", "orphan", "--network", "none", IMAGE, "sh", "-c", "echo ready; sleep 0.5; echo later; exit 6"
    )
    assert running.stdout and running.stdout.readline() == "ready\n"
    running.kill()
    assert crate.ok("wait", "orphan") == "6"
    assert crate.ok("logs", "orphan") == "ready\nlater"


def test_detached_prints_its_id_and_lets_go(crate: Crate) -> None:
    command = crate.command("run", "-d", "--name", "bg", "--network", "none", IMAGE, "sleep", "1000")
    shown = subprocess.run(
        ["sh", "-c", '"$@" | cat', "sh", *command],
        capture_output=True, text=True, check=True, env=crate.environment, timeout=20,
    ).stdout  # fmt: skip
    assert shown.strip() == crate.inspect("bg")["Id"] and len(shown) == 65
