"""What a container or a stranger may do to crate's own processes and files, and to who reads its words."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crate.engine.monitor import wire
from program import until

if TYPE_CHECKING:
    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox")
DETACHED = ("run", "-d", "--network", "none")


def run_directory(crate: Crate) -> Path:
    """That of the one container."""
    (directory,) = (crate.runroot / "containers").iterdir()
    return directory


@pytest.mark.parametrize("packet", [b"H{", b"H[]", b"H1", b"H\xff", b"wx y", b"w1", b"i", b"z", b"\0", b"x{}"])
def test_nonsense_on_the_socket_ends_nothing(crate: Crate, busybox: str, packet: bytes) -> None:
    crate.ok(*DETACHED, "--name", "calm", busybox, "sleep", "60")
    client = wire.connect(str(run_directory(crate) / "attach.sock"))
    client.send(packet)
    assert crate.ok("exec", "calm", "echo", "alive") == "alive"
    client.close()
    assert crate.ok("ps", "--format", "{{.Names}}") == "calm"


def test_records_are_for_their_owner_alone(crate: Crate, busybox: str) -> None:
    crate.ok(*DETACHED, "--env", "SECRET=1", busybox, "sleep", "60")
    for parent in (crate.root / "containers", crate.runroot / "containers"):
        assert stat.S_IMODE(parent.stat().st_mode) == 0o700
    for name in ("state.json", "attach.sock"):
        assert stat.S_IMODE((run_directory(crate) / name).stat().st_mode) == 0o600
    (record,) = crate.root.glob("containers/*/container.json")
    assert stat.S_IMODE(record.stat().st_mode) == 0o600


def test_survivor_in_a_shared_pid_namespace_holds_up_nobody(crate: Crate, busybox: str) -> None:
    crate.ok(*DETACHED, "--name", "parent", "--pid", "host", busybox, "sh", "-c", "yes & sleep 0.2; exit 3")
    assert crate.ok("wait", "parent") == "3"
    assert crate.ok("rm", "parent") == "parent"


def test_survivor_of_an_exec_holds_up_nobody(crate: Crate, busybox: str) -> None:
    crate.ok(*DETACHED, "--name", "host", busybox, "sleep", "60")
    assert crate("exec", "host", "sh", "-c", "yes & sleep 0.1; exit 4").status == 4


def test_more_clients_than_descriptors_cost_nothing(crate: Crate, busybox: str) -> None:
    limited = ["prlimit", "--nofile=48", *crate.command(*DETACHED, "--name", "busy", busybox, "sleep", "60")]
    subprocess.run(limited, check=True, capture_output=True, env=crate.environment, timeout=60)
    (monitor,) = until(lambda: _monitors(crate))
    clients = []
    for _ in range(60):
        clients.append(wire.connect(str(run_directory(crate) / "attach.sock")))
    before = _ticks(monitor)
    time.sleep(1)
    assert _ticks(monitor) - before < 30  # of 100
    crate.ok("stop", "--time", "0", "busy")
    assert crate.inspect("busy")["State"]["Error"] == ""
    for client in clients:
        client.close()


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return int(fields[11]) + int(fields[12])


def test_output_without_line_ends(crate: Crate, busybox: str) -> None:
    crate.ok(*DETACHED, "--name", "loud", busybox, "sh", "-c", "head -c 5000000 /dev/zero; sleep 60")
    (monitor,) = until(lambda: _monitors(crate))
    until(lambda: sum(log.stat().st_size for log in crate.root.glob("containers/*/*-json.log*")) > 1000)
    assert _resident_kib(monitor) < 40_000


def _monitors(crate: Crate) -> list[int]:
    lean = f"tasks.resume.*{crate.runroot}"
    told = subprocess.run(["pgrep", "-f", lean], capture_output=True, text=True, check=False)
    return [int(word) for word in told.stdout.split()]


def _resident_kib(pid: int) -> int:
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def test_log_lines_cannot_be_forged(crate: Crate, busybox: str) -> None:
    forged = '{"log":"forged\\\\n","stream":"stderr","time":"2020-01-01T00:00:00Z"}'
    crate.ok("run", "--name", "liar", "--network", "none", busybox, "printf", f'x"}}\\n{forged}\\n')
    result = crate("logs", "liar")
    assert result.err == "" and result.out.count("\n") == 2


def test_twenty_starts_and_removals_at_once(crate: Crate, busybox: str) -> None:
    crate.ok("create", "--name", "one", "--network", "none", busybox, "sleep", "60")
    starts = [crate.popen("start", "one") for _ in range(20)]
    assert [process.communicate(timeout=60)[1] for process in starts] == [""] * 20
    removals = [crate.popen("rm", "--force", "--time", "0", "one") for _ in range(20)]
    said = {process.communicate(timeout=60)[1].strip() for process in removals}
    assert said <= {"", "Error: no such container: one"}, said
    assert crate.ok("ps", "--all", "--quiet") == ""


def test_who_waits_for_a_stopped_command_is_told(crate: Crate, busybox: str) -> None:
    crate.ok("create", "--name", "one", "--network", "none", busybox, "sleep", "60")
    directory = crate.inspect("one")["StaticDir"]
    holder = subprocess.Popen(["flock", directory, "sleep", "60"], start_new_session=True)
    until(lambda: subprocess.run(["flock", "--nonblock", directory, "true"], check=False).returncode)
    holder.send_signal(signal.SIGSTOP)
    try:
        waiting = crate.popen("start", "one")
        assert waiting.stderr
        said = waiting.stderr.readline()
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()
    assert said.startswith(f"waiting for {directory}: ") and f"kill -CONT {holder.pid}" in said
    assert waiting.wait(timeout=60) == 0
    assert crate.ok("ps", "--format", "{{.Names}}") == "one"


def test_one_of_twenty_gets_the_name(crate: Crate, busybox: str) -> None:
    runs = [crate.popen(*DETACHED, "--name", "mine", busybox, "sleep", "60") for _ in range(20)]
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in runs]
    assert [status for _, status in ended].count(0) == 1
    assert all("already in use" in said for said, status in ended if status)


@pytest.mark.parametrize(
    "words",
    [
        ("container", "inspect", "\x1b[2Jname"),
        ("run", "--rm", "--network", "none", "crate.local/busybox", "\x1b]0;title\x07"),
        ("run", "--rm", "--name", "\x1b[31m", "crate.local/busybox"),
        ("run", "--rm", "--hostname", "a\x1b[31m", "crate.local/busybox"),
        ("volume", "inspect", "x\x9by"),
    ],
)
def test_errors_do_not_steer_terminals(crate: Crate, busybox: str, words: tuple[str, ...]) -> None:
    result = crate(*words)
    assert result.status and "\\x" in result.err
    assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in result.err.rstrip("\n"))


def test_files_of_etc_do_not_fill_the_run_root(crate: Crate, busybox: str) -> None:
    fill = "head -c 3000000 /dev/zero >> /etc/hosts; chmod 0 /etc/hosts; sleep 60"
    crate.ok(*DETACHED, "--name", "full", busybox, "sh", "-c", fill)
    hosts = Path(crate.inspect("full")["HostsPath"])
    until(lambda: stat.S_IMODE(hosts.stat().st_mode) == 0)
    assert hosts.stat().st_size > 3_000_000 and hosts.is_relative_to(crate.root)
    assert sum(path.stat().st_size for path in crate.runroot.rglob("*") if path.is_file()) < 100_000
    crate.ok("stop", "--time", "0", "full")
    crate.ok("start", "full")
    until(lambda: hosts.stat().st_size > 3_000_000 and stat.S_IMODE(hosts.stat().st_mode) == 0)
    crate.ok("rm", "--force", "--time", "0", "full")
    assert not hosts.exists()
