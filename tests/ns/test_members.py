"""One user namespace a user: who comes joins whoever is there, and it lasts as long as anybody of crate does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from program import Crate, until

IMAGE = "crate.local/busybox"
NEWCOMERS = 20

pytestmark = pytest.mark.requires("unprivileged-user", "busybox")


def namespace_of(crate: Crate, name: str) -> str:
    return os.readlink(f"/proc/{crate.inspect(name)['State']['Pid']}/ns/user")


def monitor_of(crate: Crate, name: str) -> int:
    return int(crate.inspect(name)["State"]["ConmonPid"])


def sleeper(crate: Crate, name: str) -> None:
    crate.ok("run", "-d", "--name", name, "--network", "none", IMAGE, "sleep", "1000")


def is_lean(pid: int) -> bool:
    return b"handover.resume" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_newcomers_at_the_same_moment_share_one(rootless_crate: Crate) -> None:
    rootless_crate.ok("pull", "--quiet", IMAGE)
    show = ["sh", "-c", "readlink /proc/self/ns/user; sleep 0.5"]
    started = [rootless_crate.popen("run", "--rm", "--network", "none", IMAGE, *show) for _ in range(NEWCOMERS)]
    answers = [process.communicate("", timeout=60) for process in started]
    assert all(process.returncode == 0 for process in started), answers
    assert len({out for out, _ in answers}) == 1, answers


def test_next_command_joins_what_only_a_lean_monitor_holds(rootless_crate: Crate) -> None:
    sleeper(rootless_crate, "one")
    until(lambda: is_lean(monitor_of(rootless_crate, "one")))
    sleeper(rootless_crate, "two")
    assert namespace_of(rootless_crate, "one") == namespace_of(rootless_crate, "two")
    assert rootless_crate.ok("exec", "one", "id", "-u") == "0"


def test_death_of_a_monitor_leaves_the_others_together(rootless_crate: Crate) -> None:
    for name in ("one", "two"):
        sleeper(rootless_crate, name)
    shared = namespace_of(rootless_crate, "two")
    os.kill(monitor_of(rootless_crate, "one"), signal.SIGKILL)
    until(lambda: rootless_crate.ok("ps", "--format", "{{.Names}}") == "two")
    assert rootless_crate.inspect("one")["State"]["ExitCode"] == 137
    rootless_crate.ok("start", "one")
    assert namespace_of(rootless_crate, "one") == namespace_of(rootless_crate, "two") == shared


def test_same_ids_after_the_last_member_ended(rootless_crate: Crate) -> None:
    write = "echo kept > /kept; chown 1000:1000 /kept"
    rootless_crate.ok("run", "--name", "one", "--network", "none", IMAGE, "sh", "-c", write)
    assert rootless_crate.ok("start", "-a", "one") == ""
    upper = Path(rootless_crate.inspect("one")["GraphDriver"]["Data"]["UpperDir"])
    if rootless_crate.user and rootless_crate.user.become:
        assert (upper / "kept").stat().st_uid not in (0, 1000, rootless_crate.user.uid)
    show = ["stat", "-c", "%u:%g", "/x/kept"]
    assert rootless_crate.ok("run", "--rm", "--network", "none", "-v", f"{upper}:/x", IMAGE, *show) == "1000:1000"


def test_membership_that_outlives_its_taker(rootless_crate: Crate) -> None:
    """A fork keeps the lock of a killed process, and the kernel names only the one that took it."""
    assert rootless_crate.user
    rootless_crate.ok("pull", "--quiet", IMAGE)
    script = (
        "import os, sys; from crate.ns import rootless; rootless.enter(sys.argv[1])\n"
        "if os.fork(): os._exit(0)\n"
        "print(os.readlink('/proc/self/ns/user'), flush=True); sys.stdin.read()"
    )
    words = [*rootless_crate.user.become, sys.executable, "-c", script, str(rootless_crate.runroot)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, env=rootless_crate.environment) as first:
        assert first.stdout
        theirs = first.stdout.readline().strip()
        show = ["readlink", "/proc/self/ns/user"]
        assert rootless_crate.ok("run", "--rm", "--network", "none", IMAGE, *show) == theirs
