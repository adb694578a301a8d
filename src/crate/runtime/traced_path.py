"""What a call of another process means by its descriptors and paths, looked up from outside and without its help.

The caller is hostile: its memory is read once; everything that is found by its number is taken for its own only after
the kernel has said that the call still waits; no step leads out of its mounts, and nothing is ever opened (O_PATH).
What it swaps meanwhile makes it get another file of its own, as it may have it anyway.
"""

from __future__ import annotations

import errno
import os
import stat

from crate.linux import seccomp_notify
from crate.linux.fs import O_PATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

_AT_FDCWD, _AT_EMPTY_PATH, _AT_SYMLINK_NOFOLLOW = -100, 0x1000, 0x100
_PATH_MAX = 4096
_LINKS_MAX = 40
_STEPS_MAX = 4096  # a path has half as many at most; links may bring more, at our expense
_FLAGS = O_PATH | os.O_CLOEXEC
_ONE_STEP = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
_RACES = 16
#: a path of these may mean the one who asks (/proc/self): outside it means nothing
_OF_THE_CALLER = (b"/proc/", b"/dev/fd/")


class Gone(Exception):
    """The call waits no more: its process was killed."""


class Caller:
    """The process behind one notification."""

    def __init__(self, listener_fd: int, call: seccomp_notify.Notification) -> None:
        self._listener_fd = listener_fd
        self._call = call

    def open_descriptor(self, number: int) -> int:
        """What its descriptor leads to, as O_PATH. EBADF (as OSError) where there is none; -1 for what has no path."""
        return self._checked(self._open_own(f"fd/{_signed(number)}", errno.EBADF))

    def open_path(self, address: int, number: int = _AT_FDCWD, flags: int = 0, *, follows: bool = True) -> int:
        """What the path at an address of its memory leads to, as O_PATH, from the directory `number`.

        `flags`: AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH of fchownat(2). -1 where that cannot be told from outside;
        the errno that the caller deserves, as OSError.
        """
        path = self._read_path(address)
        number = _signed(number)
        follows = follows and not flags & _AT_SYMLINK_NOFOLLOW
        if not path and not flags & _AT_EMPTY_PATH:
            raise _failure(errno.ENOENT)
        start = -1
        if not path.startswith(b"/"):
            start = self._open_own("cwd" if number == _AT_FDCWD else f"fd/{number}", errno.EBADF)
        if not path:
            return self._checked(start)
        root = -1
        try:
            root = self._open_own("root", errno.ENOENT)
            self._check()
            return _walk(root, start, path, follows)
        except OSError as error:
            if path.startswith(_OF_THE_CALLER) or error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
                return -1
            if follows and _leads_to_a_link(root, start, path):
                return -1  # /dev/stdout: its target is the caller's
            raise
        finally:
            for fd in (start, root):
                if fd >= 0:
                    os.close(fd)

    def _open_own(self, name: str, code: int) -> int:
        try:
            return os.open(f"/proc/{self._call.pid}/{name}", _FLAGS)
        except OSError as error:
            if error.errno != errno.ENOENT:
                return -1
            self._check()
            raise _failure(code) from None

    def _read_path(self, address: int) -> bytes:
        try:
            fd = os.open(f"/proc/{self._call.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
            try:
                data = os.pread(fd, _PATH_MAX, address)
            finally:
                os.close(fd)
        except (OSError, OverflowError):
            self._check()
            raise _failure(errno.EFAULT) from None
        path, end, _ = data.partition(b"\0")
        if not end:
            raise _failure(errno.ENAMETOOLONG if len(data) == _PATH_MAX else errno.EFAULT)
        return path

    def _checked(self, fd: int) -> int:
        try:
            self._check()
        except Gone:
            if fd >= 0:
                os.close(fd)
            raise
        return fd

    def _check(self) -> None:
        if not seccomp_notify.is_valid(self._listener_fd, self._call.id):
            raise Gone


def _walk(root: int, start: int, path: bytes, follows: bool) -> int:
    flags = _FLAGS if follows else _FLAGS | os.O_NOFOLLOW
    if start < 0:
        return _patiently(root, path, flags, RESOLVE_IN_ROOT)
    try:
        return _patiently(start, path, flags, _ONE_STEP)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    return _step_by_step(root, start, path, follows)


def _step_by_step(root: int, start: int, path: bytes, follows: bool) -> int:
    """A relative path with symbolic links in it, which openat2(2) would resolve beneath the directory it begins at."""
    here, links, steps = os.dup(start), 0, 0
    waiting = path.split(b"/")[::-1]
    try:
        while waiting:
            part = waiting.pop() or b"."
            steps += 1
            if steps > _STEPS_MAX:
                raise _failure(errno.ELOOP)
            step = openat2(here, part, _FLAGS | os.O_NOFOLLOW, _ONE_STEP)
            if stat.S_ISLNK(os.fstat(step).st_mode) and (waiting or follows):
                links += 1
                try:
                    target = os.readlink(b"", dir_fd=step)  # fails for a zombie's /proc/PID/exe
                finally:
                    os.close(step)
                if links > _LINKS_MAX or not target:
                    raise _failure(errno.ELOOP)
                waiting += target.split(b"/")[::-1]
                if target.startswith(b"/"):
                    rest = b"/".join(waiting[::-1])
                    return _patiently(root, rest, _FLAGS if follows else _FLAGS | os.O_NOFOLLOW, RESOLVE_IN_ROOT)
                continue
            os.close(here)
            here = step
    except BaseException:
        os.close(here)
        raise
    return here


def _leads_to_a_link(root: int, start: int, path: bytes) -> bool:
    try:
        fd = _walk(root, start, path, False)
    except OSError:
        return False
    try:
        return stat.S_ISLNK(os.fstat(fd).st_mode)
    finally:
        os.close(fd)


def _patiently(dir_fd: int, path: bytes, flags: int, resolve: int) -> int:
    for _ in range(_RACES):
        try:
            return openat2(dir_fd, path, flags, resolve)
        except OSError as error:
            if error.errno != errno.EAGAIN:  # a rename somewhere on the host, see openat2(2)
                raise
    raise _failure(errno.EAGAIN)


def _signed(number: int) -> int:
    number &= 0xFFFFFFFF
    return number - (1 << 32) if number & 0x80000000 else number


def _failure(code: int) -> OSError:
    return OSError(code, os.strerror(code))
