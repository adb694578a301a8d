"""Terminals: -t and -i, the window's size, control keys, detaching."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from program import Crate, until

if TYPE_CHECKING:
    from terminal import Spawn

IMAGE = "crate.local/busybox"
PROMPT = "/ # "

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def test_shell(crate: Crate, spawn: Spawn) -> None:
    terminal = spawn("run", "--rm", "-it", "--network", "none", IMAGE, "sh", rows=30, columns=100)
    terminal.expect(PROMPT)
    terminal.type("stty size; tty; echo TERM=$TERM\n")
    shown = terminal.expect("TERM=xterm")
    assert "30 100" in shown and "/dev/pts/0" in shown
    terminal.resize(40, 120)
    terminal.type("trap 'stty size' WINCH; stty size\n")
    terminal.expect("40 120")
    terminal.type("sh -c 'echo begi\"\"n; exec sleep 1000'\n")  # in the foreground before it says so
    terminal.expect("begin")
    terminal.type("\x03")
    terminal.expect(PROMPT)
    terminal.type("exit 7\n")
    assert terminal.end()[0] == 7


def test_detach_and_come_back_by_exec(crate: Crate, spawn: Spawn) -> None:
    terminal = spawn("run", "-it", "--name", "tt", "--network", "none", IMAGE, "sh")
    terminal.expect(PROMPT)
    terminal.type("\x10\x11")
    assert terminal.end()[0] == 0
    assert crate.ok("ps", "--format", "{{.Names}} {{.State}}") == "tt running"
    inside = spawn("exec", "-it", "--detach-keys", "ctrl-a,x", "tt", "sh", rows=33, columns=99)
    inside.expect(PROMPT)
    inside.type("stty size; \x10\x11echo $((20 + 22))\n")
    inside.expect("33 99")
    inside.expect("42")
    inside.type("\x01x")
    assert inside.end()[0] == 0
    assert "BusyBox" in crate.ok("logs", "tt")


def test_signals_of_the_terminal_without_stdin(crate: Crate, spawn: Spawn) -> None:
    script = "trap 'echo caught; exit 4' INT; echo ready; while true; do sleep 0.1; done"
    terminal = spawn("run", "--rm", "-t", "--network", "none", IMAGE, "sh", "-c", script)
    terminal.expect("ready")
    terminal.type("\x03")
    status, shown = terminal.end()
    assert status == 4 and "caught" in shown


def test_closed_terminal_leaves_the_container(crate: Crate, spawn: Spawn) -> None:
    terminal = spawn(
        "run", "-it", "--name", "tt", "--network", "none", IMAGE, "sh", "-c", "echo ready; exec sleep 1000"
    )
    terminal.expect("ready")
    terminal.hang_up()
    until(lambda: _has_ended(terminal.pid), what="the caller goes with its terminal")
    assert crate.inspect("tt")["State"]["Running"] is True


def test_create_and_start_on_a_terminal(crate: Crate, spawn: Spawn) -> None:
    crate.ok("create", "-it", "--name", "tt", "--network", "none", IMAGE, "sh")
    terminal = spawn("start", "-ai", "tt")
    terminal.expect(PROMPT)
    terminal.type("tty; exit 3\n")
    terminal.expect("/dev/pts/0")
    assert terminal.end()[0] == 3


def _has_ended(pid: int) -> bool:
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


def test_input_that_is_no_terminal(crate: Crate) -> None:
    result = crate("run", "--rm", "-it", "--network", "none", IMAGE, "cat", input="typed\n")
    assert result.status == 0 and "not a TTY" in result.err
    assert result.out.replace("\r", "").splitlines() == ["typed", "typed"]  # the terminal's echo, and cat's
    assert crate("run", "--rm", "-t", "--network", "none", IMAGE, "echo", "hi")[1:] == ("hi\n", "")


def test_end_of_input_that_is_no_terminal(crate: Crate) -> None:
    """podman waits for ever here, docker refuses: crate types ctrl-d, as script(1) does."""
    result = crate("run", "--rm", "-it", "--network", "none", IMAGE, "sh", input="echo $((40 + 2)); exit 3\n")
    assert result.status == 3 and "42" in result.out.split()
    assert crate("run", "--rm", "-it", "--network", "none", IMAGE, "sh", input="").status == 0
    assert crate.ok("run", "--rm", "-it", "--network", "none", IMAGE, "cat", input="no end") == "no endno end"


def test_size_from_the_first_moment(crate: Crate, spawn: Spawn) -> None:
    terminal = spawn("run", "--rm", "-it", "--network", "none", IMAGE, "stty", "size", rows=41, columns=123)
    status, shown = terminal.end()
    assert (status, shown.strip()) == (0, "41 123")


def test_signal_to_the_caller_is_for_the_caller(crate: Crate, spawn: Spawn) -> None:
    terminal = spawn("run", "-it", "--name", "tt", "--network", "none", IMAGE, "sh")
    terminal.expect(PROMPT)
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.end()[0] == -signal.SIGTERM
    assert crate.inspect("tt")["State"]["Running"] is True
