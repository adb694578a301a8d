"""`logs`: what was written, from when, how much, and on while it runs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def test_streams_times_and_tail(crate: Crate) -> None:
    script = "for n in 1 2 3 4 5; do echo line $n; done; echo err >&2; printf 'no end'"
    crate.ok("run", "-d", "--name", "talker", *NONE, IMAGE, "sh", "-c", script)
    crate.ok("wait", "talker")
    result = crate("logs", "talker")
    assert result.out == "line 1\nline 2\nline 3\nline 4\nline 5\nno end" and result.err == "err\n"
    assert crate.ok("logs", "--tail", "2", "talker").endswith("no end")
    assert crate("logs", "--tail", "0", "talker")[1:] == ("", "")
    assert crate.ok("logs", "-n", "all", "talker").startswith("line 1")
    stamped = crate.ok("logs", "-t", "talker").splitlines()
    assert all(re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ", line) for line in stamped)
    assert "five" in crate.fails(125, "logs", "--tail", "five", "talker")
    assert "gone" in crate.fails(125, "logs", "gone")


def test_file_of_docker_form(crate: Crate) -> None:
    crate.ok("run", "--name", "talker", *NONE, IMAGE, "sh", "-c", "echo out; echo err >&2; printf '\\377\\n'")
    found = crate.inspect("talker")
    assert found["LogPath"].endswith(f"/{found['Id']}-json.log")
    with open(found["LogPath"], encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    assert {(line["log"], line["stream"]) for line in lines} == {
        ("out\n", "stdout"),
        ("err\n", "stderr"),
        ("\ufffd\n", "stdout"),
    }
    assert all(line["time"].endswith("Z") for line in lines)


def test_since_and_until(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "talker", *NONE, IMAGE, "sh", "-c", "echo first; sleep 1.1; echo second")
    crate.ok("wait", "talker")
    first, second = (line.split()[0] for line in crate.ok("logs", "-t", "talker").splitlines())
    assert crate.ok("logs", "--since", second, "talker") == "second"
    assert crate.ok("logs", "--until", first, "talker") == "first"
    assert crate.ok("logs", "--since", "1h", "--until", "0s", "talker") == "first\nsecond"
    assert crate.ok("logs", "--since", "1000000000", "talker") == "first\nsecond"
    assert crate.ok("logs", "--until", "2001-01-01", "talker") == ""
    assert "yesterday" in crate.fails(125, "logs", "--since", "yesterday", "talker")


def test_follow(crate: Crate) -> None:
    crate.ok(
        "run",
        "-d",
        "-i",
        "--name",
        "echo",
        *NONE,
        IMAGE,
        "sh",
        "-c",
        "echo begin; sleep 0.5; echo middle; sleep 0.5; echo end",
    )
    following = crate.popen("logs", "-f", "echo")
    assert following.stdout
    assert [following.stdout.readline() for _ in range(2)] == ["begin\n", "middle\n"]
    assert following.communicate(timeout=60)[0] == "end\n" and following.returncode == 0
    assert crate.ok("logs", "-f", "echo") == "begin\nmiddle\nend"
    assert crate.ok("logs", "-f", "--tail", "1", "echo") == "end"


def test_rotation(crate: Crate) -> None:
    script = "n=0; while [ $n -lt 400 ]; do echo line $n of a log that is turned over; n=$((n + 1)); done"
    crate.ok(
        "run", "--name", "long", "--log-opt", "max-size=8k", "--log-opt", "max-file=3", *NONE, IMAGE, "sh", "-c", script
    )
    lines = crate.ok("logs", "long").splitlines()
    numbers = [int(line.split()[1]) for line in lines]
    assert numbers == list(range(numbers[0], 400)) and 50 < len(numbers) < 400
    assert crate.ok("logs", "--tail", "100", "long").splitlines() == lines[-100:]


def test_drivers_and_names(crate: Crate) -> None:
    crate.ok("run", "--name", "quiet", "--log-driver", "none", *NONE, IMAGE, "echo", "lost")
    assert "--log-driver" in crate.fails(125, "logs", "quiet")
    assert "no log driver" in crate.fails(125, "run", "--log-driver", "carrier-pigeon", *NONE, IMAGE, "true")
    assert "max-size" in crate.fails(125, "run", "--log-opt", "max-size=huge", *NONE, IMAGE, "true")
    for name in ("one", "two"):
        crate.ok("run", "--name", name, *NONE, IMAGE, "echo", f"by {name}")
    assert crate.ok("logs", "--names", "one", "two") == "one by one\ntwo by two"
