"""Descriptors from where only another process can go: a child goes there, sends one, and ends."""

from __future__ import annotations

import _socket
import os
from struct import pack, unpack

from crate.linux.process import PR_SET_DUMPABLE, fork_child, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def lend(find: Callable[[], int]) -> int:
    """The descriptor that `find` gives in a child process, which may change its namespaces. OSError of the child.

    Everything that `find` needs is imported before: the child may be inside of a container's file system.
    """
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)

    def child() -> NoReturn:
        ours.close()
        _lend(find, theirs)

    helper = fork_child(child)
    theirs.close()
    try:
        told, extra, _, _ = ours.recvmsg(4096, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
    except OSError as error:
        told, extra = b"%d %s" % (error.errno or 0, str(error.strerror).encode()), []
    ours.close()
    os.waitpid(helper, 0)
    if extra:
        return int(unpack("=i", extra[0][2])[0])
    number, _, text = told.partition(b" ")
    raise OSError(int(number or b"0"), text.decode(errors="replace") or "the lending process was killed")


def _lend(find: Callable[[], int], socket: _socket.socket) -> NoReturn:
    """Process `crate:lend`: sends one descriptor, or why there is none, and ends. Nobody inside can look into it."""
    try:
        prctl(PR_SET_DUMPABLE, 0)
        socket.sendmsg([b"1"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, pack("=i", find()))])
    except OSError as error:
        try:
            place = f": {error.filename}" if error.filename else ""
            socket.send(f"{error.errno or 0} {error.strerror}{place}".encode(errors="replace")[:4096])
        except OSError:
            os._exit(1)
    os._exit(0)
