"""What a monitor and its clients say to each other: one packet of a SOCK_SEQPACKET socket is one message.

The first byte is the kind, the rest its data.

    client -> monitor                            monitor -> client
      H  hello: JSON, see Hello                    s  started: JSON {"pid"}
      i  bytes for the container's stdin           f  failed to start: JSON {"message", "hint", "status"}
      z  end of the container's stdin              o  bytes of stdout (and of a terminal)
      w  terminal size: "ROWS COLUMNS"             e  bytes of stderr
      d  detach                                    g  bytes of output that it was too slow for: a decimal number
      c  it is not to be restarted                  r  restarted: JSON {"pid", "start_time"} of its new init
      a  amended.json has other networks           n  a call that was refused (--diagnose): JSON of report.py
                                                   q  all of them were told: JSON {"more", "ended"}
                                                   x  ended, everything was sent: the exit record as JSON

"started" carries a pidfd of the container's init, so that a client signals exactly that process, itself.

The descriptor of the monitor's end may change hands (the monitor re-executes itself); clients do not notice.
"""

from __future__ import annotations

import _socket
import os
from struct import pack, unpack

from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HELLO, STDIN, STDIN_END, RESIZE, DETACH, CANCEL, AMENDED = b"H", b"i", b"z", b"w", b"d", b"c", b"a"
REFUSAL, DIAGNOSIS = b"n", b"q"
STARTED, FAILED, STDOUT, STDERR, SKIPPED, RESTARTED, ENDED = b"s", b"f", b"o", b"e", b"g", b"r", b"x"

#: bytes of data a packet: well below the smallest default socket buffer (net.core.wmem_default, 212992)
CHUNK = 32768


def pair() -> tuple[_socket.socket, _socket.socket]:
    """A connected pair: the caller's end and the monitor's."""
    return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)


def listen(path: str) -> _socket.socket:
    """A listening socket at `path`, however long the path is (sun_path holds 108 bytes)."""
    directory, _, name = path.rpartition("/")
    dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        address = f"/proc/self/fd/{dir_fd}/{name}"
        try:
            os.unlink(name, dir_fd=dir_fd)
        except FileNotFoundError:
            pass
        listener.bind(address)
        os.chmod(name, 0o600, dir_fd=dir_fd)
        listener.listen(16)
        return listener
    finally:
        os.close(dir_fd)


def connect(path: str) -> _socket.socket:
    """A connection to the monitor that listens at `path`. OSError when none does."""
    directory, _, name = path.rpartition("/")
    dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        try:
            socket.connect(f"/proc/self/fd/{dir_fd}/{name}")
        except BaseException:
            socket.close()
            raise
        return socket
    finally:
        os.close(dir_fd)


def send_order(socket: _socket.socket, order: dict[str, Any], fd: int) -> None:
    """Gives a monitor its order, a descriptor, and this process's streams where its hello says passthrough."""
    streams = (0, 1, 2) if order["hello"].get("passthrough") else ()
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, pack(f"={1 + len(streams)}i", fd, *streams))]
    socket.sendmsg([json.dumps(order).encode()], rights, _socket.MSG_NOSIGNAL)


def receive_order(socket: _socket.socket) -> tuple[dict[str, Any], int]:
    """The order and its descriptor; an empty one, and -1, when the caller has gone without giving any.

    The `streams` of its hello are the descriptors of the caller's streams, if it passes them through.
    """
    text, extra, _, _ = socket.recvmsg(CHUNK, _socket.CMSG_SPACE(16), _socket.MSG_CMSG_CLOEXEC)
    if not text or not extra:
        return {}, -1
    order, (fd, *streams) = json.loads(text), unpack(f"={len(extra[0][2]) // 4}i", extra[0][2])
    if streams:
        order["hello"]["streams"] = streams
    return order, fd


def send_started(socket: _socket.socket, pid: int, pidfd: int) -> None:
    """Tells a client that the container runs. BlockingIOError and other OSErrors as send(2)."""
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, pack("=i", pidfd))]
    socket.sendmsg([STARTED + b'{"pid":%d}' % pid], rights, _socket.MSG_NOSIGNAL)


def receive(socket: _socket.socket) -> bytes:
    """The next packet; empty at the end.

    Whoever closes a socket without having read all leaves ECONNRESET to the other side, before what it has sent: the
    error is told once, and the packets come after it.
    """
    try:
        return socket.recv(CHUNK + 1)
    except ConnectionResetError:
        return socket.recv(CHUNK + 1)


def receive_start(socket: _socket.socket) -> tuple[bytes, bytes, int]:
    """The first answer of a monitor: its kind (STARTED, FAILED, or empty when it died), its data, a pidfd or -1."""
    try:
        packet, extra, _, _ = socket.recvmsg(CHUNK + 1, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:  # as in `receive`
        packet, extra, _, _ = socket.recvmsg(CHUNK + 1, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
    return packet[:1], packet[1:], unpack("=i", extra[0][2])[0] if extra else -1
