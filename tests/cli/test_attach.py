"""`attach`: joining a container that runs, leaving it and coming back; clients that do not read."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import termios
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from program import Crate, until

if TYPE_CHECKING:
    from pathlib import Path

    from terminal import Spawn

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")
PROMPT = "/ # "
ECHO = "echo ready; while read line; do echo got $line; [ $line = end ] && exit 5; done; echo closed"

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def test_output_status_and_streams(crate: Crate) -> None:
    script = "read line; echo out $line; echo err >&2; exit 7"
    crate.ok("run", "-d", "-i", "--name", "one", *NONE, IMAGE, "sh", "-c", script)
    assert crate("attach", "one", input="typed\n") == (7, "out typed\n", "err\n")
    assert "only attach to running" in crate.fails(125, "attach", "one")
    assert "no container" in crate.fails(125, "attach", "nobody")
    assert "name or id" in crate.fails(125, "attach")


def test_input_that_ends_does_not_end_a_detached_container(crate: Crate) -> None:
    crate.ok("run", "-d", "-i", "--name", "one", *NONE, IMAGE, "sh", "-c", ECHO)
    crate.await_line("one", "ready")
    first = crate.popen("attach", "one")
    first.stdin.write("once\n")  # type: ignore[union-attr]
    first.stdin.close()  # type: ignore[union-attr]
    crate.await_line("one", "got once")
    assert crate("container", "attach", "--latest", input="end\n").status == 5
    assert first.wait(60) == 5


def test_input_that_ends_ends_that_of_a_created_container(crate: Crate) -> None:
    crate.ok("create", "-i", "--name", "one", *NONE, IMAGE, "sh", "-c", ECHO)
    crate.ok("start", "one")
    crate.await_line("one", "ready")
    assert crate("attach", "one", input="once\n") == (0, "got once\nclosed\n", "")


def test_several_clients(crate: Crate) -> None:
    crate.ok("run", "-d", "-i", "--name", "one", *NONE, IMAGE, "sh", "-c", ECHO)
    crate.await_line("one", "ready")
    watching = [crate.popen("attach", "--no-stdin", "one") for _ in range(3)]
    typing = crate.popen("attach", "one")
    until(lambda: _clients(crate, "one") >= 4)
    typing.stdin.write("a\nend\n")  # type: ignore[union-attr]
    typing.stdin.flush()  # type: ignore[union-attr]
    for client in [*watching, typing]:
        assert client.stdout.read() == "got a\ngot end\n"  # type: ignore[union-attr]
        assert client.wait(60) == 5


def test_signals(crate: Crate) -> None:
    script = "trap 'echo caught' HUP; trap 'exit 6' TERM; echo ready; while true; do sleep 0.05; done"
    crate.ok("run", "-d", "--name", "one", *NONE, IMAGE, "sh", "-c", script)
    crate.await_line("one", "ready")
    alone = crate.popen("attach", "--sig-proxy=false", "one")
    passing = crate.popen("attach", "one")
    until(lambda: _clients(crate, "one") >= 2)
    until(lambda: _catches(passing.pid, signal.SIGHUP), what="its handlers are there")
    alone.send_signal(signal.SIGTERM)
    assert alone.wait(60) != 6
    passing.send_signal(signal.SIGHUP)
    crate.await_line("one", "caught")
    passing.send_signal(signal.SIGTERM)
    assert passing.wait(60) == 6


def test_detach_and_attach_again(crate: Crate, spawn: Spawn) -> None:
    crate.ok("run", "-dit", "--name", "tt", *NONE, IMAGE, "sh")
    for _ in range(2):
        terminal = spawn("attach", "tt")
        terminal.type("\n")
        terminal.expect(PROMPT)
        terminal.type("\x10\x11")
        assert terminal.end()[0] == 0
    other = spawn("attach", "--detach-keys", "ctrl-a,x", "tt", rows=31, columns=77)
    other.type("echo $((20 + 22)); stty size\n")
    other.expect("42")
    other.expect("31 77")
    newest = spawn("attach", "tt", rows=22, columns=66)
    newest.type("stty size\n")
    newest.expect("22 66")
    newest.resize(44, 55)
    newest.type("stty size\n")
    newest.expect("44 55")
    other.type("\x01x")
    assert other.end()[0] == 0
    newest.type("exit 9\n")
    assert newest.end()[0] == 9


def test_a_held_back_key_reaches_the_container_at_the_end(crate: Crate) -> None:
    crate.ok("run", "-dit", "--name", "tt", *NONE, IMAGE, "sh", "-c", "stty raw -echo; echo ready; od -An -tx1 -N 2")
    crate.await_line("tt", "ready")
    result = crate("attach", "tt", input="a\x10")
    assert result.out.split() == ["61", "10"]


@pytest.mark.parametrize("name", ["TERM", "HUP", "INT", "QUIT", "USR1"])
def test_terminal_is_given_back(crate: Crate, spawn: Spawn, name: str) -> None:
    terminal = spawn("run", "-it", "--name", "tt", *NONE, IMAGE, "sh", "-c", "echo ready; exec sleep 1000")
    before = termios.tcgetattr(terminal.fd)
    terminal.expect("ready")
    until(lambda: not termios.tcgetattr(terminal.fd)[3] & termios.ICANON, what="the terminal is raw")
    os.kill(terminal.pid, getattr(signal, f"SIG{name}"))
    assert terminal.end()[0] == -getattr(signal, f"SIG{name}")
    assert before[3] & termios.ICANON and termios.tcgetattr(terminal.fd)[3] & termios.ICANON
    assert crate.inspect("tt")["State"]["Running"] is True


@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is missing")
def test_under_tmux(crate: Crate, tmp_path: Path) -> None:
    def tmux(*words: str) -> str:
        command = ["tmux", "-f", "/dev/null", "-S", str(tmp_path / "tmux"), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=crate.environment).stdout

    def shows(text: str) -> bool:
        return text in tmux("capture-pane", "-p")

    line = shlex.join(crate.command("run", "--rm", "-it", *NONE, IMAGE, "sh"))
    after = "echo ended $?; stty -a; exec cat"
    tmux("new-session", "-d", "-x", "90", "-y", "28", "sh", "-c", f"{line}; {after}")
    try:
        until(lambda: shows(PROMPT.strip()))
        tmux("send-keys", "stty size", "Enter")
        until(lambda: shows("27 90") or shows("28 90"))
        tmux("resize-window", "-x", "70", "-y", "20")
        tmux("send-keys", "stty size", "Enter")
        until(lambda: shows("19 70") or shows("20 70"))
        tmux("send-keys", "exit 5", "Enter")
        until(lambda: shows("ended 5"))
        until(lambda: shows(" icanon") and shows(" echo "))
    finally:
        tmux("kill-server")


def test_terminal_while_stopped(crate: Crate, spawn: Spawn) -> None:
    terminal = spawn("run", "--rm", "-it", *NONE, IMAGE, "sh")
    terminal.expect(PROMPT)

    def is_raw() -> bool:
        return not termios.tcgetattr(terminal.fd)[3] & termios.ICANON

    until(is_raw, what="the terminal is raw")
    os.kill(terminal.pid, signal.SIGTSTP)
    until(lambda: _state(terminal.pid) == "T" and not is_raw(), what="stopped, with a terminal for its shell")
    os.kill(terminal.pid, signal.SIGCONT)
    until(is_raw, what="raw again")
    terminal.type("exit 3\n")
    assert terminal.end()[0] == 3


def test_a_stopped_client_does_not_hold_the_container_up(crate: Crate) -> None:
    script = "read go; dd if=/dev/zero bs=1M count=8 2>/dev/null | tr '\\0' x; echo; echo written >&2; read go"
    crate.ok("run", "-d", "-i", "--name", "one", *NONE, IMAGE, "sh", "-c", script)
    client = crate.popen("attach", "--no-stdin", "one")
    until(lambda: _clients(crate, "one"))
    client.send_signal(signal.SIGSTOP)
    until(lambda: _state(client.pid) == "T")
    typing = crate.popen("attach", "one")
    typing.stdin.write("go\n")  # type: ignore[union-attr]
    typing.stdin.flush()  # type: ignore[union-attr]
    until(lambda: "written" in crate("logs", "--tail", "1", "one").err, what="the container goes on")
    client.send_signal(signal.SIGCONT)
    crate.ok("kill", "one")
    out, err = client.communicate(timeout=60)
    assert client.returncode == 137
    assert "were skipped" in err and len(out) < 8 << 20


@pytest.mark.slow
def test_a_stopped_caller_does_not_hold_the_container_up_for_long(crate: Crate) -> None:
    script = "read go; dd if=/dev/zero bs=1M count=8 2>/dev/null | tr '\\0' x; echo; echo written >&2; sleep 1000"
    caller = crate.popen("run", "-i", "--name", "one", *NONE, IMAGE, "sh", "-c", script)
    until(lambda: crate.ok("ps", "-q"))
    caller.send_signal(signal.SIGSTOP)
    typing = crate.popen("attach", "one")
    typing.stdin.write("go\n")  # type: ignore[union-attr]
    typing.stdin.flush()  # type: ignore[union-attr]
    until(lambda: "written" in crate("logs", "--tail", "1", "one").err, what="the container goes on")
    crate.ok("kill", "one")
    assert crate.ok("wait", "one") == "137"
    time.sleep(12)  # its monitor gives up too
    caller.send_signal(signal.SIGCONT)
    out, err = caller.communicate(timeout=60)
    assert caller.returncode == 125 and "were skipped" in err and out.startswith("x")


def test_a_slow_pipe_gets_every_byte(crate: Crate) -> None:
    script = "dd if=/dev/zero bs=1M count=6 2>/dev/null | tr '\\0' x; printf end"
    command = crate.command("run", "--rm", *NONE, IMAGE, "sh", "-c", script)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=crate.environment) as running:
        assert running.stdout
        assert running.stdout.read(3) == b"xxx"
        until(lambda: crate.ok("ps", "-q"))
        time.sleep(1.5)  # longer than the monitor waits before it looks at what is behind
        rest = running.stdout.read()
        assert running.wait(60) == 0
    assert len(rest) == (6 << 20) and rest.endswith(b"end")


@pytest.mark.requires("unprivileged-user")
def test_as_an_ordinary_user(rootless_crate: Crate) -> None:
    options = ("--name", "one", "--log-driver", "k8s-file", *NONE)
    rootless_crate.ok("run", "-d", "-i", *options, IMAGE, "sh", "-c", ECHO)
    rootless_crate.await_line("one", "ready")
    assert rootless_crate("attach", "one", input="end\n") == (5, "got end\n", "")
    assert rootless_crate.ok("logs", "-f", "--tail", "1", "one") == "got end"


def _clients(crate: Crate, name: str) -> int:
    """How many clients the monitor of a detached container serves: its sockets, less the one that listens."""
    monitor = crate.inspect(name)["State"]["ConmonPid"]
    found = 0
    for fd in os.listdir(f"/proc/{monitor}/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile
            found += os.readlink(f"/proc/{monitor}/fd/{fd}").startswith("socket:")
    return found - 1


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]


def _catches(pid: int, number: int) -> bool:
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        mask = next(int(line.split()[1], 16) for line in file if line.startswith("SigCgt"))
    return bool(mask >> (number - 1) & 1)
