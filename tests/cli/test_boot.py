"""What a reboot, or a cleaned /run, leaves of containers; which of them `start --boot` starts, and what calls it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from claims import free_port
from program import until

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")
OLD_BOOT = "00000000-1111-2222-3333-444444444444"

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def lean(crate: Crate, name: str) -> dict[str, Any]:
    """The state of a container whose monitor has written all that it keeps on the disk."""
    found = crate.inspect(name)
    state: dict[str, Any] = found["State"] | {"Id": found["Id"], "PidFile": found["PidFile"]}
    monitor = Path(f"/proc/{state['ConmonPid']}/cmdline")
    until(lambda: b"tasks.resume" in monitor.read_bytes(), what="a lean monitor")
    return state


def reboot(crate: Crate, *names: str, cleaned: bool) -> None:
    """All that a reboot does to these containers: their processes end, the boot id is another, /run is new."""
    for name in names:
        state = lean(crate, name)
        os.kill(state["ConmonPid"], signal.SIGKILL)
        until(lambda state=state: not Path(f"/proc/{state['Pid']}").exists())  # type: ignore[misc]
        for path in (f"{crate.root}/containers/{state['Id']}/exit.json", state["PidFile"]):
            record = json.loads(Path(path).read_text())
            record.get("state", record)["boot_id"] = OLD_BOOT
            Path(path).write_text(json.dumps(record))
    if cleaned:
        shutil.rmtree(crate.runroot)


def run(crate: Crate, name: str, policy: str, *options: str) -> None:
    crate.ok("run", "-d", "--name", name, "--restart", policy, *(options or NONE), IMAGE, "sleep", "1000")


@pytest.mark.parametrize("cleaned", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_truth_after_a_reboot(crate: Crate, cleaned: bool) -> None:
    port = free_port()
    run(crate, "net", "no", "-p", f"127.0.0.1:{port}:80")
    run(crate, "web", "no")
    crate.ok("create", "--name", "new", *NONE, IMAGE)
    started = crate.inspect("web")["State"]["StartedAt"]
    reboot(crate, "net", "web", cleaned=cleaned)
    assert crate.ok("ps", "-q") == ""
    for name in ("net", "web"):
        state = crate.inspect(name)["State"]
        assert (state["Status"], state["ExitCode"], state["Pid"]) == ("exited", 255, 0)
        assert state["Error"] == "the host was restarted"
    assert state["StartedAt"] == started
    assert crate.inspect("new")["State"]["Status"] == "created"
    assert crate.ok("start", "net", "web", "new").split() == ["net", "web", "new"]
    assert crate.inspect("net")["State"]["Status"] == "running" and str(port) in crate.ok("port", "net")


def test_a_cleaned_run_directory(crate: Crate) -> None:
    run(crate, "web", "no")
    run(crate, "still", "no")
    crate.ok("pause", "still")
    states = {name: lean(crate, name) for name in ("web", "still")}
    for path in crate.runroot.glob("containers/*/*"):
        path.unlink()
    for name, status in (("web", "running"), ("still", "paused")):
        state = crate.inspect(name)["State"]
        assert (state["Status"], state["Pid"]) == (status, states[name]["Pid"])
    assert crate.ok("exec", "web", "echo", "fine") == "fine"
    crate.ok("stop", "-t", "0", "web")
    until(lambda: crate.inspect("web")["State"]["Status"] == "exited")
    assert crate.inspect("web")["State"]["ExitCode"] == 137
    crate.ok("rm", "-f", "-t", "0", "still")


def test_what_starts_at_a_boot(crate: Crate) -> None:
    run(crate, "failure", "on-failure")
    run(crate, "always", "always")
    run(crate, "unless", "unless-stopped")
    run(crate, "stopped", "unless-stopped")
    run(crate, "asked", "always")
    crate.ok("create", "--name", "new", "--restart", "always", *NONE, IMAGE)
    crate.ok("stop", "-t", "0", "stopped", "asked")
    reboot(crate, "failure", "always", "unless", cleaned=True)
    assert crate.ok("start", "--boot").split() == ["always", "unless", "asked"]
    assert crate.ok("start", "--boot") == "", "they run"
    running = crate.ok("ps", "--format", "{{.Names}}").split()
    assert sorted(running) == ["always", "asked", "unless"]
    assert crate.inspect("always")["RestartCount"] == 0
    crate.ok("start", "stopped")
    reboot(crate, "stopped", cleaned=False)
    assert crate.ok("start", "--boot") == "stopped", "a start by a user is the last word too"
    assert "cannot be used together" in crate.fails(125, "start", "--boot", "always")


def test_the_order_of_a_boot(crate: Crate) -> None:
    run(crate, "base", "always")
    run(crate, "top", "always", "--network", "container:base")
    (crate.place / "there").mkdir()
    run(crate, "broken", "always", "-v", f"{crate.place}/there:/x")
    reboot(crate, "top", "base", "broken", cleaned=True)
    # Made anew, the base is the younger of the two.
    path = crate.root / "containers" / crate.inspect("base")["Id"] / "container.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"created": record["created"] + 3600 * 10**9}))
    (crate.place / "there").rmdir()
    (crate.place / "there").symlink_to("/no/such/place")
    result = crate("start", "--boot")
    assert result.status == 125 and "/there" in result.err and "Traceback" not in result.err
    assert result.out.split() == ["base", "top"]
    crate.ok("rm", "-f", "-t", "0", "top", "base")


def test_what_calls_it(crate: Crate, tmp_path: Path) -> None:
    unit = crate.ok("system", "install-boot", "--print", "--by", "systemd")
    (line,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    words = line.removeprefix("ExecStart=").split()
    assert words[-2:] == ["start", "--boot"] and words[words.index("--root") + 1] == str(crate.root)
    assert "WantedBy=multi-user.target" in unit and os.access(words[0], os.X_OK)
    table = crate.ok("system", "install-boot", "--print", "--by", "cron")
    assert table.startswith("@reboot /") and "start --boot" in table
    path = tmp_path / "crate-boot.service"
    assert crate.ok("system", "install-boot", "--directory", str(tmp_path)) == str(path)
    assert path.read_text() == unit + "\n"
    assert crate.ok("system", "install-boot", "--directory", str(tmp_path)) == str(path), "again is no failure"
    assert crate.ok("system", "install-boot", "--uninstall", "--directory", str(tmp_path)) == str(path)
    assert not path.exists() and crate.ok("system", "install-boot", "--uninstall", "--directory", str(tmp_path)) == ""
    assert "systemd or cron" in crate.fails(125, "system", "install-boot", "--by", "init")
