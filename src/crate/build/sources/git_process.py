"""git as a process that nobody has to trust: bounded in bytes, files and time, and gone with who wanted it.

running/kept_process.py says how it ends with the build.
"""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING

from crate.build.running import kept_process
from crate.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: of one file, and of all that lies in the directory
BYTES_MAX = 16 << 30
ENTRIES_MAX = 2_000_000
SECONDS_MAX = 1800.0
_TOLD_MAX = 64 << 10
_LOOK_SECONDS = 1.0
_PIECE = 64 << 10


def run(
    command: list[str],
    directory: str,
    environment: Mapping[str, str],
    shown: str,
    take: Callable[[bytes], object],
) -> tuple[int, str]:
    """Runs a command in a directory; gives its exit status and the end of what it said on standard error.

    `take` gets its output as it comes, and may raise to end it. `shown` is the repository, for messages. Raises
    RegistryError where it takes too long, or the directory grows beyond measure.
    """
    out_fd, their_out = os.pipe2(os.O_CLOEXEC)
    told_fd, their_told = os.pipe2(os.O_CLOEXEC)
    null_fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    streams = (null_fd, their_out, their_told)
    pid = kept_process.start("crate:git", command, directory, environment, streams, BYTES_MAX)
    for fd in streams:
        os.close(fd)
    told = b""
    status: int | None = None

    def hear(piece: bytes) -> None:
        nonlocal told
        told = (told + piece)[-_TOLD_MAX:]

    try:
        _attend({out_fd: take, told_fd: hear}, _Watch(directory, shown))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        if status is None:
            kept_process.end(pid)
        os.close(out_fd)
        os.close(told_fd)
    return status, told.decode(errors="replace")


def _attend(sinks: Mapping[int, Callable[[bytes], object]], watch: _Watch) -> None:
    """Reads until all of them end."""
    poll = select.poll()
    for fd in sinks:
        poll.register(fd, select.POLLIN)
    left = set(sinks)
    while left:
        for fd, _ in poll.poll(_LOOK_SECONDS * 1000):
            piece = os.read(fd, _PIECE)
            if piece:
                sinks[fd](piece)
            else:
                poll.unregister(fd)
                left.discard(fd)
        watch.look()


class _Watch:
    """Looks now and then how much lies in the directory; a look that takes long makes the next one wait."""

    def __init__(self, directory: str, shown: str) -> None:
        self._directory = directory
        self._shown = shown
        self._end = time.monotonic() + SECONDS_MAX
        self._next = time.monotonic() + _LOOK_SECONDS

    def look(self) -> None:
        now = time.monotonic()
        if now > self._end:
            raise RegistryError(f"cannot fetch {self._shown}: git took longer than {SECONDS_MAX:.0f} s")
        if now > self._next:
            check(*measure(self._directory), self._shown)
            self._next = time.monotonic() + max(_LOOK_SECONDS, 5 * (time.monotonic() - now))


def check(size_bytes: int, entries: int, shown: str) -> None:
    """Raises RegistryError for a repository that is too large."""
    if size_bytes > BYTES_MAX:
        raise RegistryError(f"cannot fetch {shown}: it has more than {BYTES_MAX} bytes")
    if entries > ENTRIES_MAX:
        raise RegistryError(f"cannot fetch {shown}: it has more than {ENTRIES_MAX} files and directories")


def measure(directory: str) -> tuple[int, int]:
    """Bytes and number of what lies in a directory, as far as it can be told while it changes, up to just beyond the
    bounds.
    """
    size, entries, pending = 0, 0, [directory]
    while pending and size <= BYTES_MAX and entries <= ENTRIES_MAX:
        try:
            with os.scandir(pending.pop()) as found:
                for entry in found:
                    entries += 1
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        size += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue  # it has gone meanwhile
    return size, entries
