"""seccomp_unotify(2): calls of other processes, as the descriptor of a filter's listener tells them."""

from __future__ import annotations

from fcntl import ioctl
from struct import pack, pack_into, unpack_from

# linux/seccomp.h; of the third the kernel takes both directions, since early headers had the wrong one.
_RECEIVE, _SEND, _ID_VALID = 0xC0502100, 0xC0182101, 0x40082102
_SET_FLAGS, _SYNC_WAKE_UP = 0x40082104, 1
_NOTIFICATION_BYTES = 80


class Notification:
    """`struct seccomp_notif`: the call `number` of the thread `pid`, a number of `architecture` (AUDIT_ARCH_…)."""

    __slots__ = ("architecture", "arguments", "id", "number", "pid")

    def __init__(self, data: bytearray) -> None:
        self.id, self.pid, _, self.number, self.architecture, _ = unpack_from("=QIIiIQ", data)
        self.arguments: tuple[int, ...] = unpack_from("=6Q", data, 32)


def receive(listener_fd: int) -> Notification:
    """SECCOMP_IOCTL_NOTIF_RECV. ENOENT when the caller was killed meanwhile."""
    data = bytearray(_NOTIFICATION_BYTES)
    ioctl(listener_fd, _RECEIVE, data, True)
    return Notification(data)


def is_valid(listener_fd: int, identity: int) -> bool:
    """SECCOMP_IOCTL_NOTIF_ID_VALID: whether the call still waits, so that its pid means the same thread as before."""
    try:
        ioctl(listener_fd, _ID_VALID, pack("=Q", identity))
    except OSError:
        return False
    return True


def answer(listener_fd: int, identity: int, errno: int) -> None:
    """SECCOMP_IOCTL_NOTIF_SEND: the call fails with `errno`, or succeeds with 0. ENOENT when the caller is gone."""
    response = bytearray(24)
    pack_into("=QqiI", response, 0, identity, 0, -errno, 0)
    ioctl(listener_fd, _SEND, response, True)


def wake_on_same_processor(listener_fd: int) -> None:
    """SECCOMP_IOCTL_NOTIF_SET_FLAGS (Linux 6.6): the two processes take turns, which is faster. OSError."""
    ioctl(listener_fd, _SET_FLAGS, _SYNC_WAKE_UP)
