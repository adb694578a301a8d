"""Sockets of another network namespace than the caller's: a socket stays in the namespace that it was made in."""

from __future__ import annotations

import _socket
import os
from fcntl import ioctl
from struct import pack, unpack

from crate.linux.namespace import CLONE_NEWNET, setns
from crate.linux.process import fork_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

_NS_GET_USERNS = 0xB701  # ioctl_ns(2)
_SOCKETS_MOST = 16


def sockets_in(netns_fd: int, make: Callable[[], Sequence[_socket.socket]]) -> list[_socket.socket]:
    """What `make` makes while the caller's thread, or a child, is in the namespace for a moment. OSError."""
    home_fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            os.close(ioctl(home_fd, _NS_GET_USERNS))
        except PermissionError:
            return _by_child(netns_fd, make)  # home belongs to an outer user namespace: no way back
        setns(netns_fd, CLONE_NEWNET)
        try:
            return [*make()]
        finally:
            setns(home_fd, CLONE_NEWNET)
    finally:
        os.close(home_fd)


def _by_child(netns_fd: int, make: Callable[[], Sequence[_socket.socket]]) -> list[_socket.socket]:
    """Sockets made by a child that enters the namespace and ends there; they come back over a socket pair."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)

    def child() -> NoReturn:
        try:
            setns(netns_fd, CLONE_NEWNET)
            made = make()  # held until they are sent: without a holder they would be closed
            fds = [socket.fileno() for socket in made]
            theirs.sendmsg([b"\0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, pack(f"={len(fds)}i", *fds))])
        except OSError as error:
            theirs.send(bytes([error.errno or 1]))
        os._exit(0)

    pid = fork_child(child)
    theirs.close()
    data, extra, _, _ = ours.recvmsg(1, _socket.CMSG_SPACE(4 * _SOCKETS_MOST), _socket.MSG_CMSG_CLOEXEC)
    ours.close()
    os.waitpid(pid, 0)
    if not extra:
        code = data[0] if data else 1
        raise OSError(code, f"setns: {os.strerror(code)}")
    return [_socket.socket(fileno=fd) for fd in unpack(f"={len(extra[0][2]) // 4}i", extra[0][2])]
