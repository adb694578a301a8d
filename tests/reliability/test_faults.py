"""A full disk, a failing one, and no free descriptors: at each system call that can fail so, along each command.

What crate cannot do it says in one line, with its own status; what it can do without, it does. Nothing stays behind.
"""

from __future__ import annotations

import random
import subprocess
from typing import TYPE_CHECKING

import pytest

from reliability import strikes
from reliability.test_kill_commands import (
    IMAGE,
    Damage,
    Walk,
    nothing,
    removable,
    running,
    startable,
    status,
    stoppable,
)
from reliability.test_kill_commands import undisturbed as runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from program import Crate, Result

pytestmark = pytest.mark.requires("root", "overlay", "busybox", "strace")

FAULTS = {
    "ENOSPC": ("mkdir", "openat", "write", "symlink", "rename", "fsync", "link", "pwrite64"),
    "EIO": ("read", "write", "fsync", "rename", "getdents64", "unlink", "rmdir", "openat"),
    "EMFILE": (
        "openat", "openat2", "socket", "socketpair", "pipe2", "pidfd_open", "fsopen", "fsmount", "open_tree",
        "memfd_create", "accept4", "dup",
    ),
}  # fmt: skip
RUN = ("--name", "job", "-p", "127.0.0.1::80", IMAGE)
WALKS = {
    "run": Walk(("run", *RUN, "true"), nothing, startable),
    "run -d": Walk(("run", "-d", *RUN, "sleep", "1000"), nothing, startable, 0.8),
    "run --rm": Walk(("run", "--rm", *RUN, "true"), nothing, removable),
    "create": Walk(("create", *RUN, "true"), nothing, startable),
    "exec": Walk(("exec", "job", "true"), running, runs),
    "stop": Walk(("stop", "-t", "0", "job"), running, stoppable),
    "rm": Walk(("rm", "-f", "-t", "0", "job"), running, removable),
    "restart": Walk(("restart", "-t", "0", "job"), running, stoppable, 0.8),
}


def places_of(crate: Crate, walk: Walk) -> dict[tuple[str, str], range]:
    """The numbers of the calls of each fault, from where crate has begun: its interpreter is another matter."""
    walk.prepare(crate)
    calls = sorted({call for names in FAULTS.values() for call in names})
    numbers, before = strikes.record(crate, calls, *walk.words, linger=walk.linger, begin="hot.cpython")
    crate.ok("rm", "-f", "job")
    return {
        (error, call): range(before.get(call, 0) + 1, numbers[call] + 1)
        for error, names in FAULTS.items()
        for call in names
        if before.get(call, 0) < numbers.get(call, 0)
    }


def assert_told(call: str, result: Result) -> None:
    """Either it worked, or one line says what did not."""
    assert "Traceback" not in result.err, result.err
    if result.status == 125 and call == "write" and not result.err + result.out:
        return  # of each process the same write fails, and this one's was that very line
    if result.status:
        assert result.status in (1, 2, 125, 126, 127), result
        assert result.err.startswith("Error: ") and result.err.count("\n") == 1, result
        assert "this is a bug in crate" not in result.err, result


def fail(crate: Crate, walk: Walk, error: str, call: str, number: int) -> None:
    """One fault, and the look afterwards."""
    walk.prepare(crate)
    result = strikes.strike(crate, call, f"error={error}", number, *walk.words, linger=walk.linger)
    assert_told(call, result)
    if result.status == 0 and walk.linger and error == "ENOSPC" and call != "openat":
        assert status(crate) == "running", "a full disk ended it"  # the new interpreter must be read, though
    walk.check(crate)


def draw(places: dict[tuple[str, str], range], count: int, seed: int) -> Iterator[tuple[str, str, int]]:
    """Places by chance: kinds of calls are alike, however often they are made."""
    chosen = random.Random(seed)
    for error, call in chosen.choices(sorted(places), k=count):
        yield error, call, chosen.choice(places[error, call])


@pytest.mark.parametrize("name", WALKS)
def test_fault_somewhere(crate: Crate, name: str) -> None:
    """At a few places; CRATE_TEST_SEED draws others."""
    walk, damage = WALKS[name], Damage(crate)
    seed = strikes.seed()
    for error, call, number in draw(places_of(crate, walk), 2, seed):
        damage.note(
            f"{error} at {call} {number} (seed {seed})",
            lambda e=error, c=call, n=number: fail(crate, walk, e, c, n),  # type: ignore[misc]
        )
    damage.check()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", WALKS)
def test_fault_everywhere(crate: Crate, name: str) -> None:
    """At every call, at twenty of those that are made more often."""
    walk, damage = WALKS[name], Damage(crate)
    for (error, call), numbers in places_of(crate, walk).items():
        for number in numbers[:: -(-len(numbers) // 20)]:
            damage.note(
                f"{error} at {call} {number}",
                lambda e=error, c=call, n=number: fail(crate, walk, e, c, n),  # type: ignore[misc]
            )
    damage.check()


def test_few_descriptors(crate: Crate) -> None:
    """`ulimit -n`, from too few for a shell to more than enough: crate needs no more than sixteen."""
    damage = Damage(crate, "--network", "none")

    def act(limit: int) -> None:
        run = crate.command("run", "--rm", "--network", "none", IMAGE, "echo", "enough")
        done = subprocess.run(
            ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *run],
            env=crate.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if done.returncode:
            assert limit < 24 and done.returncode == 125, done
            assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1, done
        else:
            assert done.stdout == "enough\n"

    for limit in (12, 13, 14, 15, 16, 24):
        damage.note(f"ulimit -n {limit}", lambda limit=limit: act(limit))  # type: ignore[misc]
    damage.check()


def test_full_disk(crate: Crate) -> None:
    """What runs goes on, is stopped and removed; nothing new begins, and when there is room again, all is as before."""
    crate.root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs", str(crate.root)], check=True)
    try:
        crate.ok("run", "-d", "--name", "job", IMAGE, "sh", "-c", "while :; do echo more; sleep 0.01; done")
        crate.ok("run", "--name", "old", IMAGE, "true")
        filler = crate.root / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))
        assert "No space left on device" in crate.fails(125, "run", "--rm", IMAGE, "true")
        assert "No space left on device" in crate.fails(125, "create", IMAGE, "true")
        assert crate.ok("exec", "job", "echo", "on") == "on"
        assert crate.inspect("job")["State"]["Running"]
        crate.ok("rm", "old")
        crate.ok("stop", "-t", "0", "job")
        assert crate.inspect("job")["State"]["Status"] == "exited"
        filler.unlink()
        assert crate.ok("run", "--rm", IMAGE, "echo", "fine") == "fine"
        crate.ok("start", "job")
        crate.ok("rm", "-f", "job")
        assert [path for name in ("containers", "stage", "names") for path in (crate.root / name).iterdir()] == []
    finally:
        crate("rm", "-fa")
        subprocess.run(["umount", "--lazy", str(crate.root)], check=True)
