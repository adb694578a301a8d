"""Where a command writes an archive: a file, which is there whole or not at all, or standard output."""

from __future__ import annotations

import os

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def write(path: str | None, verb: str, act: Callable[[int], object]) -> None:
    """Calls `act` with the descriptor to write to. UsageError for a terminal, or a file that cannot be made."""
    if path is None or path == "-":
        if os.isatty(1):
            raise UsageError(f"refusing to {verb} to terminal. Use -o flag or redirect")
        act(1)
        return
    if os.path.exists(path) and not os.path.isfile(path):
        _write(os.open(path, os.O_WRONLY | os.O_CLOEXEC), act)  # a device, a FIFO
        return
    temporary = f"{os.path.dirname(path) or '.'}/.{os.path.basename(path)}.{os.getpid()}"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {os.strerror(error.errno or 0)}") from None
    try:
        _write(fd, act)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _write(fd: int, act: Callable[[int], object]) -> None:
    try:
        act(fd)
    finally:
        os.close(fd)
