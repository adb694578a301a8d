"""kill -9 of a monitor that restarts its container, at system calls all along; what is left must be understood.

The whole life of such a monitor is traced: its first start, the end, the wait, the second start, the last end.
"""

from __future__ import annotations

import random
import subprocess
from typing import TYPE_CHECKING

import pytest

from claims import free_port
from program import until

if TYPE_CHECKING:
    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox", "strace")

IMAGE = "crate.local/busybox"
#: system call -> how many of them the monitor makes in its life, about
CALLS = {"openat": 400, "rename": 10, "unlink": 12, "poll": 12, "clone3": 2, "execve": 4, "read": 250, "write": 60}


def strike(crate: Crate, call: str, number: int, port: int) -> None:
    """Runs a container that is restarted twice; who makes the `number`-th `call` is killed, all but the caller."""
    inject = f"inject={call}:signal=SIGKILL:when={number}"
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
    options = ("-d", "--name", "job", "--restart", "on-failure:2", "-p", f"127.0.0.1:{port}:80")
    subprocess.run(
        [*command, *crate.command("run", *options, IMAGE, "sh", "-c", "exit 3")],
        env=crate.environment, capture_output=True, timeout=60, check=False, cwd=crate.place,
    )  # fmt: skip


def assert_in_order(crate: Crate) -> None:
    """It is found as it ended, starts again with its port, and nothing of it is left when it is removed."""
    if crate("container", "exists", "job").status == 0:
        until(lambda: crate.inspect("job")["State"]["Status"] in ("exited", "created"), what="an end")
        state = crate.inspect("job")["State"]
        assert state["Status"] == "created" or state["ExitCode"] in (3, 125, 137), state
        crate.ok("start", "job")
        assert crate.ok("wait", "job") == "3"
        assert crate.inspect("job")["RestartCount"] == 2
        crate.ok("rm", "job")
    assert crate.ok("ps", "--all", "--quiet") == ""
    for directory in (crate.root / "containers", crate.root / "names", crate.runroot / "containers"):
        until(lambda directory=directory: not list(directory.iterdir()), what=f"empty: {directory}")  # type: ignore[misc]


def _strike_all(crate: Crate, seed: int, count: int) -> None:
    crate.ok("run", "--rm", IMAGE, "true")
    chosen, port = random.Random(seed), free_port()
    for _ in range(count):
        call = chosen.choice(sorted(CALLS))
        number = chosen.randint(1, CALLS[call])
        strike(crate, call, number, port)
        try:
            assert_in_order(crate)
        except AssertionError as error:
            raise AssertionError(f"after a kill at {call} {number}: {error}") from error


def test_killed_anywhere(crate: Crate) -> None:
    """Two random places."""
    _strike_all(crate, 1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 8))
def test_killed_everywhere(crate: Crate, seed: int) -> None:
    """Ten places a seed."""
    _strike_all(crate, seed, 10)
