"""wait: conditions, several containers, what is printed for those that are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from program import until

if TYPE_CHECKING:
    import subprocess

    from program import Crate

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")
SLEEP = (IMAGE, "sleep", "1000")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def _ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def await_waiting(process: subprocess.Popen[str]) -> None:
    """Waits until the command has found its container, and sleeps: it looks every 100 ms or asks the monitor."""
    sleeps = ("hrtimer_nanosleep", "common_nsleep", "do_nanosleep", "poll_schedule_timeout", "do_sys_poll")

    def waits() -> bool:
        with open(f"/proc/{process.pid}/wchan") as file:
            return file.read().startswith(sleeps)

    until(waits, what="it waits")


def test_several_in_the_order_of_the_arguments(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "first", *NONE, IMAGE, "sh", "-c", "exit 1")
    crate.ok("run", "-d", "--name", "second", *NONE, IMAGE, "sh", "-c", "sleep 0.3; exit 2")
    assert crate.ok("wait", "second", "first") == "2\n1" and crate.ok("container", "wait", "--latest") == "2"
    result = crate("wait", "first", "nobody", "second")
    assert (result.status, result.out) == (125, "1\n2\n") and "no such container" in result.err
    assert crate.ok("wait", "--ignore", "first", "nobody") == "1\n-1"


def test_states(crate: Crate) -> None:
    crate.ok("create", "--name", "web", *NONE, *SLEEP)
    assert crate.ok("wait", "--condition", "created", "web") == "-1"
    running = crate.popen("wait", "--condition", "running", "--interval", "20ms", "web")
    paused = crate.popen("wait", "--condition=paused", "-i", "20", "web")
    ended = crate.popen("wait", "--condition", "removed,exited", "web")
    assert running.poll() is None
    crate.ok("start", "web")
    assert _ended(running) == (0, "-1\n") and paused.poll() is None
    crate.ok("pause", "web")
    assert _ended(paused) == (0, "-1\n") and ended.poll() is None
    crate.ok("kill", "web")
    assert _ended(ended) == (0, "137\n")
    assert (
        crate.ok("wait", "--condition", "stopped", "web") == "137" == crate.ok("wait", "--condition", "exited", "web")
    )


def test_the_next_end_and_the_removal(crate: Crate) -> None:
    crate.ok("run", "--name", "job", *NONE, IMAGE, "true")
    following = crate.popen("wait", "--condition", "next-exit", "--interval", "20ms", "job")
    gone = crate.popen("wait", "--condition", "removed", "--interval", "20ms", "job")
    assert following.poll() is None
    # the next end is one after it began to wait: a start may have been before
    until(lambda: crate.ok("start", "--attach", "job") == "" and following.poll() is not None)
    assert _ended(following) == (0, "0\n") and gone.poll() is None
    await_waiting(gone)
    crate.ok("rm", "job")
    assert _ended(gone) == (0, "0\n")
    crate.ok("run", "-d", "--rm", "--name", "brief", *NONE, *SLEEP)
    gone = crate.popen("wait", "--condition", "removed", "brief")
    plain = crate.popen("wait", "brief")
    await_waiting(gone)
    await_waiting(plain)
    crate.ok("stop", "-t", "0", "brief")
    assert _ended(gone)[0] == 0 and _ended(plain)[0] in (0, 125)


def test_one_that_is_removed_before_it_ever_ran(crate: Crate) -> None:
    crate.ok("create", "--name", "idle", *NONE, *SLEEP)
    waiting = crate.popen("wait", "idle")
    assert waiting.poll() is None
    crate.ok("rm", "idle")
    status, said = _ended(waiting)
    assert status == 125 and "no such container" in said


def test_what_is_refused(crate: Crate) -> None:
    crate.ok("create", "--name", "idle", *NONE, *SLEEP)
    assert '"asleep"' in crate.fails(125, "wait", "--condition", "asleep", "idle")
    assert "invalid interval" in crate.fails(125, "wait", "--interval", "soon", "idle")
    assert "no health check" in crate.fails(125, "wait", "--condition", "healthy", "idle")
    assert "at least one name" in crate.fails(125, "wait")


def test_health(crate: Crate) -> None:
    check = ("--health-cmd", "test -e /ok", "--health-interval", "100ms", "--health-retries", "1")
    crate.ok("run", "-d", "--name", "web", *NONE, *check, *SLEEP)
    assert crate.ok("wait", "--condition", "unhealthy", "web") == "-1"
    assert crate.ok("ps", "--filter", "health=unhealthy", "--format", "{{.Names}}") == "web"
    waiting = crate.popen("wait", "--condition", "healthy", "web")
    assert waiting.poll() is None
    crate.ok("exec", "web", "touch", "/ok")
    assert _ended(waiting) == (0, "-1\n")
    assert crate.ok("ps", "--filter", "health=healthy", "--format", "{{.Names}}") == "web"
