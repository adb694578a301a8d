"""The process of pasta or slirp4netns: how it is started and told apart from one that failed, and how it ends.

    0    the network namespace to serve: `/proc/self/fd/0`; pasta closes every descriptor but the first three, and gives
         up the right to look at other processes' before it opens this one
    1    a pipe on which it says that it is ready
    2    its complaints: of a container's own helper a file; of an uplink the FIFO that its life hangs on

A container's own helper is a child of the sandbox's owner and dies with it (PR_SET_PDEATHSIG). An uplink serves several
containers and must outlive the owner that happened to start it, but not the last: the kernel sends it SIGIO, which
ends it, when nobody reads the FIFO any more (fcntl(2), O_ASYNC), and whoever needs the uplink has it open for reading.
"""

from __future__ import annotations

import _signal
import os
import select
from fcntl import F_GETFL, F_SETFL, F_SETOWN, fcntl

from crate.errors import HostError
from crate.linux.process import PR_SET_PDEATHSIG, fork_child, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_READY_SECONDS = 10
_SIGKILL = 9
_COMPLAINT_MAX = 65536


def find_program(name: str) -> str:
    """The path of a program, or nothing."""
    for directory in (*os.get_exec_path(), "/usr/bin", "/usr/local/bin"):
        if directory.startswith("/") and os.access(f"{directory}/{name}", os.X_OK):
            return f"{directory}/{name}"
    return ""


def start(arguments: list[str], netns_fd: int, fifo: str = "") -> int:
    """Starts a helper and waits for its word; gives its pid. With `fifo`, that FIFO's last reader ends it.

    HostError, with the last line of its complaint, when it ends instead.
    """
    parent = os.getpid()
    path = find_program(arguments[0])
    ready_fd, word_fd = os.pipe2(os.O_CLOEXEC)
    complaint_fd = _open_fifo(fifo) if fifo else os.memfd_create("complaint", os.MFD_CLOEXEC)

    def child() -> NoReturn:
        if fifo:
            fcntl(complaint_fd, F_SETOWN, os.getpid())
            fcntl(complaint_fd, F_SETFL, fcntl(complaint_fd, F_GETFL) | os.O_ASYNC)
        else:
            prctl(PR_SET_PDEATHSIG, _SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.setsid()  # a terminal's interrupt is for the container
        for number in (_signal.SIGPIPE, _signal.SIGIO, _signal.SIGTERM, _signal.SIGINT):
            # Python and a monitor ignore some of them: pasta refuses to start without SIGPIPE.
            _signal.signal(number, _signal.SIG_DFL)
        os.dup2(netns_fd, 0)
        os.dup2(word_fd, 1)
        os.dup2(complaint_fd, 2)
        os.execve(path, arguments, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})

    try:
        pid = fork_child(child)
        os.close(word_fd)
        word_fd = -1
        poll = select.poll()
        poll.register(ready_fd, select.POLLIN)
        if poll.poll(_READY_SECONDS * 1000) and os.read(ready_fd, 64):
            return pid
        kill(pid)
        said = _complaint_of(complaint_fd, fifo)
        raise HostError(f"cannot set up the network: {arguments[0]}: {said}", _hint(said))
    finally:
        for fd in (ready_fd, word_fd, complaint_fd):
            if fd >= 0:
                os.close(fd)


def _open_fifo(path: str) -> int:
    """For writing; it has a reader, this process. What nobody reads must not make a helper wait."""
    return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)


def _complaint_of(complaint_fd: int, fifo: str) -> str:
    if fifo:
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            data = os.read(reader, _COMPLAINT_MAX)
        except BlockingIOError:
            data = b""
        finally:
            os.close(reader)
    else:
        data = os.pread(complaint_fd, _COMPLAINT_MAX, 0)
    said, _, _ = data.decode(errors="replace").partition("\nUsage:")
    lines = [line for line in said.strip().splitlines() if line and "syslog" not in line]
    return lines[-1] if lines else "it gave no reason"


def _hint(said: str) -> str | None:
    if "ermission denied" in said or "not permitted" in said:
        return "a security module may confine it: `journalctl -k` or /var/log/audit shows what it was denied"
    return None


def kill(pid: int) -> None:
    """Ends and reaps a child."""
    try:
        os.kill(pid, _SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
