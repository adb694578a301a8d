"""--restart: what begins again after its end, how often, and what ends that."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from claims import free_port
from program import until

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def run(crate: Crate, name: str, policy: str, script: str, *options: str) -> None:
    """A detached container of a shell script."""
    crate.ok("run", "-d", "--name", name, "--restart", policy, *(options or NONE), IMAGE, "sh", "-c", script)


def status(crate: Crate, name: str) -> str:
    return str(crate.inspect(name)["State"]["Status"])


def waiting(crate: Crate, name: str, restarts: int = 3) -> dict[str, Any]:
    """Its `inspect`, once it waits for a restart for a while: the waits double."""
    return until(
        lambda: (
            (found := crate.inspect(name))["State"]["Status"] == "restarting"
            and found["RestartCount"] > restarts
            and found
        )
    )


def monitor_of(crate: Crate, name: str) -> int:
    return int(crate.inspect(name)["State"]["ConmonPid"])


def test_failures_are_counted(crate: Crate) -> None:
    run(crate, "job", "on-failure:2", "echo said; echo err >&2; exit 5")
    assert crate.ok("wait", "job") == "5"
    found = crate.inspect("job")
    assert (found["RestartCount"], found["State"]["Status"], found["State"]["ExitCode"]) == (2, "exited", 5)
    assert crate.ok("logs", "job") == "said\nsaid\nsaid", "one log"
    actions = crate.ok("events", "--no-stream", "-f", "container=job", "--format", "{{.Status}}").split()
    assert actions == ["create", "start", "died", "start", "restart", "died", "start", "restart", "died"]
    crate.ok("start", "job")
    crate.ok("wait", "job")
    assert crate.inspect("job")["RestartCount"] == 2, "a start begins to count anew"
    run(crate, "fine", "on-failure", "exit 0")
    assert crate.ok("wait", "fine") == "0" and crate.inspect("fine")["RestartCount"] == 0
    assert "cannot specify both" in crate.fails(125, "run", "--rm", "--restart", "always", IMAGE)


def test_it_is_seen_to_wait(crate: Crate) -> None:
    run(crate, "job", "always", "exit 7")
    found = waiting(crate, "job")
    assert found["State"]["Restarting"] and found["State"]["ExitCode"] == 7 and found["State"]["Pid"] == 0
    line = crate.ok("ps", "--format", "{{.State}} {{.Status}}", "-f", "status=restarting")
    assert line.startswith("restarting Restarting (7) ") or not line, "between two looks it may have begun again"
    waiting(crate, "job")
    assert crate("exec", "job", "true").status != 0
    crate.ok("stop", "-t", "0", "job")
    assert status(crate, "job") == "exited" and crate.inspect("job")["State"]["ExitCode"] in (7, 137)
    crate.ok("start", "job")
    waiting(crate, "job")
    crate.ok("rm", "-f", "-t", "0", "job")


def test_a_user_who_stops_it_has_the_last_word(crate: Crate) -> None:
    run(crate, "web", "always", "trap 'exit 3' TERM HUP; echo ready; while :; do sleep 0.05; done")
    crate.await_line("web", "ready")
    os.kill(crate.inspect("web")["State"]["Pid"], signal.SIGKILL)
    until(lambda: crate.inspect("web")["RestartCount"] == 1 and status(crate, "web") == "running")
    until(lambda: crate.ok("logs", "web").split() == ["ready", "ready"])
    assert crate.ok("stop", "web") == "web"
    found = crate.inspect("web")
    assert (found["State"]["Status"], found["State"]["ExitCode"], found["RestartCount"]) == ("exited", 3, 1)
    crate.ok("start", "web")
    until(lambda: crate.ok("logs", "web").split() == ["ready"] * 3)
    crate.ok("kill", "-s", "HUP", "web")  # it ends by it, but that is not what HUP is for
    until(lambda: crate.inspect("web")["RestartCount"] == 1 and status(crate, "web") == "running")
    crate.ok("kill", "web")
    until(lambda: status(crate, "web") == "exited")
    assert crate.inspect("web")["RestartCount"] == 1
    crate.ok("restart", "web")
    assert status(crate, "web") == "running"


def test_a_policy_comes_and_goes(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "job", *NONE, IMAGE, "sleep", "1000")
    crate.ok("update", "--restart", "always", "job")
    os.kill(crate.inspect("job")["State"]["Pid"], signal.SIGKILL)
    until(lambda: crate.inspect("job")["RestartCount"] == 1 and status(crate, "job") == "running")
    crate.ok("update", "--restart", "no", "job")
    os.kill(crate.inspect("job")["State"]["Pid"], signal.SIGKILL)
    until(lambda: status(crate, "job") == "exited")


def test_a_client_stays(crate: Crate) -> None:
    script = "trap 'exit 9' TERM; echo begun; read line; echo got $line; exit 1"
    process = crate.popen("run", "-i", "--name", "job", "--restart", "always", *NONE, IMAGE, "sh", "-c", script)
    assert process.stdin and process.stdout
    for word in ("one", "two", "three"):
        assert process.stdout.readline() == "begun\n"
        process.stdin.write(f"{word}\n")
        process.stdin.flush()
        assert process.stdout.readline() == f"got {word}\n"
    assert process.stdout.readline() == "begun\n"
    until(lambda: status(crate, "job") == "running")
    process.send_signal(signal.SIGTERM)  # forwarded, to the init of now
    assert process.wait(60) == 9
    assert status(crate, "job") == "exited"


def test_a_client_ends_the_wait(crate: Crate) -> None:
    process = crate.popen("run", "--name", "job", "--restart", "always", *NONE, IMAGE, "sh", "-c", "exit 4")
    until(lambda: crate("container", "exists", "job").status == 0)
    waiting(crate, "job")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 4
    assert status(crate, "job") == "exited"


def test_address_and_ports_are_had_again(crate: Crate) -> None:
    published = f"127.0.0.1:{free_port()}:80"
    crate.ok("run", "-d", "--name", "web", "--restart", "always", "-p", published, IMAGE, "sleep", "1000")
    before = crate.inspect("web")["NetworkSettings"]
    os.kill(crate.inspect("web")["State"]["Pid"], signal.SIGKILL)
    until(lambda: crate.inspect("web")["RestartCount"] == 1 and status(crate, "web") == "running")
    after = crate.inspect("web")["NetworkSettings"]
    assert after["Ports"] == before["Ports"] and after["IPAddress"]
    assert published.removesuffix(":80") in crate.ok("port", "web")
    assert crate.ok("exec", "web", "ip", "-4", "addr", "show", "dev", "eth0").count(after["IPAddress"]) == 1


def test_one_that_cannot_be_restarted(crate: Crate, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("#!/bin/sh\nrm /x/run\nexit 1\n")
    (tmp_path / "run").chmod(0o755)
    crate.ok("run", "-d", "--name", "job", "--restart", "always", *NONE, "-v", f"{tmp_path}:/x", IMAGE, "/x/run")
    state = until(lambda: (found := crate.inspect("job")["State"])["Status"] == "exited" and found)
    assert state["ExitCode"] == 127 and "/x/run" in state["Error"]


@pytest.mark.slow
def test_the_monitor_is_lean_after_a_restart(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "job", "--restart", "always", *NONE, IMAGE, "sleep", "1000")
    monitor = monitor_of(crate, "job")
    for count in (1, 2):
        os.kill(crate.inspect("job")["State"]["Pid"], signal.SIGKILL)
        until(lambda count=count: crate.inspect("job")["RestartCount"] == count)  # type: ignore[misc]
        until(lambda: b"tasks.resume" in Path(f"/proc/{monitor}/cmdline").read_bytes(), what="a lean monitor")
    assert monitor_of(crate, "job") == monitor
    fds = len(os.listdir(f"/proc/{monitor}/fd"))
    os.kill(crate.inspect("job")["State"]["Pid"], signal.SIGKILL)
    until(lambda: crate.inspect("job")["RestartCount"] == 3)
    until(lambda: b"tasks.resume" in Path(f"/proc/{monitor}/cmdline").read_bytes(), what="a lean monitor")
    assert len(os.listdir(f"/proc/{monitor}/fd")) == fds, "no descriptor is left over"


def test_a_monitor_killed_while_it_waits(crate: Crate) -> None:
    run(crate, "job", "always", "exit 6", "-p", f"127.0.0.1:{free_port()}:80")
    found = waiting(crate, "job", 4)
    subprocess.run(["kill", "-9", str(found["State"]["ConmonPid"])], check=True)
    state = until(lambda: (s := crate.inspect("job")["State"])["Status"] == "exited" and s)
    assert "monitor was killed" in state["Error"] and state["ExitCode"] in (6, 137)
    crate.ok("start", "job")
    waiting(crate, "job")
    crate.ok("rm", "-f", "-t", "0", "job")


@pytest.mark.requires("unprivileged-user")
def test_of_an_ordinary_user(rootless_crate: Crate) -> None:
    crate = rootless_crate
    crate.ok("run", "-d", "--name", "job", "--restart", "on-failure:2", *NONE, IMAGE, "sh", "-c", "echo said; exit 5")
    assert crate.ok("wait", "job") == "5"
    assert crate.inspect("job")["RestartCount"] == 2 and crate.ok("logs", "job") == "said\nsaid\nsaid"
