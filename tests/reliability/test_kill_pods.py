"""kill -9 of the processes of a pod, and of the commands on pods at system calls along their way."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from program import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox", "strace")

IMAGE = "crate.local/busybox"
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 14))]
SLEEP = (IMAGE, "sleep", "1000")
#: system call -> how many of them `pod create` makes about
CREATE = {
    "mkdir": 4, "rename": 4, "symlink": 1, "fsync": 4, "openat": 120, "flock": 4, "write": 8, "fsmount": 1,
    "close": 120,
}  # fmt: skip
#: of `run --pod`, in caller, monitors, sandbox and container
RUN = {
    "clone3": 4, "sendmsg": 6, "recvmsg": 6, "rename": 8, "setns": 6, "unshare": 4, "execve": 4, "pwrite64": 1,
    "unlink": 6, "mkdir": 12, "openat": 200, "flock": 8, "poll": 4,
}  # fmt: skip
REMOVE = {"rename": 4, "unlink": 8, "rmdir": 12, "flock": 4, "pidfd_send_signal": 3, "openat": 150}


@pytest.fixture
def pod(crate: Crate) -> Iterator[Crate]:
    """crate with a pod `p` of two containers that run."""
    crate.ok("pod", "create", "--name", "p")
    for name in ("one", "two"):
        crate.ok("run", "-d", "--pod", "p", "--name", name, *SLEEP)
    yield crate
    crate.ok("pod", "rm", "-af")


def state(crate: Crate) -> str:
    return str(json.loads(crate.ok("pod", "inspect", "p"))["State"])


def sandbox(crate: Crate) -> dict[str, int]:
    found: dict[str, int] = crate.inspect(json.loads(crate.ok("pod", "inspect", "p"))["InfraContainerID"])["State"]
    return found


def test_monitor_of_a_paused_sandbox_killed(pod: Crate) -> None:
    pod.ok("pod", "pause", "p")
    os.kill(sandbox(pod)["ConmonPid"], signal.SIGKILL)
    until(lambda: state(pod) == "Exited", what="every container has ended")


@pytest.mark.parametrize("who", ["Pid", "ConmonPid"])
def test_sandbox_killed(pod: Crate, who: str) -> None:
    """With the sandbox, or its monitor, the containers end: their address and ports are others' now."""
    os.kill(sandbox(pod)[who], signal.SIGKILL)
    until(lambda: state(pod) == "Exited", what="every container has ended")
    assert pod.inspect("one")["State"]["ExitCode"] == 137
    pod.ok("start", "two")
    assert state(pod) == "Degraded" and "127.0.0.1\ttwo" in pod.ok("exec", "two", "cat", "/etc/hosts")
    pod.ok("pod", "start", "p")
    assert state(pod) == "Running"


def test_restart_policy_brings_the_sandbox_back(crate: Crate) -> None:
    crate.ok("pod", "create", "--name", "p", "--restart", "always")
    for name in ("one", "two"):
        crate.ok("run", "-d", "--pod", "p", "--name", name, *SLEEP)
    before = sandbox(crate)["Pid"]
    os.kill(before, signal.SIGKILL)
    until(lambda: sandbox(crate)["Pid"] not in (0, before) and state(crate) == "Running", what="all run again")
    crate.ok("pod", "rm", "-f", "p")


def test_monitor_of_a_container_killed(pod: Crate) -> None:
    """The others go on."""
    os.kill(pod.inspect("one")["State"]["ConmonPid"], signal.SIGKILL)
    until(lambda: state(pod) == "Degraded", what="one has ended")
    assert pod.ok("exec", "two", "echo", "on") == "on"


def test_everything_killed_and_the_run_root_lost(pod: Crate) -> None:
    """As after a power cut: nothing runs, the run root is of another boot, and the pod starts."""
    for name in ("one", "two"):
        os.kill(pod.inspect(name)["State"]["ConmonPid"], signal.SIGKILL)
    os.kill(sandbox(pod)["ConmonPid"], signal.SIGKILL)
    boot = pod.runroot / "boot"
    boot.unlink()
    boot.symlink_to("00000000-another-boot")
    assert state(pod) in ("Created", "Exited", "Stopped")
    pod.ok("pod", "start", "p")
    assert state(pod) == "Running" and pod.ok("exec", "one", "hostname") == "p"


def strike(crate: Crate, call: str, number: int, *arguments: str) -> None:
    """Kills each process of the command at its `number`-th `call`. strace (-D) is no child that would be waited for:
    a sandbox lives on."""
    inject = f"inject={call}:signal=SIGKILL:when={number}"
    command = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
    subprocess.run(
        [*command, *crate.command(*arguments)], env=crate.environment, timeout=60, check=False, cwd=crate.place,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _draw(calls: dict[str, int], seed: int, count: int) -> list[tuple[str, int]]:
    chosen = random.Random(seed)
    names = [chosen.choice(sorted(calls)) for _ in range(count)]
    return [(name, chosen.randint(1, calls[name])) for name in names]


@pytest.mark.parametrize("seed", SEEDS)
def test_create_killed_anywhere(crate: Crate, seed: int) -> None:
    """Either there is no pod, or one that starts."""
    crate.ok("run", "--rm", IMAGE, "true")
    for call, number in _draw(CREATE, seed, 3):
        strike(crate, call, number, "pod", "create", "--name", "p")
        if crate("pod", "exists", "p").status == 0:
            assert crate.ok("run", "--rm", "--pod", "p", IMAGE, "hostname") == "p", f"{call} {number}"
        crate.ok("pod", "rm", "-af")
        assert crate.ok("ps", "-aq") == "", f"{call} {number}"


@pytest.mark.parametrize("seed", SEEDS)
def test_run_killed_anywhere(crate: Crate, seed: int) -> None:
    """The first container of a pod, which starts the sandbox: the next one finds its pod in order."""
    crate.ok("run", "--rm", IMAGE, "true")
    for call, number in _draw(RUN, seed, 3):
        crate.ok("pod", "create", "--name", "p")
        strike(crate, call, number, "run", "--rm", "--pod", "p", IMAGE, "true")
        assert crate.ok("run", "--rm", "--pod", "p", IMAGE, "hostname") == "p", f"{call} {number}"
        crate.ok("pod", "rm", "-f", "p")
        assert crate.ok("ps", "-aq") == "", f"{call} {number}"


@pytest.mark.parametrize("seed", SEEDS)
def test_remove_killed_anywhere(crate: Crate, seed: int) -> None:
    """What is left of the pod is removed by the next try."""
    for call, number in _draw(REMOVE, seed, 3):
        crate.ok("pod", "create", "--name", "p")
        crate.ok("run", "-d", "--pod", "p", *SLEEP)
        strike(crate, call, number, "pod", "rm", "-f", "p")
        assert crate("pod", "rm", "-f", "p").status == 0, f"{call} {number}"
        assert crate.ok("ps", "-aq") == "" and crate.ok("pod", "ps", "-q") == "", f"{call} {number}"
