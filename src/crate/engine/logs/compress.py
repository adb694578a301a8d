"""Compressing a log file that was rotated away, in a process of its own: the container goes on writing meanwhile."""

from __future__ import annotations

import os

from crate.engine.offspring import drop_inherited
from crate.linux.process import fork_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def compress(path: str) -> int:
    """Begins to replace `path` by `path`.gz; gives a descriptor whose end of file is the end of that."""
    done_fd, theirs = os.pipe2(os.O_CLOEXEC)

    def child() -> NoReturn:
        # A grandchild is nobody's to reap but init's: the monitor looks for no child but the container.
        def grandchild() -> NoReturn:
            try:
                drop_inherited(theirs)  # who has a pipe or socket of the monitor must see it close
                _compress(path)
            finally:
                os._exit(0)

        fork_child(grandchild)
        os._exit(0)

    pid = fork_child(child)
    os.close(theirs)
    os.waitpid(pid, 0)
    return done_fd


def _compress(path: str) -> None:
    """Process `crate:monitor`, a moment's copy of it: gzip(1) in pieces; its time stays that of the last line."""
    import zlib

    os.nice(10)
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    target = os.open(f"{path}.gz", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    try:
        while data := os.read(source, 1 << 18):
            _write(target, packer.compress(data))
        _write(target, packer.flush())
    except (OSError, zlib.error):
        os.unlink(f"{path}.gz")  # a full disk: the plain file stays
        return
    status = os.fstat(source)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.unlink(path)


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
