"""Health checks: by the monitor's clock and by hand, what they find and where it is seen, what follows."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from program import until

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")
OFTEN = ("--health-interval", "100ms", "--health-retries", "2")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def run(crate: Crate, name: str, check: str, *options: str, script: str = "sleep 1000") -> None:
    """A container in which the file /ill makes the check `test ! -e /ill` fail."""
    crate.ok("run", "-d", "--name", name, "--health-cmd", check, *options, *NONE, IMAGE, "sh", "-c", script)


def health(crate: Crate, name: str) -> dict[str, Any]:
    found = crate.inspect(name)["State"]["Health"]
    assert isinstance(found, dict)
    return found


def becomes(crate: Crate, name: str, status: str) -> dict[str, Any]:
    return until(lambda: (found := health(crate, name))["Status"] == status and found, what=f"{name} is {status}")


def statuses(crate: Crate, name: str) -> list[str]:
    form = "{{.HealthStatus}}"
    return crate.ok(
        "events", "--no-stream", "-f", f"container={name}", "-f", "event=health_status", "--format", form
    ).split()


def test_well_and_ill_and_well(crate: Crate) -> None:
    run(crate, "web", "echo looked; test ! -e /ill", *OFTEN)
    found = becomes(crate, "web", "healthy")
    assert (
        found["FailingStreak"] == 0 and found["Log"][-1]["ExitCode"] == 0 and found["Log"][-1]["Output"] == "looked\n"
    )
    assert found["Log"][-1]["Start"] < found["Log"][-1]["End"]
    assert crate.ok("ps", "--format", "{{.Status}}").endswith(" (healthy)")
    assert crate.ok("ps", "-q", "--filter", "health=healthy") and not crate.ok(
        "ps", "-q", "--filter", "health=starting"
    )
    crate.ok("exec", "web", "touch", "/ill")
    found = becomes(crate, "web", "unhealthy")
    assert found["FailingStreak"] >= 2 and found["Log"][-1]["ExitCode"] == 1
    until(lambda: len(health(crate, "web")["Log"]) == 5)
    crate.ok("exec", "web", "rm", "/ill")
    becomes(crate, "web", "healthy")
    assert statuses(crate, "web") == ["healthy", "unhealthy", "healthy"], "changes only"
    assert crate.inspect("web")["State"]["Healthcheck"]["Status"] == "healthy"
    assert crate.inspect("web")["Config"]["Healthcheck"]["Interval"] == 100_000_000
    crate.ok("restart", "-t", "0", "web")
    assert len(health(crate, "web")["Log"]) < 5, "each run begins anew"


def test_by_hand(crate: Crate) -> None:
    run(crate, "web", "test ! -e /ill", "--health-interval", "disable", "--health-retries", "1")
    assert health(crate, "web") == {"Status": "starting", "FailingStreak": 0, "Log": []}
    assert crate.ok("ps", "--format", "{{.Status}}").endswith(" (starting)")
    assert crate.ok("healthcheck", "run", "web") == ""
    assert health(crate, "web")["Status"] == "healthy"
    crate.ok("exec", "web", "touch", "/ill")
    result = crate("healthcheck", "run", "web")
    assert (result.status, result.out) == (1, "unhealthy\n")
    assert health(crate, "web")["Status"] == "unhealthy" and statuses(crate, "web") == ["healthy", "unhealthy"]
    crate.ok("pause", "web")
    assert "is not running" in crate.fails(125, "healthcheck", "run", "web")
    crate.ok("unpause", "web")
    crate.ok("stop", "-t", "0", "web")
    assert "is not running" in crate.fails(125, "healthcheck", "run", "web")
    crate.ok("run", "-d", "--name", "plain", *NONE, IMAGE, "sleep", "1000")
    assert "has no defined healthcheck" in crate.fails(125, "healthcheck", "run", "plain")
    assert "Health" not in crate.inspect("plain")["State"]
    assert "no such container" in crate.fails(125, "healthcheck", "run", "nobody")


def test_one_that_hangs_is_killed(crate: Crate) -> None:
    run(crate, "web", "sleep 777 & sleep 778", "--health-interval", "disable", "--health-timeout", "200ms")
    assert crate("healthcheck", "run", "web").status == 1
    entry = health(crate, "web")["Log"][-1]
    assert entry["ExitCode"] == -1 and "exceeded timeout (0.2s)" in entry["Output"]
    until(lambda: "sleep 77" not in crate.ok("exec", "web", "ps"), what="nothing of it runs on")


def test_forms_of_the_command(crate: Crate) -> None:
    run(crate, "list", '["CMD", "echo", "$HOME"]', "--health-interval", "disable")
    run(crate, "none", "/no/such/check", "--health-interval", "disable")
    run(crate, "user", "id -u", "--health-interval", "disable", "--user", "1234")
    for name in ("list", "none", "user"):
        crate("healthcheck", "run", name)
    assert health(crate, "list")["Log"][-1]["Output"] == "$HOME\n"
    assert health(crate, "none")["Log"][-1]["ExitCode"] == 127
    assert health(crate, "user")["Log"][-1]["Output"] == "1234\n"


def test_the_log_of_checks(crate: Crate, tmp_path: Path) -> None:
    more = ("--health-max-log-count", "2", "--health-max-log-size", "10", "--health-log-destination", str(tmp_path))
    run(crate, "web", "echo 0123456789abcdef", "--health-interval", "disable", *more)
    for _ in range(3):
        crate.ok("healthcheck", "run", "web")
    found = health(crate, "web")
    assert [entry["Output"] for entry in found["Log"]] == ["0123456789"] * 2
    (copy,) = tmp_path.iterdir()
    assert json.loads(copy.read_text()) == found and copy.name == crate.inspect("web")["Id"] + "-healthcheck.log"
    assert "directory" in crate.fails(125, "create", "--health-cmd", "true", "--health-log-destination", "here", IMAGE)


def test_a_start_takes_its_time(crate: Crate) -> None:
    times = ("--health-start-period", "1h", "--health-start-interval", "50ms", "--health-interval", "1h")
    run(crate, "web", "test -e /ready", *times, "--health-retries", "1")
    until(lambda: len(health(crate, "web")["Log"]) > 2)
    found = health(crate, "web")
    assert (found["Status"], found["FailingStreak"]) == ("starting", 0)
    crate.ok("exec", "web", "touch", "/ready")
    becomes(crate, "web", "healthy")


def test_a_paused_one_is_left_alone(crate: Crate) -> None:
    run(crate, "web", "true", *OFTEN, "--health-timeout", "1s")
    becomes(crate, "web", "healthy")
    crate.ok("pause", "web")
    before = health(crate, "web")["Log"][-1]
    until(lambda: health(crate, "web")["Log"][-1] == before)
    crate.ok("unpause", "web")
    until(lambda: health(crate, "web")["Log"][-1]["Start"] > before["Start"])
    assert health(crate, "web")["Status"] == "healthy", "no check that began before has failed by the pause"


@pytest.mark.parametrize("action", ["kill", "stop", "restart"])
def test_what_follows(crate: Crate, action: str) -> None:
    script = "trap 'exit 4' TERM; echo ready; while :; do sleep 0.05; done"
    run(crate, "web", "test ! -e /ill", *OFTEN, "--health-on-failure", action, script=script)
    becomes(crate, "web", "healthy")
    crate.ok("exec", "web", "touch", "/ill")
    if action == "restart":
        until(lambda: crate.inspect("web")["RestartCount"] > 0)
        crate.ok("rm", "-f", "-t", "0", "web")
        return
    assert crate.ok("wait", "web") == ("137" if action == "kill" else "4")
    assert health(crate, "web")["Status"] == "unhealthy"


def test_options(crate: Crate) -> None:
    assert "without a health check" in crate.fails(125, "create", "--health-on-failure", "kill", IMAGE)
    assert "invalid value" in crate.fails(125, "create", "--health-cmd", "true", "--health-on-failure", "cry", IMAGE)
    assert "conflicts" in crate.fails(125, "create", "--no-healthcheck", "--health-cmd", "true", IMAGE)


def test_the_check_of_an_image(crate: Crate) -> None:
    crate.ok("create", "--name", "base", "--health-cmd", "echo from the image", *NONE, IMAGE, "sleep", "1000")
    crate.ok("commit", "base", "checked")
    crate.ok("run", "-d", "--name", "web", *NONE, "checked")
    assert becomes(crate, "web", "healthy")["Log"][0]["Output"] == "from the image\n"
    crate.ok("run", "-d", "--name", "off", "--no-healthcheck", *NONE, "checked")
    assert "Health" not in crate.inspect("off")["State"]


def test_a_killed_check_is_followed_by_another(crate: Crate) -> None:
    run(crate, "web", "test -e /go || sleep 1000", *OFTEN)
    monitor = crate.inspect("web")["State"]["ConmonPid"]

    def check() -> int:
        for pid in Path(f"/proc/{monitor}/task/{monitor}/children").read_text().split():
            with suppress(OSError):  # it has ended
                if Path(f"/proc/{pid}/comm").read_text() == "crate:health\n":
                    return int(pid)
        return 0

    pid = until(check)
    crate.ok("exec", "web", "touch", "/go")
    os.kill(pid, signal.SIGKILL)
    becomes(crate, "web", "healthy")
    assert crate.inspect("web")["State"]["ConmonPid"] == monitor
    crate.ok("rm", "-f", "-t", "0", "web")


@pytest.mark.requires("unprivileged-user")
def test_of_an_ordinary_user(rootless_crate: Crate) -> None:
    crate = rootless_crate
    check = ("--health-cmd", "test ! -e /ill", *OFTEN, "--health-on-failure", "restart", "--stop-timeout", "0")
    crate.ok("run", "-d", "--name", "web", *check, *NONE, IMAGE, "sleep", "1000")
    becomes(crate, "web", "healthy")
    assert crate.ok("healthcheck", "run", "web") == ""
    crate.ok("exec", "web", "touch", "/ill")
    assert until(lambda: (found := crate.inspect("web"))["RestartCount"] and found)["State"]["Health"]
    crate.ok("rm", "-f", "-t", "0", "web")
