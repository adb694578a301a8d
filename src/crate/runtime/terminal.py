"""Pseudo terminals: one from the container's own devpts, its size, its owner, the controlling terminal."""

from __future__ import annotations

import fcntl
import os
from struct import pack

from crate.runtime.paths import open_in_root
from crate.runtime.sync import SetupError

_TIOCSPTLCK = 0x40045431
_TIOCGPTPEER = 0x5441
_TIOCSCTTY = 0x540E
_TIOCSWINSZ = 0x5414


def open_terminal(root_fd: int) -> tuple[int, int]:
    """Master and slave of a new pty of the devpts at /dev/pts beneath the root.

    The slave comes from TIOCGPTPEER (Linux 4.13): no path that the container could have replaced.
    """
    try:
        master = open_in_root(root_fd, "dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY)
        fcntl.ioctl(master, _TIOCSPTLCK, pack("=i", 0))
        slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise SetupError("cannot open a terminal in the container's /dev/pts", error) from None
    return master, slave


def resize(fd: int, rows: int, columns: int) -> None:
    """TIOCSWINSZ of ioctl_tty(2)."""
    fcntl.ioctl(fd, _TIOCSWINSZ, pack("=4H", rows & 0xFFFF, columns & 0xFFFF, 0, 0))


def take(slave: int) -> None:
    """Makes the slave the standard streams and the controlling terminal of this session leader."""
    fcntl.ioctl(slave, _TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    if slave > 2:
        os.close(slave)
