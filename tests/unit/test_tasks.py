"""The names by which processes of an older crate call a newer one."""

from __future__ import annotations

from crate import tasks

#: a released name is never taken away
RELEASED = {"bury", "check", "owners", "ports", "restart", "resume", "unpack"}


def test_no_task_is_lost() -> None:
    assert {name for name in RELEASED if not callable(getattr(tasks, name, None))} == set()
