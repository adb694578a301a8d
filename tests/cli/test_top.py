"""top: the right processes, podman's descriptors against /proc, docker's options of ps(1) against the host's ps."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from program import until

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")

pytestmark = pytest.mark.requires("busybox")


def _table(text: str) -> list[list[str]]:
    return [re.split(r" {2,}", line) for line in text.splitlines()]


@pytest.fixture
def web(crate: Crate, busybox: str) -> dict[str, str]:
    """A container of three processes: command -> pid on the host."""
    script = "sleep 1001 & sleep 1002 & exec sleep 1000"
    crate.ok("run", "-d", "--name", "web", *NONE, "--user", "1:2", IMAGE, "sh", "-c", script)

    def three() -> list[list[str]]:
        rows = _table(crate.ok("top", "web", "args", "hpid"))
        return rows[1:] if rows[3:] and not any(row[0].startswith("sh") for row in rows) else []

    return {args.partition(" ")[2]: pid for args, pid in until(three)}


@pytest.mark.requires("root", "overlay")
def test_the_usual_columns(crate: Crate, web: dict[str, str]) -> None:
    heading, *rows = _table(crate.ok("top", "web"))
    assert heading == ["USER", "PID", "PPID", "%CPU", "ELAPSED", "TTY", "TIME", "COMMAND"]
    assert [(row[1], row[2], row[7]) for row in rows] == [
        ("1", "0", "sleep 1000"), ("2", "1", "sleep 1001"), ("3", "1", "sleep 1002"),
    ]  # fmt: skip
    assert all(re.fullmatch(r"(\d+m)?[\d.]+s", row[4]) and row[5] == "?" for row in rows)
    assert crate.ok("container", "top", "--latest", "pid").split() == ["PID", "1", "2", "3"]


@pytest.mark.requires("root", "overlay")
def test_descriptors(crate: Crate, web: dict[str, str]) -> None:
    pid = web["1002"]
    status = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    last = _table(crate.ok("top", "web", "hpid,nice", "state", "comm", "seccomp", "%z", "capeff", "capbnd", "pgid"))[-1]
    assert last[:5] == [pid, str(os.nice(0)), "S", "sleep", "filter"] and last[5] == status["VmSize"].split()[0]
    assert last[6] == "none" and "CHOWN,DAC_OVERRIDE" in last[7] and last[8] == "1"
    etc = {file: dict(line.split(":")[2::-2] for line in Path(file).read_text().splitlines()) for file in
           ("/etc/passwd", "/etc/group")}  # fmt: skip
    shown = _table(crate.ok("top", "web", "huser", "hgroup", "ruser", "hgroups"))[-1]
    assert shown[:2] == [etc["/etc/passwd"]["1"], etc["/etc/group"]["2"]]
    crate.ok("exec", "web", "sh", "-c", "true")
    error = crate.fails(125, "top", "web", "pid", "colour")
    assert '"colour"' in error and "seccomp" in error


@pytest.mark.requires("root", "overlay")
def test_names_are_the_containers(crate: Crate, busybox: str) -> None:
    script = "echo 'me:x:77:88::/:/bin/sh' > /etc/passwd; echo 'us:x:88:' > /etc/group; exec sleep 1000"
    crate.ok("run", "-d", "--name", "own", *NONE, IMAGE, "sh", "-c", script)
    until(lambda: "sleep" in crate.ok("top", "own", "comm"))
    crate.ok("exec", "-d", "-u", "77:88", "own", "sleep", "1001")
    rows = until(lambda: (rows := _table(crate.ok("top", "own", "user", "group", "args")))[2:] and rows)
    assert rows[2] == ["me", "us", "sleep 1001"]
    crate.ok("exec", "own", "sh", "-c", "rm /etc/passwd; ln -s /proc/self/cmdline /etc/passwd; mkfifo /etc/group-")
    assert _table(crate.ok("top", "own", "user"))[2] == ["77"]


@pytest.mark.requires("root", "overlay")
def test_options_of_ps(crate: Crate, web: dict[str, str]) -> None:
    """What the host's ps says of the same processes; times and shares may have changed in between."""
    ps = shutil.which("ps")
    if not ps:
        pytest.skip("no program ps")
    for options in (
        "-ef", "aux", "-A -o pid,ppid,user,uid,args", "-eo pid,stat,ni,nlwp,comm,tty", "-e -o pid=NUMBER,vsz,sid,pgid",
    ):  # fmt: skip
        words, env = [ps, "-ww", *options.split()], {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        lines = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout.splitlines()
        heading, *theirs = (line.split(None, len(lines[0].split()) - 1) for line in lines)
        number = next(place for place, title in enumerate(heading) if title in ("PID", "NUMBER"))
        # the minute of the start is rounded from the uptime, here and there
        passing = ("C", "%CPU", "%MEM", "RSS", "TIME", "STIME", "START")
        lasting = [p for p, title in enumerate(heading) if title not in passing]
        ours = _table(crate.ok("top", "web", *options.split()))
        assert ours[0] == heading
        assert [[row[p] for p in lasting] for row in ours[1:]] == [
            [row[p] for p in lasting] for row in theirs if row[number] in web.values()
        ]


@pytest.mark.requires("root", "overlay")
def test_what_is_refused(crate: Crate, busybox: str) -> None:
    crate.ok("create", "--name", "idle", *NONE, IMAGE, "true")
    assert "running containers" in crate.fails(125, "top", "idle")
    assert "no such container" in crate.fails(125, "top", "nobody")
    crate.ok("run", "-d", "--name", "web", *NONE, IMAGE, "sleep", "1000")
    assert "unknown field" in crate.fails(125, "top", "web", "-o", "pid,colour")
    assert "-Z" in crate.fails(125, "top", "web", "-Z")
    assert "must provide" in crate.fails(125, "top")
    crate.ok("pause", "web")
    assert "sleep 1000" in crate.ok("top", "web")


@pytest.mark.requires("root", "overlay")
def test_in_the_pid_namespace_of_the_host(crate: Crate, busybox: str) -> None:
    crate.ok("run", "-d", "--name", "web", *NONE, "--pid", "host", IMAGE, "sh", "-c", "sleep 1001 & sleep 1000")
    rows = until(lambda: (rows := _table(crate.ok("top", "web", "pid", "hpid", "args")))[2:] and rows)
    assert all(row[0] == row[1] for row in rows[1:]) and {row[2] for row in rows[1:]} >= {"sleep 1001"}
    assert len(rows) <= 4, "the container's, not the host's"


@pytest.mark.requires("unprivileged-user")
def test_rootless(rootless_crate: Crate) -> None:
    """Without a control group where the host is v1."""
    rootless_crate.ok("run", "-d", "--name", "web", *NONE, "-u", "5", IMAGE, "sh", "-c", "sleep 1001 & sleep 1000")
    rows = until(lambda: (rows := _table(rootless_crate.ok("top", "web", "pid", "user", "args")))[2:] and rows)
    assert [row[0] for row in rows] == ["PID", "1", "2"] and rows[1][1] == "5"
    rootless_crate.ok("run", "-d", "--name", "second", *NONE, IMAGE, "sleep", "1000")
    user = rootless_crate.user
    assert user and _table(rootless_crate.ok("top", "second", "user", "huser"))[1] == ["root", user.name]
