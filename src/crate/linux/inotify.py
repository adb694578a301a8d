"""inotify(7): being told when files of a directory change."""

from __future__ import annotations

from crate.linux import libc

IN_MODIFY, IN_MOVED_TO, IN_CREATE, IN_ONLYDIR = 0x2, 0x80, 0x100, 0x1000000
_IN_NONBLOCK, _IN_CLOEXEC = 0o4000, 0o2000000

_init1 = libc.function("inotify_init1", "i")
_add_watch = libc.function("inotify_add_watch", "iPI")


def inotify_init1() -> int:
    """A descriptor that events are read from; it does not block."""
    return libc.check(_init1(_IN_NONBLOCK | _IN_CLOEXEC), "inotify_init1")


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    """Watches a path; gives the number that its events carry."""
    return libc.check(_add_watch(fd, libc.path_bytes(path), mask), "inotify_add_watch", path)
