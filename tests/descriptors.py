"""The open files of this process, so that a test can say what it left open."""

from __future__ import annotations

import os


def opened() -> set[str]:
    """Number and file of each. What others close meanwhile, a server of an earlier test say, is no business of a test:
    compare by `opened() - before`."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
        except OSError:  # the one by which they were listed
            continue
    return found
