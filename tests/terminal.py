"""A program on a pseudo terminal, and what a person at it sees and types."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Spawn = Callable[..., "Terminal"]

TIMEOUT_SECONDS = 60.0


class Terminal:
    """A started program; `seen` is what it has written so far and no `expect` has passed over."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], rows: int, columns: int) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], list(command), dict(environment))
        self.seen = ""
        self.status: int | None = None
        self.resize(rows, columns)

    def resize(self, rows: int, columns: int) -> None:
        """Changes the size of the window; the kernel sends SIGWINCH."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Types on the keyboard."""
        os.write(self.fd, text.encode())

    def expect(self, text: str, seconds: float = TIMEOUT_SECONDS) -> str:
        """Waits for `text`; gives what came before it."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            if not self._read(deadline):
                raise AssertionError(f"no {text!r} in {self.seen!r}")
        before, _, self.seen = self.seen.partition(text)
        return before

    def end(self, seconds: float = TIMEOUT_SECONDS) -> tuple[int, str]:
        """Waits for the program's end: its exit status, and what it wrote last."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        while self.status is None and time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.01)
        assert self.status is not None, f"it does not end; it wrote {self.seen!r}"
        return self.status, self.seen

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))
        try:
            data = os.read(self.fd, 65536) if ready else b""
        except OSError:  # EIO: nobody has the other end open
            data = b""
        self.seen += data.decode(errors="replace")
        return bool(data)

    def hang_up(self) -> None:
        """Closes the terminal, as a closed window does."""
        os.close(self.fd)
        self.fd = -1

    def close(self) -> None:
        """Ends it all."""
        if self.status is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        if self.fd >= 0:
            os.close(self.fd)
