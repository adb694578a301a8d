"""kill -9 of every process of crate at system calls all along its way; the next command must understand what is left.

strace delivers the signal at the n-th call of a kind in each process that it follows: caller, monitor and init alike.
"""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claims import free_port
from program import until

if TYPE_CHECKING:
    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox", "strace")

IMAGE = "crate.local/busybox"
#: system call -> how many of them a `run` makes in one of its processes
CALLS = {
    "symlink": 1, "fsopen": 4, "fsmount": 4, "clone3": 2, "clone": 2, "sendmsg": 4, "recvmsg": 4, "recvfrom": 10,
    "sendto": 6, "poll": 4, "write": 20, "openat": 140, "close": 140, "setsid": 2, "unlink": 4, "rmdir": 8,
    "socket": 4, "bind": 3, "listen": 2, "dup2": 4, "pidfd_open": 2, "execve": 2, "move_mount": 20, "open_tree": 8,
    "mount_setattr": 8, "pivot_root": 1, "umount2": 2, "setns": 3, "unshare": 2, "getdents64": 12, "wait4": 2,
    "flock": 3, "unlinkat": 14, "mkdir": 10, "rename": 4, "read": 100, "mount": 2, "chmod": 3,
}  # fmt: skip


def strike(crate: Crate, call: str, number: int, *arguments: str) -> None:
    """Runs crate so that each of its processes is killed at its `number`-th `call`, if it gets that far."""
    inject = f"inject={call}:signal=SIGKILL:when={number}"
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
    subprocess.run(
        [*command, *crate.command(*arguments)],
        env=crate.environment, capture_output=True, timeout=60, check=False, cwd=crate.place,
    )  # fmt: skip


def assert_in_order(crate: Crate) -> None:
    """Every command works, and nothing is left of a `run --rm` that was killed."""
    assert crate.ok("run", "--rm", IMAGE, "echo", "fine") == "fine"
    until(lambda: not crate.ok("ps", "--all", "--quiet"), what="no container")
    for directory in (
        crate.root / "containers",
        crate.root / "stage",
        crate.root / "names",
        crate.runroot / "containers",
    ):
        until(lambda directory=directory: not list(directory.iterdir()), what=f"empty: {directory}")  # type: ignore[misc]


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))])
def test_run_killed_anywhere(crate: Crate, seed: int) -> None:
    """`run --rm`, ten random places a seed."""
    crate.ok("run", "--rm", IMAGE, "true")
    chosen = random.Random(seed)
    for _ in range(10):
        call = chosen.choice(sorted(CALLS))
        number = chosen.randint(1, CALLS[call])
        strike(crate, call, number, "run", "--rm", IMAGE, "true")
        try:
            assert_in_order(crate)
        except AssertionError as error:
            raise AssertionError(f"after a kill at {call} {number}: {error}") from error


@pytest.mark.slow
@pytest.mark.parametrize("call", sorted(CALLS))
def test_run_killed_everywhere(crate: Crate, call: str) -> None:
    """`run --rm`, at every one of the calls (of frequent ones at twenty)."""
    crate.ok("run", "--rm", IMAGE, "true")
    count = CALLS[call]
    for number in range(1, count + 1, max(1, count // 20)):
        strike(crate, call, number, "run", "--rm", IMAGE, "true")
        assert_in_order(crate)


def monitor_of(crate: Crate, name: str) -> int:
    """The pid of a container's monitor: init's parent."""
    pid = crate.inspect(name)["State"]["Pid"]
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return int(file.read().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("wait_for_lean", [False, True])
def test_monitor_killed(crate: Crate, wait_for_lean: bool) -> None:
    """The container ends with its monitor, the next command records that, and it starts again."""
    crate.ok("run", "-d", "--name", "job", IMAGE, "sh", "-c", "echo said; sleep 1000")
    monitor = monitor_of(crate, "job")
    if wait_for_lean:
        until(lambda: b"tasks.resume" in Path(f"/proc/{monitor}/cmdline").read_bytes(), what="a lean monitor")
    subprocess.run(["kill", "-9", str(monitor)], check=True)
    state = until(lambda: (s := crate.inspect("job")["State"])["Status"] == "exited" and s)
    assert (state["ExitCode"], state["Running"]) == (137, False)
    assert "monitor" in state["Error"]
    assert crate.ok("logs", "job") == "said"
    crate.ok("start", "job")
    assert crate.inspect("job")["State"]["Running"]
    crate.ok("rm", "-f", "job")


@pytest.mark.requires("nft")
def test_port_of_a_start_that_was_killed_leads_nowhere(crate: Crate) -> None:
    """The monitor dies after it has published the port, at the socket for its clients."""
    port = free_port()
    crate.ok("pull", "--quiet", IMAGE)
    for options in (("--rm",), ("--name", "kept")):
        strike(crate, "listen", 1, "run", *options, "-p", f"127.0.0.1:{port}:80", IMAGE, "true")
        table = ["nft", "list", "table", "inet", f"crate_test_{crate.mark}"]
        shown = subprocess.run(table, capture_output=True, text=True, check=True).stdout
        assert "map published4" in shown and str(port) not in shown


def test_init_killed(crate: Crate) -> None:
    """A kill of the container's main process from outside is its exit status 137."""
    process = crate.popen("run", "--name", "job", IMAGE, "sleep", "1000")
    pid = until(lambda: crate("container", "inspect", "job").status == 0 and crate.inspect("job")["State"]["Pid"])
    subprocess.run(["kill", "-9", str(pid)], check=True)
    assert process.wait(60) == 137
    assert crate.inspect("job")["State"]["ExitCode"] == 137
    crate.ok("rm", "job")


def test_caller_killed(crate: Crate) -> None:
    """The container goes on without the command that started it, and its last word is in the log."""
    process = crate.popen(
        "run", "--name", "job", IMAGE, "sh", "-c", "read line; echo got $line; sleep 0.5; echo end; exit 3"
    )
    until(lambda: crate("container", "inspect", "job").status == 0 and crate.inspect("job")["State"]["Running"])
    process.kill()
    assert crate.ok("wait", "job") == "3"
    assert crate.ok("logs", "job").endswith("end")
    crate.ok("rm", "job")


def test_exec_caller_killed(crate: Crate) -> None:
    """What exec started goes on; the container is not disturbed."""
    crate.ok("run", "-d", "--name", "job", IMAGE, "sleep", "1000")
    script = "touch /begun; until test -e /go; do sleep 0.1; done; touch /done"
    process = crate.popen("exec", "job", "sh", "-c", script)
    until(lambda: crate("exec", "job", "test", "-e", "/begun").status == 0)
    process.kill()
    process.wait()
    crate.ok("exec", "job", "touch", "/go")
    until(lambda: crate("exec", "job", "test", "-e", "/done").status == 0)
    crate.ok("rm", "-f", "job")
