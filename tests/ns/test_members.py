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
    return b"tasks.resume" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_newcomers_at_the_same_moment_share_one(rootless_crate: Crate) -> None:
    rootless_crate.ok("pull", "--quiet", IMAGE)
    crate = rootless_crate
    show = ["sh", "-c", "readlink /proc/self/ns/user; until test -e /home/go; do sleep 0.1; done"]
    options = ("--rm", "--network", "none", "-v", f"{crate.place}/home:/home")
    started = [crate.popen("run", *options, IMAGE, *show) for _ in range(NEWCOMERS)]
    told = [process.stdout.readline() for process in started if process.stdout]  # nobody leaves before all are there
    (crate.place / "home/go").touch()
    answers = [process.communicate("", timeout=60) for process in started]
    assert all(process.returncode == 0 for process in started), answers
    assert len(set(told)) == 1 and told[0], answers


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


REUSED = """
import array, ctypes, fcntl, os, signal, struct, subprocess, sys, time
lock, uid, gid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def become_user():
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)

def fork_as(pid):
    number = array.array("i", [pid])
    arguments = struct.pack("11Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, number.buffer_info()[0], 1, 0)
    return ctypes.CDLL(None).syscall(435, arguments, len(arguments))  # clone3(2)

read, write = os.pipe()
taker = os.fork()
if not taker:
    become_user()
    fd = os.open(lock, os.O_RDWR | os.O_CREAT, 0o1600)
    fcntl.flock(fd, fcntl.LOCK_SH)
    os.set_inheritable(fd, True)
    holder = os.fork()
    if not holder:
        os.execvp("sleep", ["sleep", "1000"])  # the lock lives on in it
    os.write(write, struct.pack("i", holder))
    os._exit(0)
os.waitpid(taker, 0)
(holder,) = struct.unpack("i", os.read(read, 4))
stranger = fork_as(taker)
if not stranger:
    become_user()
    os.execvp("unshare", ["unshare", "--user", "--map-root-user", "sleep", "1000"])
try:
    assert stranger == taker, "another process was faster"
    while os.readlink(f"/proc/{taker}/ns/user") == os.readlink("/proc/self/ns/user"):
        time.sleep(0.01)
    print("stranger", os.readlink(f"/proc/{taker}/ns/user"), flush=True)
    subprocess.run(sys.argv[4:])
finally:
    for pid in (holder, stranger):
        os.kill(pid, signal.SIGKILL) if pid > 0 else None
"""
FIRST_PID_NAMESPACE = "pid:[4026531836]"  # proc_locks(5) means its numbers


@pytest.mark.requires("root")
@pytest.mark.skipif(os.readlink("/proc/self/ns/pid") != FIRST_PID_NAMESPACE, reason="in a pid namespace")
def test_a_strangers_namespace_is_not_joined_by_a_number_used_again(rootless_crate: Crate) -> None:
    """The kernel goes on naming who took a lock; that number may be any process of the same user by now."""
    user = rootless_crate.user
    assert user
    rootless_crate.ok("ps")  # its run root is there
    words = [sys.executable, "-c", REUSED, str(rootless_crate.runroot / "userns"), str(user.uid), str(user.gid)]
    show = rootless_crate.command("unshare", "readlink", "/proc/self/ns/user")
    done = subprocess.run(
        [*words, *show], capture_output=True, text=True, env=rootless_crate.environment, timeout=60, check=True
    )
    (word, theirs), *joined = (line.split() for line in done.stdout.splitlines())
    assert word == "stranger" and [theirs] not in joined, done
    assert "cannot join the user namespace of the other crate processes" in done.stderr, done
