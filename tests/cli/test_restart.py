"""restart: what ends and begins again, and for which containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from program import until

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")
SCRIPT = "trap 'echo got TERM; exit 0' TERM; trap 'echo got HUP; exit 0' HUP; echo ready; while :; do sleep 0.02; done"

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def _lines(crate: Crate, name: str, count: int) -> list[str]:
    return until(lambda: (found := crate.ok("logs", name).splitlines())[count - 1 :] and found)


def test_it_ends_and_begins_again(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "web", *NONE, IMAGE, "sh", "-c", SCRIPT)
    crate.await_line("web", "ready")
    before = crate.inspect("web")["State"]
    assert crate.ok("restart", "web") == "web"
    assert _lines(crate, "web", 3) == ["ready", "got TERM", "ready"], "one log"
    after = crate.inspect("web")["State"]
    assert after["Status"] == "running" and after["Pid"] != before["Pid"] and after["StartedAt"] > before["StartedAt"]
    assert crate.ok("container", "restart", "-s", "HUP", "web") == "web"
    assert _lines(crate, "web", 5)[3:] == ["got HUP", "ready"]
    crate.ok("pause", "web")
    assert crate.ok("restart", "-t", "0", "web") == "web"
    assert _lines(crate, "web", 6)[5:] == ["ready"] and crate.inspect("web")["State"]["Status"] == "running"


def test_one_that_does_not_run_is_started(crate: Crate) -> None:
    crate.ok("create", "--name", "job", *NONE, IMAGE, "echo", "hello")
    assert crate.ok("restart", "job") == "job"
    crate.ok("wait", "job")
    assert crate.ok("restart", "job") == "job"
    crate.ok("wait", "job")
    assert crate.ok("logs", "job") == "hello\nhello"
    assert "no such container" in crate.fails(125, "restart", "nobody")
    crate.ok("create", "--name", "broken", *NONE, IMAGE, "/no/such/program")
    assert "no/such/program" in crate.fails(125, "restart", "broken")


def test_which_are_meant(crate: Crate) -> None:
    for name in ("one", "two"):
        crate.ok("run", "-d", "--name", name, *NONE, IMAGE, "sleep", "1000")
    idle = crate.ok("create", "--name", "idle", *NONE, IMAGE, "sleep", "1000")

    def pids() -> dict[str, str]:
        return dict(line.split() for line in crate.ok("ps", "-a", "--format", "{{.Names}} {{.Pid}}").splitlines())

    before = pids()
    assert idle not in crate.ok("restart", "--running", "-t", "0")
    after = pids()
    assert before["one"] != after["one"] and before["two"] != after["two"] and after["idle"] == "0"
    assert len(crate.ok("restart", "--all", "-t", "0").split()) == 3 and pids()["idle"] != "0"
    after = pids()
    crate.ok("restart", "-t", "0", "--filter", "name=two")
    assert pids()["one"] == after["one"] and pids()["two"] != after["two"]
    assert crate.ok("restart", "-t", "0", "--latest") == idle
    assert "cannot be used together" in crate.fails(125, "restart", "--running", "one")
    assert "at least one name" in crate.fails(125, "restart")


def test_one_that_removes_itself_is_there_again(crate: Crate) -> None:
    container = crate.ok("run", "-d", "--rm", "--name", "brief", *NONE, IMAGE, "sh", "-c", SCRIPT)
    crate.await_line("brief", "ready")
    crate.ok("restart", "brief")
    assert crate.inspect("brief")["Id"] == container and crate.inspect("brief")["State"]["Status"] == "running"
    assert _lines(crate, "brief", 3) == ["ready", "got TERM", "ready"]
    crate.ok("stop", "brief")
    until(lambda: crate.ok("ps", "-aq") == "")
