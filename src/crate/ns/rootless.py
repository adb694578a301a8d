"""The one entry of an ordinary user into root's place: a user namespace that all of this user's crate processes share.

Sibling namespaces with equal maps cannot enter each other, so there is one per user. Its members each hold a shared
flock(2) on a file of the run root, by an open file description of their own; /proc/locks names them. A newcomer joins
the namespace of any member; who gets the lock exclusively is alone and makes a new one. There is no pause process to
lose: the namespace lives as long as a container or a command does, and the next one has the same maps.
"""

from __future__ import annotations

import errno
import os
import time
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock

from crate.errors import HostError
from crate.linux import locks, namespace
from crate.linux.process import fork_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_LOCK, _GATE = "userns", "userns.gate"
_DIRECTORIES = ("/usr/bin", "/bin", "/usr/local/bin")
_TRIES = 20


def enter(runroot: str) -> int:
    """Makes this process root in the user's namespace, in a mount namespace of its own. It has one thread.

    Gives the descriptor of its membership, to be kept open. HostError when user namespaces are forbidden or
    subordinate ids cannot be used.
    """
    fd = _member(runroot)
    try:
        namespace.unshare(namespace.CLONE_NEWNS)
    except OSError as error:
        raise HostError(f"cannot make a mount namespace: {error.strerror}") from None
    return fd


def hold(runroot: str) -> int:
    """A membership of this process's own, for one that was forked by a member; gives its descriptor."""
    fd = _open_lock(runroot)
    flock(fd, LOCK_SH)
    return fd


def _member(runroot: str) -> int:
    """Joins the namespace of another member, or makes one when there is none; gives the membership's descriptor."""
    gate = _open_lock(runroot, _GATE)  # one newcomer at a time: the step from exclusive to shared is not atomic
    locks.take(gate, LOCK_EX, f"{runroot}/{_GATE}")
    try:
        return _pass_gate(runroot)
    finally:
        os.close(gate)


def _pass_gate(runroot: str) -> int:
    for attempt in range(_TRIES):
        fd = _open_lock(runroot)
        try:
            flock(fd, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            # Whoever makes a namespace holds it exclusively until others can join.
            locks.take(fd, LOCK_SH, f"{runroot}/{_LOCK}")
            if _join_member(fd):
                return fd
            os.close(fd)  # the last member has just ended, or is between two forms of itself
            time.sleep(attempt / 200)
            continue
        _create()
        flock(fd, LOCK_SH)
        return fd
    raise HostError("cannot join the user namespace of the other crate processes", "crate ps shows what still runs")


def _open_lock(runroot: str, name: str = _LOCK) -> int:
    # The sticky bit keeps systemd-tmpfiles away from a file in /tmp that nobody touches (docs/decisions/0024): with
    # another lock file there would be another namespace, whose members cannot reach the containers of this one.
    return os.open(f"{runroot}/{name}", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o1600)


def _join_member(lock_fd: int) -> bool:
    return any(_join(pid, lock_fd) for pid in locks.takers(lock_fd)) or any(
        _join(pid, lock_fd) for pid in locks.users(lock_fd)
    )


def _join(pid: int, lock_fd: int) -> bool:
    """Becomes root in the user namespace of a member, if that is another than this one's.

    Who took the lock may have ended, and its number be that of a stranger: a member has the file open.
    """
    try:
        fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if os.fstat(fd).st_ino == os.stat("/proc/self/ns/user").st_ino:
            return False
        if not locks.has_open(pid, lock_fd):
            return False
        namespace.setns(fd, namespace.CLONE_NEWUSER)
    except OSError:
        return False
    finally:
        os.close(fd)
    _become_root()
    return True


def _create() -> None:
    """Makes the namespace and maps the user's own id to 0, the subordinate ones to 1 and up.

    A process cannot write the map of many ids for itself: a child that stays outside has newuidmap(1) do it.
    """
    own = os.getuid(), os.getgid()  # afterwards they are 65534 until they are mapped
    maps = _maps(*own)
    ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
    complaint_fd = os.memfd_create("complaint", os.MFD_CLOEXEC)
    target = os.getpid()

    def child() -> NoReturn:
        os.close(ready_write)
        if not os.read(ready_read, 1):
            os._exit(0)  # there is no namespace to write into
        os.dup2(complaint_fd, 2)
        for program, ranges in maps:
            words = [str(number) for line in ranges for number in line]
            if os.spawnv(os.P_WAIT, program, [program, str(target), *words]):
                os._exit(1)
        os._exit(0)

    helper = fork_child(child) if maps else -1
    os.close(ready_read)
    try:
        _unshare()
        if helper >= 0:
            os.write(ready_write, b"1")
            _, status = os.waitpid(helper, 0)
            helper = -1
            if status:
                raise _refused(os.pread(complaint_fd, 4096, 0).decode(errors="replace"))
        else:
            _map_single_id(*own)
    finally:
        os.close(ready_write)
        os.close(complaint_fd)
        if helper >= 0:
            os.waitpid(helper, 0)
    _become_root()


def _unshare() -> None:
    try:
        namespace.unshare(namespace.CLONE_NEWUSER)
    except OSError as error:
        reason = "there are too many, or none is allowed" if error.errno == errno.ENOSPC else error.strerror
        raise HostError(
            f"cannot make a user namespace: {reason}",
            "an administrator may allow it: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
            "kernel.apparmor_restrict_unprivileged_userns; crate doctor tells which",
        ) from None


def _maps(uid: int, gid: int) -> list[tuple[str, list[tuple[int, int, int]]]]:
    """newuidmap and newgidmap with the lines (id inside, id outside, count) that each is to write; nothing for a user
    who has no subordinate ids. HostError where there are such ids and no program that may map them."""
    maps = []
    for program, path, own in (("newuidmap", "/etc/subuid", uid), ("newgidmap", "/etc/subgid", gid)):
        lines, inside = [(0, own, 1)], 1
        for start, count in _subordinate(path, uid):
            lines.append((inside, start, count))
            inside += count
        maps.append((program, lines))
    if any(len(lines) == 1 for _, lines in maps):
        return []
    found = [(_find(program), lines) for program, lines in maps]
    for (program, _), (path, _) in zip(maps, found, strict=True):
        if not path:
            raise HostError(
                f"cannot map the subordinate ids of this user: no program {program}",
                "install the package uidmap (apt install uidmap)",
            )
    return found


def _refused(complaint: str) -> HostError:
    reason = complaint.strip().splitlines()[-1:] or ["newuidmap or newgidmap gave no reason"]
    return HostError(
        f"cannot map the subordinate ids of this user: {reason[0]}",
        "/etc/subuid and /etc/subgid must give this user ranges that nobody else has; newuidmap and newgidmap "
        "(package uidmap) must be setuid root; crate doctor tells which is missing",
    )


def _map_single_id(uid: int, gid: int) -> None:
    """Without subordinate ids only the user's own are there: images with other owners are unpacked as the user's."""
    for name, text in (("uid_map", f"0 {uid} 1\n"), ("setgroups", "deny"), ("gid_map", f"0 {gid} 1\n")):
        try:
            fd = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, text.encode())
            os.close(fd)
        except OSError as error:
            raise HostError(f"cannot write the {name} of the user namespace: {error.strerror}") from None


def denies_groups() -> bool:
    """Whether no process here can choose its groups (user_namespaces(7)): so it is where a single id is mapped."""
    with open("/proc/self/setgroups", encoding="ascii") as file:
        return file.read().strip() == "deny"


def _become_root() -> None:
    """The user's groups stay: they open what they opened before. Init drops them, where the namespace allows it."""
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _subordinate(path: str, uid: int) -> list[tuple[int, int]]:
    """The ranges of subuid(5): (first id, count), by the user's name or number."""
    from pwd import getpwuid

    try:
        names = {str(uid), getpwuid(uid).pw_name}
    except KeyError:
        names = {str(uid)}
    ranges = []
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                fields = line.strip().split(":")
                if len(fields) == 3 and fields[0] in names and fields[1].isdigit() and fields[2].isdigit():
                    ranges.append((int(fields[1]), int(fields[2])))
    except OSError:
        return []
    return ranges


def _find(program: str) -> str:
    for directory in _DIRECTORIES:
        if os.access(f"{directory}/{program}", os.X_OK):
            return f"{directory}/{program}"
    return ""
