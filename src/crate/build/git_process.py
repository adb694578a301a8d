"""git as a process that nobody has to trust: bounded in bytes, files and time, and gone with who wanted it.

    build ── fork ──> crate:git ── unshare(pid), fork ──> git ──> git-remote-https, ssh, index-pack …
      ^                                                    |
      └── standard output, standard error, both bounded ───┘

crate:git dies with its parent (PR_SET_PDEATHSIG), git with crate:git, and whatever git has started with git, which is
the first process of a pid namespace. Where there may be none git's process group is killed by the parent; if that is
killed itself, what git had started ends when its pipes are closed.
"""

from __future__ import annotations

import os
import select
import signal
import time
from typing import TYPE_CHECKING, NoReturn

from crate.errors import RegistryError
from crate.linux.namespace import CLONE_NEWPID, unshare
from crate.linux.process import PR_SET_PDEATHSIG, fork_child, prctl, set_name

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
    parent = os.getpid()
    pid = fork_child(lambda: _keep(command, directory, environment, (their_out, their_told), parent))
    os.close(their_out)
    os.close(their_told)
    told = b""
    status = -1

    def hear(piece: bytes) -> None:
        nonlocal told
        told = (told + piece)[-_TOLD_MAX:]

    try:
        _attend({out_fd: take, told_fd: hear}, _Watch(directory, shown))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        if status == -1:
            _kill(pid)
        os.close(out_fd)
        os.close(told_fd)
    return status, told.decode(errors="replace")


def _kill(pid: int) -> None:
    """Ends crate:git with its group, or alone where it has made none yet."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


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


def _keep(
    command: list[str], directory: str, environment: Mapping[str, str], streams: tuple[int, int], parent: int
) -> NoReturn:
    """Process crate:git: in a session of its own, it waits for git and ends as git did."""
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.setsid()
        set_name("crate:git")
        alive_fd, own_fd = os.pipe2(os.O_CLOEXEC)
        try:
            unshare(CLONE_NEWPID)
        except OSError:
            pass  # not allowed here: see above
        pid = fork_child(lambda: _become(command, directory, environment, streams, (alive_fd, own_fd)))
        for fd in streams:
            os.close(fd)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os._exit(status if status >= 0 else 128 - status)
    finally:
        os._exit(1)


def _become(
    command: list[str],
    directory: str,
    environment: Mapping[str, str],
    streams: tuple[int, int],
    alive: tuple[int, int],
) -> NoReturn:
    """Process git, before it is that."""
    import resource

    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.close(alive[1])
        life = select.poll()
        life.register(alive[0], select.POLLIN)
        if life.poll(0):
            os._exit(1)  # crate:git died before prctl could notice
        os.dup2(os.open("/dev/null", os.O_RDWR), 0)
        os.dup2(streams[0], 1)
        os.dup2(streams[1], 2)
        os.chdir(directory)
        os.umask(0o022)
        # SIGXFSZ stays ignored: a file that would be too large is an error to git.
        own = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        most = BYTES_MAX if own == resource.RLIM_INFINITY else min(own, BYTES_MAX)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execve(command[0], command, environment)
    finally:
        os._exit(127)
