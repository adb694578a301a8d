"""The real program as tests see it: started with roots, a bridge and a configuration of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from users import User

TIMEOUT_SECONDS = 60.0

Answer = TypeVar("Answer")


def program() -> list[str]:
    """The words that start crate: `$CRATE_PROGRAM` (the one-file build, say), else the installed one beside Python."""
    chosen = os.environ.get("CRATE_PROGRAM")
    return chosen.split() if chosen else [str(Path(sys.executable).parent / "crate")]


class Result(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


class Crate:
    """crate with its own state. Call it with arguments: `crate("run", "--rm", image, "true")`."""

    def __init__(self, place: Path, runroot: Path, mark: str, settings: str, user: User | None = None) -> None:
        """`place`: its directory on a disk; `mark`: a word, in the environment of each process that it starts."""
        self.place = place
        self.root = place / "root"
        self.runroot = runroot
        self.mark = mark
        self.config = place / "config.toml"
        self.config.write_text(settings)
        self.user = user
        self.within: list[str] = []  # what starts it in another namespace: nsenter and its options
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(user.home if user else place / "home"),
            "LANG": "C.UTF-8",
            "CRATE_TEST": mark,
        }
        self._processes: list[subprocess.Popen[str]] = []

    def command(self, *arguments: str) -> list[str]:
        """The whole command line."""
        words = [*program(), "--root", str(self.root), "--runroot", str(self.runroot), "--config", str(self.config)]
        return [*self.within, *(self.user.become if self.user else ()), *words, *arguments]

    def __call__(
        self,
        *arguments: str,
        input: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        cwd: Path | None = None,
        **environment: str,
    ) -> Result:
        """Runs it to its end. Standard input is `input`, or empty."""
        process = self.popen(*arguments, cwd=cwd, **environment)
        try:
            out, err = process.communicate(input or "", timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"crate {' '.join(arguments)}: no end in {timeout} s\n{out}\n{err}") from None
        return Result(process.returncode, out, err)

    def popen(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        """Starts it with pipes in a session of its own; what still runs at the end of the test is killed."""
        process = subprocess.Popen(
            self.command(*arguments),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="surrogateescape", start_new_session=True,
            env=self.environment | environment, cwd=cwd or self.place,
        )  # fmt: skip
        self._processes.append(process)
        return process

    def ok(self, *arguments: str, **options: Any) -> str:
        """What a command that must succeed prints, without its last newline."""
        result = self(*arguments, **options)
        assert result.status == 0, f"crate {' '.join(arguments)} ended with {result.status}: {result.err}{result.out}"
        return result.out.removesuffix("\n")

    def fails(self, status: int, *arguments: str, **options: Any) -> str:
        """The one line that a command which crate itself must refuse prints on stderr."""
        result = self(*arguments, **options)
        assert result.status == status, f"{result.status}, not {status}: {result.err}{result.out}"
        assert "Traceback" not in result.err, result.err
        assert result.err.startswith("Error: ") and result.err.count("\n") == 1, f"not one line: {result.err!r}"
        return result.err.rstrip("\n")

    def inspect(self, name: str) -> dict[str, Any]:
        """`container inspect` of one container."""
        (found,) = json.loads(self.ok("container", "inspect", name))
        assert isinstance(found, dict)
        return found

    def await_line(self, name: str, line: str) -> None:
        """Waits until the container has written this line."""
        until(lambda: line in self.ok("logs", name).splitlines(), what=f"{line!r} in the log of {name}")

    def kill_started(self) -> None:
        """Ends what `popen` started and the test left running."""
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()


def until(question: Callable[[], Answer | None], seconds: float = TIMEOUT_SECONDS, what: str = "") -> Answer:
    """The first true answer; AssertionError when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not in {seconds} s: {what or question}"
        time.sleep(0.02)
    return answer
