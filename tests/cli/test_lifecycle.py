"""create, start, stop, kill, wait, rm: their effects, what they print, their exit statuses."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")
SLEEP = (IMAGE, "sleep", "1000")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def _state(crate: Crate, name: str) -> str:
    state = crate.inspect(name)["State"]
    return f"{state['Status']} {state['ExitCode']}"


def test_create_and_start(crate: Crate) -> None:
    made = crate.ok("create", "--name", "job", *NONE, IMAGE, "sh", "-c", "echo hello; echo $$ > /file; exit 3")
    assert len(made) == 64 and _state(crate, "job") == "created 0"
    assert crate.ok("ps", "--quiet") == ""
    result = crate("start", "--attach", "job")
    assert (result.status, result.out) == (3, "hello\n")
    assert _state(crate, "job") == "exited 3"
    assert crate.ok("start", "job", made[:10]) == f"job\n{made[:10]}"
    assert crate.ok("wait", "job") == "3"
    assert crate.ok("logs", "job") == "hello\nhello"
    assert "no such container" in crate.fails(125, "start", "nobody")


def test_input_of_a_created_one(crate: Crate) -> None:
    crate.ok("create", "-i", "--name", "reader", *NONE, IMAGE, "cat")
    assert crate.ok("start", "-ai", "reader", input="typed") == "typed"
    assert crate.ok("start", "-i", "reader", input="again") == "again"


def test_files_survive_a_stop(crate: Crate) -> None:
    crate.ok("run", "--name", "keeper", *NONE, IMAGE, "sh", "-c", "echo x >> /file; wc -l < /file")
    assert crate.ok("start", "-a", "keeper") == "2"
    assert crate.ok("start", "-a", "keeper") == "3"


def test_stop_and_kill(crate: Crate) -> None:
    for name in ("one", "two", "three"):
        crate.ok("run", "-d", "--name", name, *NONE, *SLEEP)
    assert crate.ok("stop", "-t", "0", "one") == "one" and _state(crate, "one") == "exited 137"
    assert crate.ok("stop", "--time", "0", "one") == "one"
    assert crate.ok("kill", "two") == "two" and crate.ok("wait", "two") == "137"
    assert "not running" in crate.fails(125, "kill", "two")
    assert "WRONG" in crate.fails(125, "kill", "-s", "WRONG", "three")
    assert crate.ok("kill", "--signal", "9", "three") == "three"
    result = crate("stop", "-t", "0", "one", "nobody")
    assert (result.status, result.out) == (125, "one\n") and "nobody" in result.err
    assert crate.ok("stop", "--ignore", "nobody") == ""


def test_kill_with_a_signal_that_is_caught(crate: Crate) -> None:
    script = "trap 'echo hup' HUP; trap 'exit 4' TERM; echo ready; while true; do sleep 0.05; done"
    crate.ok("run", "-d", "--name", "catcher", *NONE, IMAGE, "sh", "-c", script)
    crate.await_line("catcher", "ready")
    crate.ok("kill", "-s", "SIGHUP", "catcher")
    crate.await_line("catcher", "hup")
    assert crate.ok("stop", "catcher") == "catcher" and _state(crate, "catcher") == "exited 4"


def test_wait(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "first", *NONE, IMAGE, "sh", "-c", "exit 1")
    crate.ok("run", "-d", "--name", "second", *NONE, IMAGE, "sh", "-c", "sleep 0.3; exit 2")
    assert crate.ok("wait", "second", "first") == "2\n1"
    waiting = crate.popen("wait", "third")
    assert waiting.wait(60) == 125
    crate.ok("create", "--name", "third", *NONE, *SLEEP)
    waiting = crate.popen("wait", "--condition", "running", "third")
    crate.ok("start", "third")
    assert waiting.communicate(timeout=60)[0] == "-1\n"
    crate.ok("kill", "third")


def test_remove(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "busy", *NONE, *SLEEP)
    crate.ok("create", "--name", "idle", *NONE, *SLEEP)
    assert "as it is running" in crate.fails(2, "rm", "busy")
    assert "nobody" in crate.fails(1, "rm", "nobody")
    assert crate.ok("rm", "--force", "nobody") == "" == crate.ok("rm", "--ignore", "nobody")
    assert crate.ok("rm", "idle") == "idle" and crate.ok("rm", "-f", "-t", "0", "busy") == "busy"
    assert crate.ok("ps", "-aq") == ""
    assert "at least one name" in crate.fails(125, "rm")


def test_rm_removes_itself(crate: Crate) -> None:
    crate.ok("run", "--rm", "-d", "--name", "brief", *NONE, IMAGE, "sh", "-c", "read line < /dev/zero; true")
    crate.ok("kill", "brief")
    assert crate("wait", "brief").status in (0, 125)
    assert crate.ok("run", "--rm", "--name", "brief", *NONE, IMAGE, "echo", "again") == "again"
    assert crate.ok("ps", "-aq") == ""
    assert "conflicting" in crate.fails(125, "run", "--rm", "--restart", "always", *NONE, IMAGE, "true").lower()


def test_names(crate: Crate) -> None:
    crate.ok("create", "--name", "taken", *NONE, *SLEEP)
    assert "already in use" in crate.fails(125, "run", "--name", "taken", *NONE, *SLEEP)
    assert crate.ok("ps", "-a", "--format", "{{.Names}}") == "taken"
    for name in ("a/b", "-x", ".x", "a b", "é"):
        assert name in crate.fails(125, "create", "--name", name, *NONE, *SLEEP)
    drawn = crate.inspect(crate.ok("create", *NONE, *SLEEP))["Name"]
    adjective, _, surname = drawn.partition("_")
    assert adjective and surname
    replaced = crate.ok("create", "--name", "taken", "--replace", *NONE, *SLEEP)
    assert crate.inspect("taken")["Id"] == replaced
    assert "--name" in crate.fails(125, "create", "--replace", *NONE, *SLEEP)


def test_id_file(crate: Crate, tmp_path: Path) -> None:
    path = tmp_path / "id"
    made = crate.ok("run", "-d", "--cidfile", str(path), *NONE, *SLEEP)
    assert path.read_text() == made
    assert str(path) in crate.fails(125, "run", "--cidfile", str(path), *NONE, *SLEEP)
    assert crate.ok("kill", "--cidfile", str(path)) == made
    crate.ok("wait", made)
    assert crate.ok("rm", "--cidfile", str(path)) == made
    path.unlink()
    assert "nowhere" in crate.fails(125, "run", "--cidfile", "/nowhere/id", *NONE, *SLEEP)
    crate.fails(125, "run", "--cidfile", str(path), "--memory", "1", *NONE, *SLEEP)
    assert not path.exists() and crate.ok("ps", "-aq") == ""


def test_all_latest_and_filters(crate: Crate) -> None:
    for name in ("one", "two"):
        crate.ok("create", "--name", name, "--label", f"is={name}", *NONE, *SLEEP)
    assert crate.ok("start", "--filter", "label=is=one")
    assert crate.ok("ps", "--format", "{{.Names}}") == "one"
    assert crate.ok("start", "--all")
    assert crate.ok("ps", "-q").count("\n") == 1
    assert crate.ok("kill", "--latest") and crate.ok("wait", "two") == "137"
    assert crate.ok("stop", "-t", "0", "--all")
    assert len(crate.ok("rm", "--all").split()) == 2
    assert "cannot be used together" in crate.fails(125, "rm", "--all", "--latest")


def test_start_failures_leave_the_container(crate: Crate) -> None:
    crate.ok("create", "--name", "wrong", *NONE, IMAGE, "no-such-program")
    assert "no-such-program" in crate.fails(127, "start", "--attach", "wrong")
    assert "no-such-program" in crate.fails(125, "start", "wrong")
    state = crate.inspect("wrong")["State"]
    assert state["Status"] == "created" and state["ExitCode"] == 127 and "no-such-program" in state["Error"]


def test_group_spellings(crate: Crate) -> None:
    crate.ok("container", "create", "--name", "spelled", *NONE, IMAGE, "echo", "hi")
    assert crate.ok("container", "ls", "-a", "--format", "{{.Names}}") == "spelled"
    assert crate("container", "exists", "spelled").status == 0 and crate("container", "exists", "other").status == 1
    assert crate.ok("container", "start", "-a", "spelled") == "hi" == crate.ok("container", "logs", "spelled")
    assert crate.ok("container", "wait", "spelled") == "0"
    assert crate.ok("container", "inspect", "-f", "{{.State.Status}}", "spelled") == "exited"
    assert crate.ok("container", "stop", "spelled") == "spelled" == crate.ok("container", "rm", "spelled")
    assert crate.ok("container", "run", "--rm", *NONE, IMAGE, "echo", "hi") == "hi"


def test_several_are_asked_to_stop_at_once(crate: Crate) -> None:
    for name in ("one", "two", "three"):
        crate.ok("run", "-d", "--name", name, *NONE, *SLEEP)  # which, as pid 1, does not hear SIGTERM
    begin = time.monotonic()
    assert crate.ok("stop", "-t", "2", "one", "two", "three") == "one\ntwo\nthree"
    assert time.monotonic() - begin >= 2
    ends = [datetime.fromisoformat(crate.inspect(name)["State"]["FinishedAt"][:26]) for name in ("one", "two", "three")]
    assert (max(ends) - min(ends)).total_seconds() < 2, "one after the other they would end two seconds apart"


def test_timeout_ends_it(crate: Crate) -> None:
    """podman's: killed, status -1, and 255 for the caller; before and after the monitor's hand-over."""
    for name, seconds in (("short", "1"), ("long", "2")):
        began = time.monotonic()
        done = crate("run", "--name", name, *NONE, "--timeout", seconds, IMAGE, "sleep", "60")
        assert done.status == 255 and time.monotonic() - began >= int(seconds)
        found = crate.inspect(name)
        assert (found["State"]["Status"], found["State"]["ExitCode"]) == ("exited", -1)
        assert found["Config"]["Timeout"] == int(seconds) and crate.ok("wait", name) == "-1"
    assert crate.ok("run", "--rm", *NONE, "--timeout", "60", IMAGE, "echo", "done") == "done"
    assert "timeout" in crate.fails(125, "run", *NONE, "--timeout", "-1", IMAGE, "true")
