"""Locks on objects and leases on work: flock(2), freed by the kernel when its holder dies.

    order:  store < image < network < sandbox < container      (take them in this order, never backwards)

A lock is that of the object's own directory. It is never held across a pull, a copy, a commit or a fork (the child
would hold it on): leases, which are files in the run root, protect those. Readers take none: what they read was renamed
into place whole. One exception: a container that does not run is locked while its files are read or written, since its
overlay must not be mounted twice (docs/decisions/0025).
"""

from __future__ import annotations

import os
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock

from crate.storage.durable import RUN_FILE_MODE


class Lock:
    """The lock of one directory, held inside `with Lock(path):`.

    The directory may be replaced or removed while we wait, so its inode is looked at again afterwards: the lock that
    counts is that of the directory that is there now. FileNotFoundError: the object is gone.
    """

    __slots__ = ("_mode", "fd", "path")
    _flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

    def __init__(self, path: str, shared: bool = False) -> None:
        self.path = path
        self.fd = -1
        self._mode = LOCK_SH if shared else LOCK_EX

    def _open(self) -> int:
        return os.open(self.path, self._flags)

    def acquire(self, wait: bool = True) -> bool:
        """Takes the lock; without `wait` False when another process has it."""
        while True:
            fd = self._open()
            try:
                try:
                    flock(fd, self._mode | LOCK_NB)
                except BlockingIOError:
                    if not wait:
                        os.close(fd)
                        return False
                    from crate.linux.locks import take

                    take(fd, self._mode, self.path)
                held, there = os.fstat(fd), os.lstat(self.path)
            except BaseException:
                os.close(fd)
                raise
            if held.st_ino == there.st_ino and held.st_dev == there.st_dev:
                self.fd = fd
                return True
            os.close(fd)

    def release(self) -> None:
        """Gives the lock up; again is harmless."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


class Lease(Lock):
    """A lock that may be held for long: a file in the run root, made on demand and left there."""

    __slots__ = ()
    _flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC

    def _open(self) -> int:
        try:
            return os.open(self.path, self._flags, RUN_FILE_MODE)
        except FileNotFoundError:
            # The cleaning of /tmp takes empty directories that were not used for days: docs/decisions/0024.
            os.makedirs(os.path.dirname(self.path), 0o700, exist_ok=True)
            return os.open(self.path, self._flags, RUN_FILE_MODE)
