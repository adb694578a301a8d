"""A mount of another container, for one that shares it: bind mounts do not reach across mount namespaces (EINVAL)."""

from __future__ import annotations

import _socket
import os
from struct import pack, unpack

from crate.errors import HostError
from crate.linux import mount as m
from crate.linux import namespace
from crate.linux.process import PR_SET_DUMPABLE, fork_child, prctl
from crate.runtime.mounts import MountOptions, apply_attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def borrow(pid: int, path: str, entry: dict[str, Any]) -> int:
    """A detached copy of the mount at `path` as the process `pid` sees it, with the options of the spec's mount."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)

    def child() -> NoReturn:
        ours.close()
        _lend(pid, path, theirs)

    helper = fork_child(child)
    theirs.close()
    try:
        told, extra, _, _ = ours.recvmsg(4096, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
    except OSError as error:
        told, extra = str(error.strerror).encode(), []
    ours.close()
    os.waitpid(helper, 0)
    if not extra:
        raise HostError(f"cannot share {path} of the other container: {told.decode(errors='replace') or 'killed'}")
    fd = int(unpack("=i", extra[0][2])[0])
    apply_attributes(fd, MountOptions(entry.get("options") or []), False)
    return fd


def _lend(pid: int, path: str, socket: _socket.socket) -> NoReturn:
    """Process `crate:lend`: enters the mount namespace of `pid`, sends one descriptor, and ends."""
    try:
        prctl(PR_SET_DUMPABLE, 0)
        namespace_fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        namespace.setns(namespace_fd, namespace.CLONE_NEWNS)
        flags = m.OPEN_TREE_CLONE | m.AT_SYMLINK_NOFOLLOW
        fd = m.open_tree(m.AT_FDCWD, path, flags)
        socket.sendmsg([b"1"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, pack("=i", fd))])
    except OSError as error:
        try:
            socket.send(str(error.strerror).encode())
        except OSError:
            os._exit(1)
    os._exit(0)
