"""Options of `run` about the process: command, environment, user, directory, limits, signals."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate

IMAGE = "crate.local/busybox"
RUN = ("run", "--rm", "--network", "none")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def test_command_and_entrypoint(crate: Crate) -> None:
    assert crate.ok(*RUN, "--entrypoint", "echo", IMAGE, "a", "b") == "a b"
    assert crate.ok(*RUN, "--entrypoint", '["echo","-n","x"]', IMAGE, "y") == "x y"
    assert crate.ok(*RUN, IMAGE, "sh", "-c", 'echo "$0"', "with blank") == "with blank"
    assert crate.ok(*RUN, "--init", IMAGE, "cat", "/proc/1/comm") != "cat"


def test_environment(crate: Crate, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("# comment\n\nFROM_FILE=file value\nFROM_HOST\nBOTH=file\n")
    shown = crate.ok(
        *RUN, "-e", "GIVEN=a=b", "-e", "HOST_ONE", "-e", "NOT_THERE", "-e", "EMPTY=", "-e", "BOTH=option",
        "--env-file", str(tmp_path / "env"), "--hostname", "box", IMAGE, "env",
        HOST_ONE="one", FROM_HOST="two", NOT_PASSED="no",
    )  # fmt: skip
    found = dict(line.split("=", 1) for line in shown.splitlines())
    assert found["GIVEN"] == "a=b" and found["HOST_ONE"] == "one" and found["EMPTY"] == ""
    assert found["FROM_FILE"] == "file value" and found["FROM_HOST"] == "two" and found["BOTH"] == "option"
    assert found["HOME"] == "/root" and found["HOSTNAME"] == "box" and "bin" in found["PATH"]
    assert not {"NOT_THERE", "NOT_PASSED", "CRATE_TEST", "LANG"} & set(found)
    everything = crate.ok(*RUN, "--env-host", IMAGE, "env", PASSED="yes")
    assert "PASSED=yes" in everything.splitlines()
    assert "TERM=xterm" in crate.ok(*RUN, "-t", IMAGE, "env")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("nobody", "uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)"),
        ("1000", "uid=1000 gid=0(root) groups=0(root)"),
        ("1000:50", "uid=1000 gid=50 groups=50"),
        ("www-data:users", "uid=33(www-data) gid=100(users) groups=100(users)"),
    ],
)
def test_user(crate: Crate, user: str, expected: str) -> None:
    assert crate.ok(*RUN, "-u", user, IMAGE, "id") == expected


def test_groups_umask_and_home(crate: Crate) -> None:
    shown = crate.ok(
        *RUN, "--group-add", "44", "--group-add", "users", "--umask", "0077", IMAGE, "sh", "-c", "id; umask"
    )
    assert shown == "uid=0(root) gid=0(root) groups=0(root),10(wheel),44,100(users)\n0077"
    assert crate.ok(*RUN, "-u", "www-data", IMAGE, "sh", "-c", "echo $HOME") == "/var/www"


def test_callers_umask_stays_outside(crate: Crate) -> None:
    look = "cat /etc/hosts /etc/hostname && ls /made/for /new && umask"
    words = crate.command(
        *RUN, "-u", "1000", "-v", f"{crate.place}:/made/for/it", "-v", "/new", IMAGE, "sh", "-c", look
    )
    ended = subprocess.run(words, capture_output=True, text=True, umask=0o077, env=crate.environment, check=False)
    assert ended.stderr == "" and ended.stdout.endswith("0022\n")


def test_directory(crate: Crate) -> None:
    assert crate.ok(*RUN, IMAGE, "pwd") == "/"
    assert crate.ok(*RUN, "-w", "/usr/../etc", IMAGE, "pwd") == "/etc"
    assert crate.ok(*RUN, "-w", "/made/for/it", IMAGE, "pwd") == "/made/for/it"


def test_limits_and_sysctls(crate: Crate) -> None:
    shown = crate.ok(
        *RUN, "--ulimit", "nofile=100:200", "--ulimit", "core=0", "--ulimit", "fsize=7168",
        "--sysctl", "net.ipv4.ip_unprivileged_port_start=99", "--sysctl", "kernel.msgmax=4096", IMAGE,
        "sh", "-c", "ulimit -n; ulimit -Hn; ulimit -c; ulimit -f; cd /proc/sys; "
        "cat net/ipv4/ip_unprivileged_port_start kernel/msgmax",
    )  # fmt: skip
    assert shown.splitlines() == ["100", "200", "0", "14", "99", "4096"]


def test_oom_score(crate: Crate) -> None:
    assert crate.ok(*RUN, "--oom-score-adj", "321", IMAGE, "cat", "/proc/self/oom_score_adj") == "321"


def test_stop_signal_and_timeout(crate: Crate) -> None:
    script = "trap 'echo got USR1; exit 5' USR1; echo ready; while true; do sleep 0.1; done"
    crate.ok("run", "-d", "--name", "polite", "--stop-signal", "USR1", "--network", "none", IMAGE, "sh", "-c", script)
    crate.await_line("polite", "ready")
    crate.ok("stop", "polite")
    assert crate.inspect("polite")["State"]["ExitCode"] == 5
    assert crate.ok("logs", "polite").endswith("got USR1")
    crate.ok("run", "-d", "--name", "deaf", "--stop-timeout", "0", "--network", "none", IMAGE, "sleep", "1000")
    crate.ok("stop", "deaf")
    assert crate.inspect("deaf")["State"]["ExitCode"] == 137


def test_labels_and_annotations(crate: Crate, tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("from=file\nboth=file\n")
    crate.ok(
        "create", "--name", "labelled", "-l", "a=b=c", "-l", "bare", "-l", "both=option",
        "--label-file", str(tmp_path / "labels"), "--annotation", "org.example=yes", IMAGE,
    )  # fmt: skip
    config = crate.inspect("labelled")["Config"]
    assert config["Labels"].items() >= {"a": "b=c", "bare": "", "both": "option", "from": "file"}.items()
    assert config["Annotations"] == {"org.example": "yes"}
