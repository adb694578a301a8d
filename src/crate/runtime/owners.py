"""The process that records changes of owners where there is a single id (decision 200): the agent of such a filter.

    the container's program          crate:owners, outside                    the file
      | -- chown("/srv", 33, 33) ----> |                                        |
      |    (the kernel holds it)       | -- looks it up as the caller would --> |
      |                                | -- user.containers.override_stat ----> |  if it is the container's own
      | <-- success ------------------ |

It is told of each filter by its door, a socket beside the container's files (`linux.seccomp.listenerPath`): of init's,
later of those of exec. It ends with the last process that has such a filter, not with the process that started it.
"""

from __future__ import annotations

import _socket
import errno
import os
import select
import stat
import sys
import time

from crate import cgroup, fresh
from crate.linux import process, seccomp_notify
from crate.linux.fs import (
    O_PATH,
    RESOLVE_BENEATH,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
    openat2,
)
from crate.linux.statx import mode_and_mount
from crate.ns.recorded_owner import record, recorded
from crate.runtime.seccomp import OWNERS_SOCKET, RECORDS_OWNERS
from crate.runtime.traced_path import Caller, Gone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NoReturn

_NAMES = ("chown", "lchown", "fchown", "fchownat")
_KEEP = 0xFFFFFFFF  # of chown(2): this one of the two stays
_EXECUTABLE = 0o6111
_BACKLOG, _PATIENCE_SECONDS, _SOON_SECONDS = 64, 1, 0.3
#: the container's files are full, broken or read-only: what chown(2) itself would have said
_TOLD = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


class Recorder:
    """The agent of one container, from before its init is born."""

    def __init__(self, spec: dict[str, Any], volumes: str) -> None:
        """`volumes`: the directory of crate's volumes, whose files are recorded too. OSError where it cannot be."""
        self._spec = spec
        self._volumes = volumes
        self._door = _listen(spec["linux"]["seccomp"]["listenerPath"])

    def begin(self, root_fd: int, init_pidfd: int) -> None:
        """Starts the process, while init waits in its complete root file system and nobody's program has run there.

        `root_fd`: that root, which is closed here; -1 where the filter does without an agent. OSError.
        """
        if root_fd < 0:
            self.close()
            return
        held = _own_mounts(root_fd, self._spec, self._volumes)
        mounts = {fd: mode_and_mount(fd)[1:] for fd in held}
        for fd, (_, is_unique) in mounts.items():
            if is_unique:
                os.close(fd)
                held.remove(fd)  # else it is held, so that no other mount gets its number
        ids = ",".join(str(number) for number, _ in mounts.values() if number)
        fds = [self._door.fileno(), init_pidfd]
        # The last word is for whoever reads a list of processes.
        place = os.path.dirname(self._spec["linux"]["seccomp"]["listenerPath"])
        words = fresh.command("owners", *map(str, fds), ids, place)

        def born() -> NoReturn:
            os.setsid()
            _close_others([*fds, *held])
            os.execve("/proc/self/exe", words, fresh.ENVIRONMENT)

        def between() -> NoReturn:  # so that nobody here has to reap it
            process.fork_child(born)
            os._exit(0)

        os.waitpid(process.fork_child(between), 0)
        for fd in held:
            os.close(fd)
        self.close()

    def close(self) -> None:
        """Closes this process's end of the door: without `begin`, nobody will open it."""
        self._door.close()


def recorder_of(spec: dict[str, Any], directory: str, volumes: str) -> Recorder | None:
    """The agent that a container's filter asks for; None where another is meant, or where it cannot be.

    `directory`: of the container. A profile that somebody wrote may name any path, where nothing is to be removed.
    """
    seccomp = spec["linux"]["seccomp"]
    if seccomp.get("listenerMetadata") != RECORDS_OWNERS or seccomp["listenerPath"] != f"{directory}/{OWNERS_SOCKET}":
        return None
    try:
        return Recorder(spec, volumes)
    except OSError:
        return None  # a file system without sockets: the filter does without, as it finds no agent


def _listen(path: str) -> _socket.socket:
    directory, _, name = path.rpartition("/")
    dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            os.unlink(name, dir_fd=dir_fd)  # of a former run
        except FileNotFoundError:
            pass
        door = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        door.bind(f"/proc/self/fd/{dir_fd}/{name}")
        os.chmod(name, 0o600, dir_fd=dir_fd)
        door.listen(_BACKLOG)
        return door
    finally:
        os.close(dir_fd)


def _own_mounts(root_fd: int, spec: dict[str, Any], volumes: str) -> list[int]:
    """A descriptor in each mount whose files are the container's own: its root, unless that is somebody's directory
    (--rootfs), and volumes of crate. No bind of the host's files is among them."""
    found = []
    volumes_fd = os.open(volumes, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for mount in spec.get("mounts") or ():
        source = mount.get("source") or ""
        if not source.startswith(f"{volumes}/"):
            continue
        try:
            # A volume may itself be a bind of somewhere else (--opt device=…): then a mount is crossed.
            strict = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV
            ours = openat2(volumes_fd, source[len(volumes) + 1 :], O_PATH, strict)
            there = openat2(root_fd, mount["destination"], O_PATH, RESOLVE_IN_ROOT)
        except OSError:
            continue
        if os.path.samestat(os.fstat(ours), os.fstat(there)):
            found.append(there)
        else:
            os.close(there)
        os.close(ours)
    os.close(volumes_fd)
    if spec["root"]["path"].startswith("/"):
        os.close(root_fd)
    else:
        found.append(root_fd)
    return found


def _close_others(keep: Iterable[int]) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    start = 3
    for fd in sorted(keep):
        os.set_inheritable(fd, True)
        os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, 1 << 20)


def main() -> NoReturn:
    """Process `crate:owners`: in the user's namespaces, outside of the container, child of nobody who waits for it.

    Arguments: the door, a pidfd of the container's init, the ids of the mounts whose files are recorded. It dies of no
    signal that a terminal sends; what its death means is in docs/processes.md.
    """
    import gc
    from _signal import SIG_IGN, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, signal

    gc.disable()
    process.set_name("crate:owners")
    for number in (SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGTERM):
        signal(number, SIG_IGN)
    os.umask(0o077)
    door_fd, pidfd = int(sys.argv[1]), int(sys.argv[2])
    mounts = frozenset(int(word) for word in sys.argv[3].split(",") if word)
    for fd in (door_fd, pidfd):
        os.set_inheritable(fd, False)
    Agent(_socket.socket(fileno=door_fd), pidfd, mounts).serve()
    os._exit(0)


class Agent:
    """Answers the calls of all filters that it was told of."""

    def __init__(self, door: _socket.socket, pidfd: int, mounts: frozenset[int]) -> None:
        self._door = door
        self._pidfd = pidfd
        self._mounts = mounts
        self._calls = _numbers()
        self._listeners: set[int] = set()

    def serve(self) -> None:
        """Until the container has ended, and no process is left with one of the filters."""
        poll = select.poll()
        poll.register(self._door.fileno(), select.POLLIN)
        poll.register(self._pidfd, select.POLLIN)
        has_ended, began, moved = False, time.monotonic(), False
        while self._listeners or not has_ended:
            events = poll.poll(None if moved else _SOON_SECONDS * 1000)
            if not moved and time.monotonic() > began + _SOON_SECONDS:
                cgroup.leave_callers()  # most batch commands have ended by then
                moved = True
            for fd, event in events:
                if fd == self._pidfd:
                    has_ended = True
                    poll.unregister(fd)
                elif fd == self._door.fileno():
                    listener = self._admit()
                    if listener >= 0:
                        self._listeners.add(listener)
                        poll.register(listener, select.POLLIN)
                elif event & select.POLLIN:
                    self._serve(fd)
                else:  # nobody has this filter any more
                    poll.unregister(fd)
                    self._listeners.discard(fd)
                    os.close(fd)

    def _admit(self) -> int:
        """The descriptor that somebody brings to the door; -1 for who only knocked."""
        try:
            fd, _ = self._door._accept()  # type: ignore[attr-defined]
            guest = _socket.socket(fileno=fd)
            try:
                guest.settimeout(_PATIENCE_SECONDS)
                space = _socket.CMSG_SPACE(4)
                _, extra, _, _ = guest.recvmsg(1 << 16, space, _socket.MSG_CMSG_CLOEXEC)
            finally:
                guest.close()
        except OSError:
            return -1
        if not extra:
            return -1
        listener = int.from_bytes(extra[0][2][:4], sys.byteorder)
        try:
            seccomp_notify.wake_on_same_processor(listener)
        except OSError:
            pass  # before Linux 6.6
        return listener

    def _serve(self, listener: int) -> None:
        try:
            call = seccomp_notify.receive(listener)
        except OSError:
            return  # the caller was killed meanwhile
        try:
            code = self._carry_out(listener, call)
        except Gone:
            return
        except OSError as error:
            code = error.errno or 0
        try:
            seccomp_notify.answer(listener, call.id, code)
        except OSError:
            pass  # killed while it was answered

    def _carry_out(self, listener: int, call: seccomp_notify.Notification) -> int:
        """0, or the errno that the caller gets; so does that of an OSError."""
        known = self._calls.get((call.architecture, call.number))
        if known is None:
            return errno.ENOSYS
        name, is_narrow = known
        caller = Caller(listener, call)
        words = call.arguments
        if name == "fchown":
            fd, ids = caller.open_descriptor(words[0]), words[1:3]
        elif name == "fchownat":
            fd, ids = caller.open_path(words[1], words[0], words[4]), words[2:4]
        else:
            fd, ids = caller.open_path(words[0], follows=name == "chown"), words[1:3]
        if fd < 0:
            return 0
        try:
            return self._change(fd, *(_id(value, is_narrow) for value in ids))
        finally:
            os.close(fd)

    def _change(self, fd: int, uid: int, gid: int) -> int:
        """Records the owner of what is the container's own, and a regular file or directory; all else stays."""
        mode, mount, _ = mode_and_mount(fd)
        is_file = stat.S_ISREG(mode)
        if mount not in self._mounts or not (is_file or stat.S_ISDIR(mode)):
            return 0
        path = f"/proc/self/fd/{fd}"
        try:
            if is_file and mode & _EXECUTABLE:
                # The kernel's own consequences of chown(2): set-user-ID bits and file capabilities go.
                os.chown(path, -1 if uid == _KEEP else 0, -1 if gid == _KEEP else 0)
                mode = os.stat(path).st_mode
            if uid == _KEEP and gid == _KEEP:
                return 0
            if _KEEP in (uid, gid):
                before = recorded(path) or (0, 0)
                uid, gid = before[0] if uid == _KEEP else uid, before[1] if gid == _KEEP else gid
            record(path, uid, gid, mode)
        except OSError as error:
            return error.errno if error.errno in _TOLD else 0
        return 0


def _id(value: int, is_narrow: bool) -> int:
    if is_narrow:
        value &= 0xFFFF
        return _KEEP if value == 0xFFFF else value
    return value & 0xFFFFFFFF


def _numbers() -> dict[tuple[int, int], tuple[str, bool]]:
    """(AUDIT_ARCH, number) -> name and whether its ids have 16 bits, of the calls that change owners."""
    from crate.linux.syscall_table import numbers
    from crate.runtime.seccomp_assembler import MACHINES, X32_BIT

    found = {}
    for architecture, audit in MACHINES[os.uname().machine].items():
        table = numbers(architecture)
        base = X32_BIT if architecture == "X32" else 0
        for name in _NAMES:
            for full, is_narrow in ((name, f"{name}32" in table), (f"{name}32", False)):
                if full in table:
                    found[audit, base + table[full]] = (name, is_narrow)
    return found
