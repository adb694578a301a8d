"""When the health of a container is checked: the monitor's part, which only a container with a check loads.

Each check is a process of its own, `crate:health` (check.py), that ends with its result on disk: between two of them
nothing of it is in memory, and what goes wrong in one harms no monitor.
"""

from __future__ import annotations

import _signal
import os
import select
import time

from crate import fresh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: docker's defaults
_INTERVAL_SECONDS, _START_INTERVAL_SECONDS = 30.0, 5.0


class Checks:
    """The clock of the checks. `due_at` (CLOCK_MONOTONIC) is the moment of the next; 0 while one runs."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self._facts = facts
        self._pid = 0
        self._pidfd = -1
        self._was_healthy = False
        self.due_at = time.monotonic()

    def register(self, poll: select.poll) -> None:
        """The end of a check wakes the monitor."""
        if self._pidfd >= 0:
            poll.register(self._pidfd, select.POLLIN)

    def step(self) -> None:
        """Buries a check that has ended, begins one whose time has come."""
        pid, status = os.waitpid(self._pid, os.WNOHANG) if self._pid else (0, 0)
        if pid:
            self._was_healthy |= status == 0
            self._forget()
            self.due_at = time.monotonic() + self._interval()
        if not self._pid and time.monotonic() >= self.due_at:
            self._begin()

    def _begin(self) -> None:
        try:
            self._pid = spawn(self._facts["graphroot"], self._facts["runroot"], self._facts["id"])
            self._pidfd = os.pidfd_open(self._pid)
        except OSError:
            self.close()  # no more processes, or descriptors: another time
            self.due_at = time.monotonic() + self._interval()
            return
        self.due_at = 0.0

    def _interval(self) -> float:
        health = self._facts["health"]
        lived = time.time_ns() - self._facts["state"]["started_at"]
        if lived < (health.get("StartPeriod") or 0) and not self._was_healthy:
            return (health.get("StartInterval") or 0) / 1e9 or _START_INTERVAL_SECONDS
        return (health.get("Interval") or 0) / 1e9 or _INTERVAL_SECONDS

    def _forget(self) -> None:
        if self._pidfd >= 0:
            os.close(self._pidfd)
        self._pid, self._pidfd = 0, -1

    def close(self) -> None:
        """The container has ended: so does a check."""
        if self._pid:
            os.kill(self._pid, _signal.SIGKILL)
            os.waitpid(self._pid, 0)
        self._forget()


def spawn(graphroot: str, runroot: str, container_id: str, asked: str = "") -> int:
    """Starts a check; its process. `asked`: by a user, who is told of its output's end by its exit status."""
    words = fresh.command("check", graphroot, runroot, container_id, asked)
    return os.posix_spawn("/proc/self/exe", words, fresh.ENVIRONMENT)
