"""An ordinary user's containers beside rootless podman's: alone, and beside one that runs; development shells."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.engines import Engine
from bench.timing import Case, Row, alternate
from users import make_user, remove_user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.stage import Stage
    from users import User

ALONE = "run --rm --network none IMAGE true, rootless"
SHELL = "shell IMAGE -- true, the second time"
BESIDE = "run --rm --network none IMAGE true, rootless, beside a running one"


def starting(stage: Stage, rounds: int) -> Iterator[Row]:
    """Each engine with a state of the user's own; podman's pause process is there from its first command on."""
    with _user(stage) as (user, run):
        engines = [_crate(stage, user, run), _podman(stage, user, run)]
        arguments = ["run", "--rm", "--network", "none", stage.busybox, "true"]
        cases = [Case(engine.name, engine.command(*arguments), engine.environment) for engine in engines]
        engines[0]("pull", "--quiet", stage.busybox)
        engines[1]("pull", "--quiet", "--tls-verify=false", stage.busybox)
        yield from alternate(ALONE, cases, rounds)
        for engine in engines:
            engine("run", "-d", "--network", "none", stage.busybox, "sleep", "1000")
        yield from alternate(BESIDE, cases, rounds)
        _clear(engines)


def shells(stage: Stage, rounds: int) -> Iterator[Row]:
    """`crate shell` as root and as an ordinary user; podman has none (toolbox is an exec of it). To be under 100 ms."""
    words = ["shell", stage.busybox, "--", "true"]
    with contextlib.chdir(stage.crate.environment["HOME"]):  # the shell has it
        stage.crate(*words)
        yield from alternate(SHELL, [Case("crate", stage.crate.command(*words), stage.crate.environment)], rounds)
    stage.crate.clear()
    with _user(stage) as (user, run), contextlib.chdir(user.home):
        engine = _crate(stage, user, run)
        engine("pull", "--quiet", stage.busybox)
        engine(*words)
        yield from alternate(f"{SHELL}, rootless", [Case("crate", engine.command(*words), engine.environment)], rounds)
        _clear([engine])


@contextlib.contextmanager
def _user(stage: Stage) -> Iterator[tuple[User, Path]]:
    """An ordinary user, and a directory for run roots."""
    user = make_user(stage.place)
    run = Path(tempfile.mkdtemp(prefix="cbr-", dir="/tmp"))
    subprocess.run(["chown", "-R", f"{user.uid}:{user.gid}", str(run), str(user.home)], check=True)
    stage.place.chmod(0o755)
    try:
        yield user, run
    finally:
        remove_user(user)
        subprocess.run(["rm", "-rf", str(run)], check=False)


def _clear(engines: list[Engine]) -> None:
    for engine in engines:
        subprocess.run(engine.command("rm", "--all", "--force", "--time", "0"), check=False, env=engine.environment)


def _environment(user: User, run: Path) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(user.home),
        "LANG": "C.UTF-8",
        "XDG_RUNTIME_DIR": str(run),
    }


def _crate(stage: Stage, user: User, run: Path) -> Engine:
    words = [*user.become, stage.crate.words[0], "--root", f"{user.home}/crate", "--runroot", f"{run}/crate"]
    return Engine("crate", words, _environment(user, run), [], "")


def _podman(stage: Stage, user: User, run: Path) -> Engine:
    words = [*user.become, "podman", "--root", f"{user.home}/podman", "--runroot", f"{run}/podman"]
    words += ["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs"]
    environment = _environment(user, run) | {"CONTAINERS_CONF": stage.podman.environment["CONTAINERS_CONF"]}
    return Engine("podman", words, environment, [], "")
