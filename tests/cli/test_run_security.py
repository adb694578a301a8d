"""Options of `run` about rights: capabilities, seccomp, privileges, masked paths; and the OOM killer."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate

IMAGE = "crate.local/busybox"
RUN = ("run", "--rm", "--network", "none")
STATUS = "/proc/self/status"

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def _status(crate: Crate, *options: str, command: str = "run") -> dict[str, str]:
    """The lines of /proc/self/status of a process in a container."""
    lines = crate.ok(*(RUN if command == "run" else (command,)), *options, "cat", STATUS).splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_capabilities(crate: Crate) -> None:
    default = _status(crate, IMAGE)
    assert default["CapEff"] == default["CapBnd"] == default["CapPrm"] == "00000000a80425fb"
    assert int(default["CapInh"], 16) == int(default["CapAmb"], 16) == 0
    assert _status(crate, "--cap-drop", "all", "--cap-add", "chown", IMAGE)["CapEff"] == "0000000000000001"
    assert (
        _status(crate, "--cap-drop", "CAP_CHOWN", "--cap-add", "SYS_ADMIN,net_admin", IMAGE)["CapBnd"]
        == "00000000a82435fa"
    )
    user = _status(crate, "-u", "1000", IMAGE)
    assert int(user["CapEff"], 16) == 0 and user["CapBnd"] == "00000000a80425fb"
    granted = _status(crate, "-u", "1000", "--cap-add", "net_admin", IMAGE)
    assert granted["CapEff"] == granted["CapAmb"] == "0000000000001000"
    assert "unknown capability" in crate.fails(125, *RUN, "--cap-add", "fly", IMAGE, "true")


def test_privileged(crate: Crate) -> None:
    found = _status(crate, "--privileged", IMAGE)
    with open(STATUS, encoding="ascii") as file:
        own = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    assert found["CapEff"] == own["CapBnd"].strip() and found["Seccomp"] == "0"
    assert (
        crate.ok(
            *RUN,
            "--privileged",
            IMAGE,
            "sh",
            "-c",
            "mount -t tmpfs none /mnt || mkdir /mnt && mount -t tmpfs none /mnt",
        )
        == ""
    )


def test_seccomp_and_new_privileges(crate: Crate) -> None:
    assert _status(crate, IMAGE)["Seccomp"] == "2" and _status(crate, IMAGE)["NoNewPrivs"] == "0"
    assert _status(crate, "--security-opt", "no-new-privileges", IMAGE)["NoNewPrivs"] == "1"
    assert _status(crate, "--security-opt", "seccomp=unconfined", IMAGE)["Seccomp"] == "0"
    result = crate(*RUN, "--cap-add", "sys_admin", IMAGE, "unshare", "-U", "true")
    assert result.status == 0, result.err
    assert "Operation not permitted" in crate(*RUN, IMAGE, "unshare", "-m", "true").err
    assert "no such file" in crate.fails(125, *RUN, "--security-opt", "seccomp=/no/such", IMAGE, "true").lower()
    assert "nonsense" in crate.fails(125, *RUN, "--security-opt", "nonsense=1", IMAGE, "true")


@pytest.mark.requires("strace")
def test_flags_of_a_seccomp_profile(crate: Crate, tmp_path: Path) -> None:
    profile, trace = tmp_path / "profile.json", tmp_path / "trace"
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"]}')
    options = ("--network", "none", "--security-opt", f"seccomp={profile}", IMAGE)
    crate.ok("run", "-d", "--name", "one", *options, "sleep", "60")
    for command in (("run", "--rm", *options, "true"), ("exec", "one", "true")):
        traced = ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=seccomp", *crate.command(*command)]
        subprocess.run(traced, check=True, capture_output=True, env=crate.environment, timeout=30)
        loads = [line for line in trace.read_text().splitlines() if "SECCOMP_SET_MODE_FILTER" in line]
        assert loads and all("SECCOMP_FILTER_FLAG_LOG" in line for line in loads), command


def test_masked_and_read_only_paths(crate: Crate) -> None:
    script = "head -c1 /proc/kcore | wc -c; ls /sys/firmware | wc -l; echo 1 > /proc/sys/kernel/panic"
    result = crate(*RUN, IMAGE, "sh", "-c", script)
    assert result.out.split() == ["0", "0"] and "Read-only file system" in result.err
    unmasked = crate.ok(
        *RUN, "--security-opt", "unmask=/sys/firmware", IMAGE, "sh", "-c", "mount | grep -c /sys/firmware || true"
    )
    assert unmasked == "0"


def test_chosen_masks_and_options_of_proc(crate: Crate) -> None:
    hidden = "--security-opt", "mask=/etc/passwd:/usr:/no/such", "--security-opt", "mask=/proc/cpuinfo"
    look = "cat /etc/passwd /proc/cpuinfo | wc -c; ls /usr | wc -l; umount /proc/cpuinfo 2>&1 | wc -l"
    assert crate.ok(*RUN, *hidden, IMAGE, "sh", "-c", look).split() == ["0", "0", "1"]
    covered = ("sh", "-c", "grep -cE ' /proc/(kcore|keys|sys) ' /proc/mounts")
    for option, count in (("unmask=/proc/k*", "1"), ("unmask=/proc/kcore:/proc/sys", "1"), ("unmask=ALL", "0")):
        assert crate(*RUN, "--security-opt", option, IMAGE, *covered).out.strip() == count, option
    options = ("--security-opt", "proc-opts=hidepid=2", "--pid", "private")
    seen = crate.ok(*RUN, *options, IMAGE, "sh", "-c", "grep ' /proc proc ' /proc/mounts")
    assert "hidepid=2" in seen or "hidepid=invisible" in seen
    assert "cannot mount proc" in crate.fails(125, *RUN, "--security-opt", "proc-opts=no=such", IMAGE, "true")


def test_out_of_memory(crate: Crate) -> None:
    result = crate(
        "run", "--name", "hungry", "--network", "none", "-m", "16m", IMAGE, "sh", "-c",
        "exec dd if=/dev/zero of=/dev/null bs=64M count=1",
    )  # fmt: skip
    assert result.status == 137
    found = crate.inspect("hungry")
    assert found["State"]["OOMKilled"] is True and found["State"]["ExitCode"] == 137
    assert found["HostConfig"]["Memory"] == 16 << 20
    assert crate.ok(*RUN, "-m", "16m", IMAGE, "true") == ""


@pytest.mark.requires("cgroup-v1")
def test_oom_killer_disabled(crate: Crate) -> None:
    shown = crate.ok(*RUN, "-m", "32m", "--oom-kill-disable", IMAGE, "cat", "/sys/fs/cgroup/memory/memory.oom_control")
    assert shown.startswith("oom_kill_disable 1")
