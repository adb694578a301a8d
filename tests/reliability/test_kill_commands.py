"""kill -9 at system calls all along run, exec, stop, rm and restart: of the command, of its monitor, of the container.

The numbers of the calls are counted on this host: each walk goes from the first call of a kind to its last.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, NamedTuple

import pytest

from program import until
from reliability import strikes
from reliability.footprint import settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox", "strace")

IMAGE = "crate.local/busybox"
CALLS = (
    "rename", "symlink", "mkdir", "rmdir", "unlink", "unlinkat", "link", "openat", "openat2", "close", "write", "read",
    "pwrite64", "fsync", "clone", "clone3", "vfork", "execve", "mount", "move_mount", "open_tree", "fsopen", "fsconfig",
    "fsmount", "mount_setattr", "umount2", "pivot_root", "setns", "unshare", "setsid", "sendmsg", "recvmsg", "sendto",
    "recvfrom", "socket", "socketpair", "bind", "listen", "connect", "poll", "flock", "pipe2", "dup2", "ioctl",
    "memfd_create", "pidfd_open", "pidfd_send_signal", "wait4", "waitid", "kill", "chmod", "fchmod", "chown", "prctl",
    "getdents64",
)  # fmt: skip
KILL = "signal=SIGKILL"
#: seconds for which strace follows a monitor after its caller's end: the hand-over is in them
LINGER = 0.8


class Walk(NamedTuple):
    """A command that is struck, from the state before it to what may be the case afterwards."""

    words: tuple[str, ...]
    prepare: Callable[[Crate], None]
    check: Callable[[Crate], None]
    linger: float = 0.0
    follow: bool = True


def nothing(crate: Crate) -> None:
    pass


def running(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "job", IMAGE, "sleep", "1000")


def status(crate: Crate) -> str:
    """Of `job`, as ps and inspect tell it alike; "" when there is none. At most its end happens meanwhile."""
    if "job" not in _names(crate) or (crate("container", "inspect", "job").status and "job" not in _names(crate)):
        # One that nobody is to see is not found by its name either.
        assert crate("container", "inspect", "job").status == 125
        return ""
    state = crate.inspect("job")["State"]
    assert state["Running"] == (state["Status"] == "running") == (state["Pid"] > 0), state
    return str(state["Status"])


def _names(crate: Crate) -> list[str]:
    return crate.ok("ps", "-a", "--format", "{{.Names}}").split()


def startable(crate: Crate) -> None:
    """There is no container, or a whole one: it runs, has ended or was created, and it starts."""
    before = status(crate)
    assert before in ("", "created", "running", "exited"), before
    if before:
        crate.ok("start", "job")


def undisturbed(crate: Crate) -> None:
    """The container runs and takes commands."""
    assert status(crate) == "running"
    assert crate.ok("exec", "job", "echo", "on") == "on"


def stoppable(crate: Crate) -> None:
    """It runs or has ended, and a second stop ends it for sure."""
    assert status(crate) in ("running", "exited")
    crate.ok("stop", "-t", "0", "job")
    assert status(crate) == "exited"
    crate.ok("start", "job")


def removable(crate: Crate) -> None:
    assert status(crate) in ("", "running", "exited")


RUN = ("run", "--name", "job", "-p", "127.0.0.1::80", IMAGE)
WALKS = {
    "run": Walk((*RUN, "true"), nothing, startable),
    "run, its caller alone": Walk((*RUN, "true"), nothing, startable, follow=False),
    "run -d": Walk(("run", "-d", *RUN[1:], "sleep", "1000"), nothing, startable, LINGER),
    "run --rm": Walk(("run", "--rm", *RUN[1:], "true"), nothing, removable),
    "run --rm with a volume": Walk(("run", "--rm", "-v", "/data", *RUN[1:], "true"), nothing, removable),
    "exec": Walk(("exec", "job", "true"), running, undisturbed),
    "stop": Walk(("stop", "-t", "0", "job"), running, stoppable),
    "rm": Walk(("rm", "-f", "-t", "0", "job"), running, removable),
    "restart": Walk(("restart", "-t", "0", "job"), running, stoppable, LINGER),
}


class Damage:
    """What was found wrong on a walk, and where; a walk goes on to its end."""

    def __init__(self, crate: Crate, *network: str) -> None:
        self._crate, self._network = crate, network
        self._footprint, self._before = settled(crate, *network)
        self._found: list[str] = []

    def note(self, where: str, act: Callable[[], None]) -> None:
        """Does it, then removes the container, and looks for what is left."""
        try:
            act()
            self._crate.ok("rm", "-f", "job")
            assert self._crate.ok("run", "--rm", *self._network, IMAGE, "echo", "fine") == "fine"
            self._footprint.wait_for(self._before)
        except AssertionError as error:
            self._found.append(f"{where}: {error}")
            self._crate("rm", "-fa")
            self._before = self._footprint.take()

    def check(self) -> None:
        """AssertionError with all that was found."""
        assert not self._found, f"{len(self._found)} times:\n" + "\n".join(self._found)


def numbers_of(crate: Crate, walk: Walk) -> dict[str, int]:
    """How often a process of this command makes each call; leaves nothing."""
    walk.prepare(crate)
    numbers = strikes.count(crate, CALLS, *walk.words, follow=walk.follow, linger=walk.linger)
    crate.ok("rm", "-f", "job")
    return numbers


def strike(crate: Crate, walk: Walk, call: str, number: int) -> None:
    """One kill, and the look afterwards."""
    walk.prepare(crate)
    strikes.strike(crate, call, KILL, number, *walk.words, follow=walk.follow, linger=walk.linger)
    walk.check(crate)


def draw(numbers: dict[str, int], count: int, seed: int) -> Iterator[tuple[str, int]]:
    """Places on a walk by chance: kinds of calls are alike, however often they are made."""
    chosen = random.Random(seed)
    for call in chosen.choices(sorted(numbers), k=count):
        yield call, chosen.randint(1, numbers[call])


@pytest.mark.parametrize("name", WALKS)
def test_killed_somewhere(crate: Crate, name: str) -> None:
    """At a few places; CRATE_TEST_SEED draws others."""
    walk, damage = WALKS[name], Damage(crate)
    seed = strikes.seed()
    for call, number in draw(numbers_of(crate, walk), 2, seed):
        damage.note(f"{call} {number} (seed {seed})", lambda c=call, n=number: strike(crate, walk, c, n))  # type: ignore[misc]
    damage.check()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", WALKS)
def test_killed_everywhere(crate: Crate, name: str) -> None:
    """At every call, from the first to the last; at twenty of those that are made more often."""
    walk, damage = WALKS[name], Damage(crate)
    for call, last in numbers_of(crate, walk).items():
        for number in strikes.places(last, 20):
            damage.note(f"{call} {number}", lambda c=call, n=number: strike(crate, walk, c, n))  # type: ignore[misc]
    damage.check()


@pytest.mark.parametrize("command", [("run", "--rm"), ("run", "-d"), ("create",)])
def test_ordinary_user_killed_somewhere(rootless_crate: Crate, command: tuple[str, ...]) -> None:
    _walk_of_user(rootless_crate, command, 2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("command", [("run", "--rm"), ("run", "-d"), ("create",)])
def test_ordinary_user_killed_at_many_places(rootless_crate: Crate, command: tuple[str, ...]) -> None:
    _walk_of_user(rootless_crate, command, 60)


def _walk_of_user(crate: Crate, command: tuple[str, ...], count: int) -> None:
    network = ("--network", "none")
    walk = Walk((*command, *network, "--name", "job", IMAGE, "sleep", "0.5"), nothing, startable, LINGER)
    damage, seed = Damage(crate, *network), strikes.seed()
    for call, number in draw(numbers_of(crate, walk), count, seed):
        damage.note(f"{call} {number} (seed {seed})", lambda c=call, n=number: strike(crate, walk, c, n))  # type: ignore[misc]
    damage.check()


def _monitor(crate: Crate) -> int:
    return int(crate.inspect("job")["State"]["ConmonPid"])


def _end_with_struck_monitor(crate: Crate, call: str, number: int) -> None:
    """`stop` of a container whose monitor dies at a call of its last minute."""
    running(crate)
    until(lambda: "tasks.resume" in command_line(_monitor(crate)), what="a lean monitor")
    tracer = strikes.attach(_monitor(crate), call, KILL, number)
    try:
        crate.ok("stop", "-t", "0", "job")
    finally:
        strikes.detach(tracer)
    stoppable(crate)


def command_line(pid: int) -> str:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().decode(errors="replace")


#: how often a monitor makes them from the end of its container to its own
LAST_CALLS = {
    "execve": 1, "rename": 2, "unlink": 4, "sendto": 4, "write": 6, "flock": 3, "wait4": 1, "rmdir": 8, "close": 40,
    "openat": 60, "fsync": 2, "memfd_create": 1, "socket": 2, "getdents64": 6,
}  # fmt: skip


def test_monitor_killed_while_it_buries(crate: Crate) -> None:
    """At a few of the calls between the end of the container and the end of its monitor."""
    damage, seed = Damage(crate), strikes.seed()
    for call, number in draw(LAST_CALLS, 3, seed):
        damage.note(
            f"{call} {number} (seed {seed})",
            lambda c=call, n=number: _end_with_struck_monitor(crate, c, n),  # type: ignore[misc]
        )
    damage.check()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_monitor_killed_everywhere_while_it_buries(crate: Crate) -> None:
    damage = Damage(crate)
    for call, last in LAST_CALLS.items():
        for number in strikes.places(last, 20):
            damage.note(f"{call} {number}", lambda c=call, n=number: _end_with_struck_monitor(crate, c, n))  # type: ignore[misc]
    damage.check()


@pytest.mark.parametrize("who", ["container", "monitor", "caller", "all"])
def test_killed_while_it_runs(crate: Crate, who: str) -> None:
    """Caller, monitor, container, or all three at once: its state is told, it starts again, and nothing stays."""
    damage = Damage(crate)

    def act() -> None:
        caller = crate.popen("run", "--name", "job", IMAGE, "sleep", "1000")
        until(lambda: "job" in crate.ok("ps", "--format", "{{.Names}}").split(), what="running")
        pids = {"container": crate.inspect("job")["State"]["Pid"], "monitor": _monitor(crate), "caller": caller.pid}
        for name, pid in pids.items():
            if who in (name, "all"):
                strikes.kill(pid)
        if who == "caller":
            undisturbed(crate)
        else:
            until(lambda: crate.inspect("job")["State"]["Status"] == "exited", what="exited")
            state = json.loads(crate.ok("container", "inspect", "job"))[0]["State"]
            assert state["ExitCode"] == 137, state
            caller.wait(60)
            crate.ok("start", "job")

    damage.note(who, act)
    damage.check()
