"""Many commands at once: each has its own effect and answer, and who looks meanwhile never sees half a thing."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from program import until
from reliability.footprint import settled

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox")

IMAGE = "crate.local/busybox"
COLUMNS = "{{.ID}}|{{.Names}}|{{.Image}}|{{.Command}}|{{.Status}}|{{.CreatedAt}}"


class Readers:
    """Threads that ask again and again while the `with` block lasts; its end raises what one of them found."""

    def __init__(self, *questions: Callable[[], None]) -> None:
        self._questions = questions
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(len(questions))
        self.asked = 0

    def _ask(self, question: Callable[[], None]) -> None:
        while not self._over.is_set():
            question()
            self.asked += 1

    def __enter__(self) -> Readers:
        self._running = [self._pool.submit(self._ask, question) for question in self._questions]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._pool.shutdown()
        if error is None:
            for one in self._running:
                one.result()


def _check_listing(crate: Crate) -> None:
    """`ps -a` never fails, and each of its lines is whole."""
    for line in crate.ok("ps", "-a", "--no-trunc", "--format", COLUMNS).splitlines():
        words = line.split("|")
        assert len(words) == 6 and all(words[:4]) and len(words[0]) == 64, line
        assert words[4].startswith(("Created", "Up", "Exited (0)", "Removing")), line


def _check_images(crate: Crate) -> None:
    assert crate.ok("images", "-q").count("\n") == 0


def _check_started(crate: Crate, name: str, says: str) -> None:
    """A container that `run -d` has answered for: whoever looks finds all of it."""
    state = crate.inspect(name)["State"]
    assert state["Status"] in ("running", "exited") and state["ExitCode"] == 0, state
    assert state["Status"] == "exited" or state["Pid"] > 0, state
    assert crate.ok("logs", name) in ("", says)


def _check_detached(crate: Crate, count: int, workers: int, *network: str) -> None:
    footprint, before = settled(crate, *network)
    started: list[tuple[str, str]] = []

    def run(number: int) -> str:
        name, says = f"job{number}", f"this is {number}"
        container = crate.ok("run", "-d", "--name", name, *network, IMAGE, "echo", says)
        started.append((name, says))
        return container

    def look() -> None:
        if started:
            _check_started(crate, *started[-1])

    with (
        Readers(lambda: _check_listing(crate), lambda: _check_images(crate), look) as readers,
        ThreadPoolExecutor(workers) as pool,
    ):
        ids = list(pool.map(run, range(count)))
    assert readers.asked >= 3
    assert len(set(ids)) == count
    assert sorted(crate.ok("ps", "-aq", "--no-trunc").split()) == sorted(ids)
    until(lambda: len(crate.ok("ps", "-aq", "--filter", "status=exited").split()) == count, what="all have ended")
    inspected = {one["Name"].lstrip("/"): one["State"] for one in json.loads(crate.ok("container", "inspect", *ids))}
    assert {name: inspected[name]["ExitCode"] for name in inspected} == {f"job{n}": 0 for n in range(count)}
    for number in range(0, count, max(1, count // 20)):
        assert crate.ok("logs", f"job{number}") == f"this is {number}"
    crate.ok("rm", "--all", timeout=300)
    footprint.wait_for(before)


def _check_attached(crate: Crate, count: int) -> None:
    """All of them at the same time, no pool."""
    footprint, before = settled(crate)
    with Readers(lambda: _check_listing(crate)) as readers:
        runs = [
            crate.popen("run", "--rm", IMAGE, "sh", "-c", f"echo out{n}; echo err{n} >&2; exit {n % 100}")
            for n in range(count)
        ]
        answers = [process.communicate(timeout=240) for process in runs]
    assert readers.asked >= 1
    assert answers == [(f"out{n}\n", f"err{n}\n") for n in range(count)]
    assert [process.returncode for process in runs] == [n % 100 for n in range(count)]
    footprint.wait_for(before)


def _check_name(crate: Crate, count: int, command: tuple[str, ...], *network: str) -> None:
    """One of them gets it; the others are told so, and leave nothing."""
    footprint, before = settled(crate, *network)
    tries = [crate.popen(*command, *network, "--name", "job", IMAGE, "sleep", "1000") for _ in range(count)]
    answers = [(process, *process.communicate(timeout=120)) for process in tries]
    (winner,) = [out.strip() for process, out, _ in answers if process.returncode == 0]
    for process, out, err in answers:
        if process.returncode:
            assert (process.returncode, out) == (125, "")
            assert err.startswith("Error: ") and err.count("\n") == 1, err
            assert f'the container name "job" is already in use by {winner}' in err, err
    assert crate.ok("ps", "-aq", "--no-trunc") == crate.inspect("job")["Id"] == winner
    assert [path.name for path in (crate.root / "containers").iterdir()] == [winner]
    assert [path.name for path in (crate.runroot / "containers").iterdir()] == [winner]
    assert [path.name for path in (crate.root / "names").iterdir()] == ["job"]
    crate.ok("rm", "-f", "job")
    footprint.wait_for(before)


def test_detached(crate: Crate) -> None:
    _check_detached(crate, 24, 12)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("network", [(), ("--network", "none")])
def test_eight_hundred_detached(crate: Crate, network: tuple[str, ...]) -> None:
    _check_detached(crate, 800, 16, *network)


def test_attached_at_the_same_time(crate: Crate) -> None:
    _check_attached(crate, 16)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_attached_at_the_same_time(crate: Crate) -> None:
    _check_attached(crate, 200)


@pytest.mark.parametrize("command", [("run", "-d"), ("create",)])
def test_one_name(crate: Crate, command: tuple[str, ...]) -> None:
    _check_name(crate, 12, command)


@pytest.mark.slow
@pytest.mark.parametrize("command", [("run", "-d"), ("create",), ("run", "-d", "--rm")])
def test_fifty_tries_at_one_name(crate: Crate, command: tuple[str, ...]) -> None:
    for _ in range(5):
        _check_name(crate, 50, command)


@pytest.mark.slow
def test_ordinary_user_detached(rootless_crate: Crate) -> None:
    _check_detached(rootless_crate, 100, 8, "--network", "none")


def test_ordinary_user_at_one_name(rootless_crate: Crate) -> None:
    _check_name(rootless_crate, 10, ("create",), "--network", "none")
