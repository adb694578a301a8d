"""Processes that crate starts anew: an interpreter for one task, which shares no memory with who wanted it.

`crate.tasks` has the tasks. Their names are an interface between versions: what has run since before an upgrade names
them to the newer crate, as a monitor does that records its container's end.
"""

from __future__ import annotations

import sys

_RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from crate import tasks; tasks.{}()"
#: all that such a process has of an environment
ENVIRONMENT = {"LC_CTYPE": "C.UTF-8"}


def command(task: str, *arguments: str) -> list[str]:
    """The words for execve(2) of `/proc/self/exe`; the task finds its arguments in `sys.argv[1:]`."""
    directory = __file__.rpartition("/crate/")[0]
    return [sys.executable or "/proc/self/exe", "-I", "-S", "-c", _RUN.format(task), directory, *arguments]
