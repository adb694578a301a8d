"""A program that ends, with everything that it has started, when the process ends that wanted it, however that ends.

    caller ── fork ──> keeper ── unshare(pid), fork ──> first ── fork, exec ──> the program ──> what it starts

The keeper dies with the caller and `first` with the keeper (PR_SET_PDEATHSIG; the program itself may be set-group-ID,
as ssh-agent is, and loses that). `first` is the first process of a pid namespace, with which all others in it end.
Where there may be no namespace, the program dies with `first`, and what it has started by its closed pipes.
"""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING, NoReturn

from crate.linux.namespace import CLONE_NEWPID, unshare
from crate.linux.process import PR_SET_PDEATHSIG, fork_child, prctl, set_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def start(
    name: str,
    command: list[str],
    directory: str,
    environment: Mapping[str, str],
    streams: tuple[int, int, int],
    file_bytes_max: int = 0,
) -> int:
    """Starts a command in a directory, with these descriptors as its streams; gives the pid of its keeper.

    `name`: what ps shows for the keeper, which ends with the status of the command. `file_bytes_max`: no file that the
    command writes becomes larger.
    """
    parent = os.getpid()

    def become() -> NoReturn:
        _become(command, directory, environment, streams, file_bytes_max)

    return fork_child(lambda: _keep(name, parent, become))


def end(pid: int) -> None:
    """Ends a keeper, and all with it. It has not been waited for."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(pid, signal.SIGKILL)  # it has no group of its own yet
    os.waitpid(pid, 0)


def _keep(name: str, parent: int, become: Callable[[], NoReturn]) -> NoReturn:
    """Process keeper: in a session of its own, it waits for `first`."""
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.setsid()
        set_name(name)
        alive_fd, own_fd = os.pipe2(os.O_CLOEXEC)
        try:
            unshare(CLONE_NEWPID)
        except OSError:
            pass  # not allowed here: see above
        first = fork_child(lambda: _first(alive_fd, own_fd, become))
        os.closerange(0, own_fd)  # the streams are the program's
        os._exit(_await(first))
    finally:
        os._exit(1)


def _first(alive_fd: int, own_fd: int, become: Callable[[], NoReturn]) -> NoReturn:
    """The first process of the namespace: reaps whatever ends there, until the program has."""
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.close(own_fd)
        life = select.poll()
        life.register(alive_fd, select.POLLIN)
        if life.poll(0):
            os._exit(1)  # the keeper died before prctl could notice
        program = fork_child(become)
        os.closerange(0, alive_fd)
        os._exit(_await(program))
    finally:
        os._exit(1)


def _await(pid: int) -> int:
    """The exit status of a child, 128+n for one that was killed by signal n."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _become(
    command: list[str],
    directory: str,
    environment: Mapping[str, str],
    streams: tuple[int, int, int],
    file_bytes_max: int,
) -> NoReturn:
    import resource

    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for target, fd in enumerate(streams):
            os.dup2(fd, target)
        os.chdir(directory)
        os.umask(0o022)
        if file_bytes_max:
            # SIGXFSZ stays ignored: a file that would be too large is an error to the program.
            own = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            most = file_bytes_max if own == resource.RLIM_INFINITY else min(own, file_bytes_max)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execve(command[0], command, environment)
    finally:
        os._exit(127)
