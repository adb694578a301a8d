"""The networks of an ordinary user: bridges, firewall and names as root's, in a network namespace of the user's own.

There is one such namespace a run root, in the user's one user namespace (ns/rootless.py). Members, the owners of
sandboxes on these networks, keep two descriptors open: the namespace, and the run root's FIFO `netns` with a shared
flock(2). The kernel tells a newcomer who they are (/proc/locks); it takes the namespace from the descriptors of any of
them. Who gets the lock exclusively is alone, and makes a new namespace. Packets leave it by one uplink (uplink.py).

    <run root>/netns         a FIFO: its lock makes a member; its last reader ends the uplink
    <run root>/netns.gate    one newcomer at a time, and one who starts an uplink
    <run root>/netns.json    {"inode" of the namespace, "uplink": [pid, start time], "program"}

A process of the host's network namespace has no way back into it: members stay outside, and send children in.
"""

from __future__ import annotations

import os
import stat
import time
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock

from crate import errors
from crate.errors import CrateError, HostError
from crate.linux import locks
from crate.linux.namespace import CLONE_NEWNET, setns, unshare
from crate.linux.process import fork_child
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from crate.net.sandbox import Lease

_FIFO, _GATE, _RECORD = "netns", "netns.gate", "netns.json"
_TRIES = 20
_CHUNK = 65536


def join(runroot: str, program: str) -> list[int]:
    """Makes this process a member; gives its descriptors: the FIFO and the namespace. HostError.

    `program` is the uplink's, pasta or slirp4netns; empty where none is wanted. One that runs is kept.
    """
    from crate.net.rootless import uplink

    with Gate(runroot):
        fifo_fd = _open_fifo(f"{runroot}/{_FIFO}")
        try:
            netns_fd = _namespace_of_members(runroot, fifo_fd)
            try:
                if program:
                    uplink.ensure(runroot, netns_fd, program)
            except BaseException:
                os.close(netns_fd)
                raise
        except BaseException:
            os.close(fifo_fd)
            raise
    return [fifo_fd, netns_fd]


def leave(home_fds: list[int]) -> None:
    """Ends the membership; with the last one go the uplink, the bridges and the namespace."""
    for fd in home_fds:
        os.close(fd)


def enter(runroot: str) -> bool:
    """Brings this process, for good, into the namespace of the members; tells whether there is one.

    For commands that change networks. HostError when the kernel refuses.
    """
    with Gate(runroot):
        try:
            fifo_fd = os.open(f"{runroot}/{_FIFO}", os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            netns_fd = _find(fifo_fd, read_record(runroot).get("inode", 0))
        finally:
            os.close(fifo_fd)
    if netns_fd < 0:
        return False
    try:
        go_inside(netns_fd)
    finally:
        os.close(netns_fd)
    return True


def go_inside(netns_fd: int) -> None:
    """Brings this process into the namespace. HostError."""
    try:
        setns(netns_fd, CLONE_NEWNET)
    except OSError as error:
        raise HostError(f"cannot enter the namespace of this user's networks: {error.strerror}") from None


def act_inside(lease: Lease, act: Callable[[], object]) -> None:
    """Has a child do in the namespace what changes the lease, and takes the changes over. What it raises is raised."""
    lease.update(call_inside(lease["home_fds"][1], lambda: (act(), lease)[1]))


def call_inside(netns_fd: int, act: Callable[[], Any]) -> Any:
    """What a child's `act` in a network namespace gives: JSON data. CrateError and OSError are raised here."""
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)

    def child() -> NoReturn:
        os.close(read_fd)
        try:
            setns(netns_fd, CLONE_NEWNET)
            answer = {"value": act()}
        except CrateError as error:
            kind = "HostError" if isinstance(error, errors.KernelError) else type(error).__name__
            answer = {"kind": kind, "message": error.message, "hint": error.hint}
        except OSError as error:
            answer = {"errno": error.errno or 0, "text": error.strerror, "path": error.filename}
        text = json.dumps(answer).encode()
        while text:
            text = text[os.write(write_fd, text) :]
        os._exit(0)

    try:
        pid = fork_child(child)
    finally:
        os.close(write_fd)
    text = b""
    try:
        while data := os.read(read_fd, _CHUNK):
            text += data
    finally:
        os.close(read_fd)
        os.waitpid(pid, 0)
    if not text:
        raise HostError("cannot change this user's networks: the process that did it was killed")
    answer = json.loads(text)
    if "kind" in answer:
        raise getattr(errors, answer["kind"])(answer["message"], answer["hint"])
    if "errno" in answer:
        raise OSError(answer["errno"], answer["text"], answer["path"])
    return answer["value"]


class Gate:
    """Held by whoever becomes a member or starts an uplink: one at a time."""

    __slots__ = ("_fd", "_path")

    def __init__(self, runroot: str) -> None:
        self._path = f"{runroot}/{_GATE}"

    def __enter__(self) -> None:
        # The sticky bit keeps systemd-tmpfiles away from what nobody touches, as that of the lock in ns/rootless.py.
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o1600)
        locks.take(self._fd, LOCK_EX, self._path)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def read_record(runroot: str) -> dict[str, Any]:
    """What is known of the namespace and its uplink; nothing where there never was one."""
    try:
        with open(f"{runroot}/{_RECORD}", "rb", buffering=0) as file:
            record: dict[str, Any] = json.loads(file.read())
            return record
    except (FileNotFoundError, ValueError):
        return {}


def write_record(runroot: str, record: dict[str, Any]) -> None:
    """Writes it anew, by whoever holds the gate."""
    path = f"{runroot}/{_RECORD}"
    with open(f"{path}.new", "wb", buffering=0) as file:
        file.write(json.dumps(record).encode())
    os.chmod(f"{path}.new", 0o1600)
    os.rename(f"{path}.new", path)


def fifo_path(runroot: str) -> str:
    """The FIFO that the uplink's life hangs on."""
    return f"{runroot}/{_FIFO}"


def _open_fifo(path: str) -> int:
    """For reading and writing: a reader that never meets the end of the file."""
    try:
        os.mkfifo(path, 0o1600)
        os.chmod(path, 0o1600)  # mkfifo(2) takes the umask's bits off
    except FileExistsError:
        pass
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise HostError(f"cannot use {path}: it is not a FIFO", f"remove it with `rm {path}`")
    return fd


def _namespace_of_members(runroot: str, fifo_fd: int) -> int:
    """The namespace, a new one where there are no members; the lock on the FIFO is shared then."""
    for attempt in range(_TRIES):
        try:
            flock(fifo_fd, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            netns_fd = _find(fifo_fd, read_record(runroot).get("inode", 0))
            if netns_fd >= 0:
                flock(fifo_fd, LOCK_SH)
                return netns_fd
            time.sleep(attempt / 200)  # the last member has just ended, or is between two forms of itself
            continue
        netns_fd = _create()
        write_record(runroot, {"inode": os.fstat(netns_fd).st_ino})
        flock(fifo_fd, LOCK_SH)
        return netns_fd
    raise HostError("cannot join the networks of the other crate processes", "crate ps shows what still runs")


def _find(fifo_fd: int, inode: int) -> int:
    """The namespace with this inode number, from the descriptors of a member; -1 when there is none."""
    wanted = f"net:[{inode}]"
    for pid in [*locks.takers(fifo_fd), *locks.users(fifo_fd)]:
        directory = f"/proc/{pid}/fd"
        try:
            for name in os.listdir(directory):
                if os.readlink(f"{directory}/{name}") == wanted:
                    return os.open(f"{directory}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
    return -1


def _create() -> int:
    """A new network namespace, whose loopback is up and in which published ports find back (return_path.py)."""
    made_read, made_write = os.pipe2(os.O_CLOEXEC)
    seen_read, seen_write = os.pipe2(os.O_CLOEXEC)

    def child() -> NoReturn:
        os.close(seen_write)
        try:
            unshare(CLONE_NEWNET)
            os.write(made_write, b"\0")
        except OSError as error:
            os.write(made_write, bytes([error.errno or 1]))
        os.read(seen_read, 1)  # until the parent has it, or is gone
        os._exit(0)

    try:
        pid = fork_child(child)
        os.close(made_write)
        made_write = -1
        try:
            answer = os.read(made_read, 1)
            if answer != b"\0":
                reason = os.strerror(answer[0]) if answer else "the process that makes it was killed"
                raise HostError(
                    f"cannot make a network namespace: {reason}",
                    "an administrator may allow more: sysctl user.max_net_namespaces",
                )
            netns_fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(seen_write)
            seen_write = -1
            os.waitpid(pid, 0)
    finally:
        for fd in (made_read, made_write, seen_read, seen_write):
            if fd >= 0:
                os.close(fd)
    try:
        call_inside(netns_fd, _settle)
    except BaseException:
        os.close(netns_fd)
        raise
    return netns_fd


def _settle() -> None:
    from crate.net.rootless import return_path

    return_path.make()
