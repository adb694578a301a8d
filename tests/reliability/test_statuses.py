"""Every exit status and every signal, exact in each place that shows it: run, wait, inspect, exec."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from program import until

if TYPE_CHECKING:
    from collections.abc import Iterable

    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox")

IMAGE = "crate.local/busybox"
#: signals whose default is not the end of a process: ignored (CHLD, CONT, URG, WINCH) and stopping (STOP, TSTP, …)
IGNORED, STOPPING = (17, 18, 23, 28), (19, 20, 21, 22)
ENDING = [number for number in range(1, 32) if number not in (*IGNORED, *STOPPING)]
#: of those, what a shell can do to itself: busybox's ignores SIGQUIT
SUICIDES = [number for number in ENDING if number != 3]
#: those that mean something to crate or to a shell, and the ends of the range
SOME = (0, 1, 2, 125, 126, 127, 128, 130, 137, 255)


def _everywhere(crate: Crate, script: str, *options: str) -> list[int]:
    """The status of a container's script as run, wait and inspect tell it."""
    run = crate("run", "--cidfile", f"{crate.place}/id", *options, IMAGE, "sh", "-c", script)
    container = (crate.place / "id").read_text()
    told = [run.status, int(crate.ok("wait", container)), crate.inspect(container)["State"]["ExitCode"]]
    crate.ok("rm", container)
    (crate.place / "id").unlink()
    return told


def _check_codes(crate: Crate, codes: Iterable[int]) -> None:
    for code in codes:
        assert _everywhere(crate, f"exit {code}", "--network", "none") == [code] * 3


def _check_exec(crate: Crate, scripts: dict[str, int]) -> None:
    crate.ok("run", "-d", "--name", "job", "--network", "none", IMAGE, "sleep", "1000")
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda script: crate("exec", "job", "sh", "-c", script).status, scripts))
    assert dict(zip(scripts, told, strict=True)) == scripts
    assert crate.inspect("job")["State"]["Running"]
    crate.ok("rm", "-f", "job")


def test_some_codes(crate: Crate) -> None:
    _check_codes(crate, SOME)


@pytest.mark.slow
def test_all_codes(crate: Crate) -> None:
    _check_codes(crate, range(256))


def test_some_codes_of_exec(crate: Crate) -> None:
    _check_exec(crate, {f"exit {code}": code for code in SOME})


@pytest.mark.slow
def test_all_codes_of_exec(crate: Crate) -> None:
    _check_exec(crate, {f"exit {code}": code for code in range(256)})


@pytest.mark.parametrize("number", [1, 6, 9, 11, 15, 31])
def test_signal(crate: Crate, number: int) -> None:
    """Outside of a pid namespace of its own: the first process of one is not ended by a signal of its own."""
    assert _everywhere(crate, f"kill -{number} $$", "--pid", "host", "--network", "none") == [128 + number] * 3


@pytest.mark.slow
def test_all_signals(crate: Crate) -> None:
    for number in SUICIDES:
        assert _everywhere(crate, f"kill -{number} $$", "--pid", "host", "--network", "none") == [128 + number] * 3


def test_killed_by_quit(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "job", "--pid", "host", "--network", "none", IMAGE, "sleep", "1000")
    crate.ok("kill", "--signal", "QUIT", "job")
    assert crate.ok("wait", "job") == "131"
    crate.ok("rm", "job")


def test_no_signal_is_ignored(crate: Crate) -> None:
    """Neither what the monitor ignores nor what the caller does is handed on to the program."""
    crate.ok("pull", "-q", IMAGE)
    command = ["sh", "-c", "trap '' HUP USR1 TSTP; exec \"$@\"", "sh"]
    show = ("run", "--rm", "--network", "none", IMAGE, "grep", "SigIgn", "/proc/self/status")
    done = subprocess.run(
        [*command, *crate.command(*show)], env=crate.environment, check=True, capture_output=True, text=True
    )
    assert int(done.stdout.split()[1], 16) == 0


def test_all_signals_of_exec(crate: Crate) -> None:
    _check_exec(crate, {f"kill -{number} $$": 128 + number for number in SUICIDES})


@pytest.mark.slow
def test_signals_arrive(crate: Crate) -> None:
    """`kill` sends each signal as what it is, those that end nothing by default too.

    All that a shell can wait for: not KILL and STOP, nor CHLD, which its own children send it.
    """
    for number in sorted({*ENDING, *IGNORED, *STOPPING} - {9, 17, 19}):
        script = f"trap 'exit {100 + number}' {number}; echo ready; while :; do sleep 0.05; done"
        crate.ok("run", "-d", "--name", "job", "--network", "none", IMAGE, "sh", "-c", script)
        crate.await_line("job", "ready")
        crate.ok("kill", "--signal", str(number), "job")
        assert crate.ok("wait", "job") == str(100 + number)
        crate.ok("rm", "job")


@pytest.mark.parametrize("number", STOPPING[:1])
def test_stopped_then_killed(crate: Crate, number: int) -> None:
    """A container that is stopped still runs, and its end is told as that of any other."""
    crate.ok("run", "-d", "--name", "job", "--network", "none", IMAGE, "sleep", "1000")
    crate.ok("kill", "--signal", str(number), "job")
    pid = crate.inspect("job")["State"]["Pid"]
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        stat = file
        until(lambda: stat.seek(0) == 0 and stat.read().rpartition(")")[2].split()[0] == "T", what="stopped")
    crate.ok("kill", "job")
    assert crate.ok("wait", "job") == "137"
    assert crate.inspect("job")["State"]["ExitCode"] == 137
    crate.ok("rm", "job")
