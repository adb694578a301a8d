"""strace as the hand that strikes: a signal or an error at the n-th system call of a kind, in each of the processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from program import Result, until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from program import Crate

_CALL = re.compile(r"(\d* *)(\w+)\(")  # with -f, the pid is first
TIMEOUT_SECONDS = 120.0


def seed() -> int:
    """What the default run's few places are drawn by: the same each time, so that a failure can be had again."""
    return int(os.environ.get("CRATE_TEST_SEED", "1"))


def strike(
    crate: Crate, call: str, effect: str, number: int, *arguments: str, follow: bool = True, linger: float = 0.0
) -> Result:
    """Runs crate so that `effect` (signal=SIGKILL, error=EIO) meets the `number`-th `call` of each process.

    Without `follow` only of the command itself. `linger`: seconds for which its children are followed after its end.
    """
    return _traced(crate, ["-e", f"inject={call}:{effect}:when={number}"], call, arguments, follow, linger, "/dev/null")


def count(
    crate: Crate, calls: Iterable[str], *arguments: str, follow: bool = True, linger: float = 0.0
) -> dict[str, int]:
    """How often a process makes each of these calls: the greatest number of all that `strike` follows."""
    return record(crate, calls, *arguments, follow=follow, linger=linger)[0]


def record(
    crate: Crate, calls: Iterable[str], *arguments: str, follow: bool = True, linger: float = 0.0, begin: str = ""
) -> tuple[dict[str, int], dict[str, int]]:
    """As `count`, and how often the command itself made each until the line that has the word `begin`."""
    with tempfile.NamedTemporaryFile("r", dir=crate.place, errors="replace") as file:
        _traced(crate, [], ",".join(calls), arguments, follow, linger, file.name)
        lines = list(file)
    numbers: dict[tuple[str, str], int] = {}
    before: dict[str, int] = {}
    for line in lines:
        found = _CALL.match(line)
        if found:
            pid, call = found.groups()
            numbers[pid, call] = numbers.get((pid, call), 0) + 1
            if begin and begin in line and not before:
                before = {made: number for (by, made), number in numbers.items() if by == pid}
    most: dict[str, int] = {}
    for (_, call), number in numbers.items():
        most[call] = max(number, most.get(call, 0))
    return most, before


def attach(pid: int, call: str, effect: str, number: int) -> subprocess.Popen[bytes]:
    """strace on a process that runs already. It is there when this returns; `detach` takes it away."""
    process = subprocess.Popen(
        ["strace", "-f", "-I", "1", "-qq", "-o", "/dev/null", "-p", str(pid), *_words(call), "-e",
         f"inject={call}:{effect}:when={number}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    until(lambda: process.poll() is not None or _tracer(pid) == process.pid, what="strace is attached")
    return process


def detach(process: subprocess.Popen[bytes]) -> None:
    """Ends a strace of `attach`, after which its process goes on without."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def places(last: int, most: int) -> Iterator[int]:
    """The numbers from 1 to `last`, or about `most` of them, evenly spread."""
    step = max(1, -(-last // most))
    return iter(range(1, last + 1, step))


def _words(calls: str) -> list[str]:
    return ["-e", f"trace={calls}", "-e", "signal=none"]


def _traced(
    crate: Crate, words: list[str], calls: str, arguments: tuple[str, ...], follow: bool, linger: float, output: str
) -> Result:
    """With -D strace is no parent: the command is our child, as it would be of a shell, and strace is in its group."""
    strace = ["strace", "-D", "-I", "1", "-qq", *(["-f"] if follow else []), "-o", output, *_words(calls), *words]
    with tempfile.TemporaryFile(dir=crate.place) as out, tempfile.TemporaryFile(dir=crate.place) as err:
        process = subprocess.Popen(
            [*strace, *crate.command(*arguments)],
            env=crate.environment, cwd=crate.place, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=out, stderr=err,
        )  # fmt: skip
        try:
            status = process.wait(TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"crate {' '.join(arguments)}: no end in {TIMEOUT_SECONDS} s") from None
        finally:
            _end_group(process.pid, linger)
        out.seek(0)
        err.seek(0)
        return Result(status, out.read().decode(errors="replace"), err.read().decode(errors="replace"))


def _end_group(group: int, linger: float) -> None:
    """Waits until strace has ended, for which it is told after `linger` seconds: it lets go of what it follows."""
    for number, seconds in ((0, linger), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + seconds
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            return
        while _lives(group):
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        else:
            return


def _lives(group: int) -> bool:
    """Whether a process of this group is more than a zombie, which the host's init reaps when it likes."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            return True
    return False


def _tracer(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    return int(text.partition("TracerPid:")[2].split()[0])


def kill(pid: int) -> None:
    """SIGKILL to one that may have gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
