"""flock(2) that is waited for, and who holds it by proc_locks(5)."""

from __future__ import annotations

import _signal
import os
from fcntl import LOCK_NB, flock

from crate.errors import notice

_NOTICE_SECONDS = 3.0


def take(fd: int, operation: int, path: str) -> None:
    """Waits for the lock as long as it takes; after some seconds it tells for whom, once."""
    try:
        flock(fd, operation | LOCK_NB)
    except BlockingIOError:
        _wait(fd, operation, path)


def _wait(fd: int, operation: int, path: str) -> None:
    def tell(number: int, frame: object) -> None:
        notice(f"waiting for {path}: {_whom(fd)}")

    try:
        before = _signal.signal(_signal.SIGALRM, tell)
    except ValueError:  # not in the thread that takes signals: it waits without a word
        flock(fd, operation)
        return
    _signal.setitimer(_signal.ITIMER_REAL, _NOTICE_SECONDS)
    try:
        flock(fd, operation)
    finally:
        _signal.setitimer(_signal.ITIMER_REAL, 0)
        _signal.signal(_signal.SIGALRM, before)


def _whom(fd: int) -> str:
    for pid in takers(fd) or users(fd):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read(200).replace(b"\0", b" ").strip().decode(errors="replace")
            with open(f"/proc/{pid}/stat", "rb") as file:
                state = file.read().rpartition(b") ")[2][:1]
        except OSError:
            continue
        if state in (b"T", b"t"):
            return f"it is locked by process {pid} ({words}), which is stopped (hint: kill -CONT {pid})"
        return f"it is locked by process {pid} ({words})"
    return "it is locked by another process"


def takers(fd: int) -> list[int]:
    """The other processes that took the flock(2) of this file: `1: FLOCK  ADVISORY  READ 4711 08:01:1234 0 EOF`."""
    status = os.fstat(fd)
    wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    found = []
    with open("/proc/locks", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if len(fields) > 5 and fields[1] == "FLOCK" and fields[5] == wanted:
                found.append(int(fields[4]))
    return [pid for pid in found if pid > 0 and pid != os.getpid()]


def users(fd: int) -> list[int]:
    """The other processes that have the file open: a lock outlives the process that took it in the forks of that one,
    and proc_locks(5) knows only who took it."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and has_open(pid, fd)]


def has_open(pid: int, fd: int) -> bool:
    """Whether a process has the file of `fd` open; not where it is another user's, or gone."""
    wanted, directory = os.fstat(fd), f"/proc/{pid}/fd"
    try:
        files = [os.stat(f"{directory}/{number}") for number in os.listdir(directory)]
    except OSError:
        return False
    return any((file.st_dev, file.st_ino) == (wanted.st_dev, wanted.st_ino) for file in files)
