"""pause and unpause: what stands still in a paused container, and what other commands answer for one."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from program import until

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")
COUNT = ("sh", "-c", "trap 'exit 4' TERM; echo ready; while true; do echo x >> /count; sleep 0.01; done")

pytestmark = pytest.mark.requires("busybox")


@pytest.fixture
def counter(crate: Crate, busybox: str) -> Path:
    """The file that the container "ct" makes longer all the time."""
    container = crate.ok("run", "-d", "--name", "ct", *NONE, IMAGE, *COUNT)
    crate.await_line("ct", "ready")
    return crate.root / "containers" / container / "upper" / "count"


def _grows(path: Path) -> bool:
    before = path.stat().st_size
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        if path.stat().st_size > before:
            return True
        time.sleep(0.01)
    return False


def _state(crate: Crate, name: str = "ct") -> str:
    return str(crate.inspect(name)["State"]["Status"])


@pytest.mark.requires("root", "overlay")
def test_a_paused_container_stands_still(crate: Crate, counter: Path) -> None:
    assert crate.ok("pause", "ct") == "ct"
    assert not _grows(counter)
    state = crate.inspect("ct")["State"]
    assert (state["Status"], state["Paused"], state["Running"]) == ("paused", True, True)
    status, _, shown = crate.ok("ps", "--format", "{{.Status}}|{{.State}}").partition("|")
    assert "Paused" in status and shown == "paused"
    assert crate.ok("ps", "-q", "-f", "status=paused") and not crate.ok("ps", "-q", "-f", "status=running")
    assert "already paused" in crate.fails(125, "pause", "ct")
    assert "unpause" in crate.fails(125, "exec", "ct", "true")
    assert "unpause" in crate.fails(125, "start", "ct")
    assert "paused" in crate.fails(2, "rm", "ct")
    assert crate.ok("logs", "ct") == "ready"
    assert crate.ok("unpause", "ct") == "ct"
    until(lambda: _grows(counter))
    assert _state(crate) == "running" and crate.ok("exec", "ct", "echo", "in") == "in"
    assert "not paused" in crate.fails(125, "unpause", "ct")


@pytest.mark.requires("root", "overlay")
def test_signals_of_a_paused_container(crate: Crate, counter: Path) -> None:
    """As docker: what is to end it thaws it, other signals wait."""
    crate.ok("pause", "ct")
    crate.ok("kill", "-s", "USR1", "ct")
    assert _state(crate) == "paused"
    assert crate.ok("kill", "-s", "TERM", "ct") == "ct"
    assert crate.ok("wait", "ct") == "4"
    crate.ok("start", "ct")
    crate.ok("pause", "ct")
    assert crate.ok("kill", "ct") == "ct" and crate.ok("wait", "ct") == "137"


@pytest.mark.requires("root", "overlay")
def test_stop_and_rm_of_a_paused_container(crate: Crate, counter: Path) -> None:
    crate.ok("pause", "ct")
    assert crate.ok("stop", "ct") == "ct"
    assert crate.inspect("ct")["State"]["ExitCode"] == 4, "it got its stop signal, not SIGKILL"
    crate.ok("start", "ct")
    assert _state(crate) == "running", "the mark of the last time does not count"
    crate.ok("pause", "ct")
    crate.ok("stop", "-t", "0", "ct")
    crate.ok("start", "ct")
    crate.ok("pause", "ct")
    assert crate.ok("rm", "-f", "ct") == "ct" and crate.ok("ps", "-aq") == ""


@pytest.mark.requires("root", "overlay")
def test_which_are_meant(crate: Crate, busybox: str, tmp_path: Path) -> None:
    names = ("one", "two", "three")
    for name in names:
        cidfile = str(tmp_path / name)
        crate.ok("run", "-d", "--name", name, "-l", f"n={name}", "--cidfile", cidfile, *NONE, IMAGE, "sleep", "1000")
    crate.ok("create", "--name", "idle", *NONE, IMAGE, "true")

    def paused() -> list[str]:
        return crate.ok("ps", "-f", "status=paused", "--format", "{{.Names}}", "--sort", "names").split()

    crate.ok("pause", "--filter", "label=n=two")
    assert paused() == ["two"]
    crate.ok("pause", "--cidfile", str(tmp_path / "one"))
    assert paused() == ["one", "two"]
    assert crate.ok("container", "pause", "--all") == (tmp_path / "three").read_text(), "what runs, and only that"
    assert paused() == ["one", "three", "two"]
    assert len(crate.ok("unpause", "-a").split()) == 3 and paused() == []
    assert "not running" in crate.fails(125, "pause", "--latest")
    assert "at least one name" in crate.fails(125, "pause")
    result = crate("pause", "nobody", "one")
    assert (result.status, result.out) == (125, "one\n") and "no such container" in result.err


@pytest.mark.requires("root", "overlay")
def test_the_monitor_of_a_paused_container_is_killed(crate: Crate, counter: Path) -> None:
    crate.ok("pause", "ct")
    os.kill(crate.inspect("ct")["State"]["ConmonPid"], signal.SIGKILL)
    until(lambda: _state(crate) == "exited")
    assert crate.inspect("ct")["State"]["ExitCode"] == 137
    assert crate.ok("rm", "ct") == "ct"


@pytest.mark.requires("root", "overlay", "strace")
@pytest.mark.parametrize(("call", "number"), [("rename", 1), ("flock", 1), ("unlink", 1)])
def test_pause_is_killed(crate: Crate, counter: Path, call: str, number: int) -> None:
    """Whatever it had done, the state is the truth and can be changed."""
    for verb in ("pause", "unpause"):
        subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={call}:signal=SIGKILL:when={number}",
             *crate.command(verb, "ct")],
            env=crate.environment, cwd=crate.place, capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        if _state(crate) == "running":
            until(lambda: _grows(counter))
        else:
            assert not _grows(counter)
    if _state(crate) == "running":
        crate.ok("pause", "ct")
    assert not _grows(counter)
    crate.ok("unpause", "ct")
    until(lambda: _grows(counter))


@pytest.mark.requires("root", "overlay", "cgroup-v1")
def test_where_only_v1_is_mounted(crate: Crate, busybox: str) -> None:
    """The v1 freezer: a frozen process is not even killed before it is thawed."""
    if not Path("/sys/fs/cgroup/unified").is_mount():
        pytest.skip("there is no v2 mount to leave")

    def only_v1(*arguments: str) -> str:
        script = 'umount -a -t cgroup2 && exec "$@"'  # another test may have mounted it elsewhere, too
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script, "sh", *crate.command(*arguments)],
            env=crate.environment, cwd=crate.place, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    for last in (["stop", "ct"], ["kill", "ct"], ["rm", "-f", "ct"]):
        only_v1("run", "-d", "--name", "ct", *NONE, IMAGE, *COUNT)
        only_v1("pause", "ct")
        group = Path("/sys/fs/cgroup/freezer", crate.inspect("ct")["State"]["CgroupPath"].strip("/"), "freezer.state")
        assert group.read_text() == "FROZEN\n" and _state(crate) == "paused"
        assert only_v1(*last) == "ct"
        if last[0] != "rm":
            until(lambda: _state(crate) == "exited")
            crate.ok("rm", "ct")


@pytest.mark.requires("unprivileged-user")
def test_of_an_ordinary_user(rootless_crate: Crate) -> None:
    """Where a v2 group was delegated; else it is refused, and nothing is frozen."""
    rootless_crate.ok("run", "-d", "--name", "ct", *NONE, IMAGE, *COUNT)
    if rootless_crate.inspect("ct")["State"]["CgroupPath"]:
        rootless_crate.ok("pause", "ct")
        assert _state(rootless_crate, "ct") == "paused"
        rootless_crate.ok("unpause", "ct")
    else:
        assert "freezer" in rootless_crate.fails(125, "pause", "ct")
    assert _state(rootless_crate, "ct") == "running"
