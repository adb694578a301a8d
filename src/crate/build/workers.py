"""The processes of a build: one a stage, and the one that waits for them all.

    build                                   stage (one process each, forked before any of them runs)
      | <-- step, output, made, note -------- |   what it does, for the display
      | <-- need INDEX ----------------------- |   it cannot go on without another stage
      | --- ready ---------------------------> |   that one is done: its state is a file in the build's staging
      | <-- turn, over ----------------------- |   a step with an effect begins, has ended (--jobs)
      | --- go ------------------------------> |   it may begin
      | <-- done | failed -------------------- |   its last words

One message is one packet of JSON on a SOCK_SEQPACKET pair. A stage dies with the build's process (PR_SET_PDEATHSIG),
and its commands with it. When a stage fails the others are told to end (SIGTERM), and undo what they were doing.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

from crate.build.state import State
from crate.errors import CrateError, HostError
from crate.linux.process import PR_SET_PDEATHSIG, fork_child, prctl, set_name
from crate.oci import json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from crate.build.display import Display

_PACKET = 1 << 17
_PIECE = 16384  # bytes of output a message
_LAST = 16384
_TEXT = 36000  # bytes of JSON of one text of a message
_END_SECONDS = 10.0


class Reporter:
    """A stage's way to the build's process. Used in the process of the stage alone."""

    def __init__(self, directory: str, index: int, end: socket.socket) -> None:
        self._directory = directory
        self._index = index
        self._socket = end
        self._last = b""
        self._has_turn = False

    def _send(self, message: str, **fields: Any) -> None:
        self._socket.send(json.dumps({"message": message, **fields}).encode("utf-8", "surrogateescape"))

    def step(self, number: int, total: int, text: str) -> None:
        """A step begins."""
        self._last = b""
        self._send("step", number=number, total=total, text=text[:4096])

    def output(self, stream: int, data: bytes) -> None:
        """The command of a step said something on its standard output (1) or error (2)."""
        self._last = (self._last + data)[-_LAST:]
        for start in range(0, len(data), _PIECE):
            self._send("output", stream=stream, data=data[start : start + _PIECE].decode("latin-1"))

    def last_output(self) -> bytes:
        """The end of what the command of this step said."""
        return self._last

    def made(self, layer: str, known: bool) -> None:
        """The step has ended; `known`: the cache had its result."""
        self._send("made", layer=layer, known=known)

    def note(self, text: str) -> None:
        """Something for the user to see."""
        self._send("note", text=_fitting(text))

    def need(self, index: int) -> State:
        """What another stage has become, as soon as it is done."""
        path = f"{self._directory}/stage-{index}.json"
        if not os.access(path, os.F_OK):
            has_turn = self._has_turn
            if has_turn:
                self.end()  # whoever it waits for needs one
            self._send("need", stage=index)
            self._wait()
            if has_turn:
                self.begin()
        with open(path, "rb") as file:
            return State.from_json(file.read())

    def _wait(self) -> None:
        if not self._socket.recv(_PACKET):
            os._exit(1)  # the build has ended

    def turn(self) -> Turn:
        """For `with`: as many steps as --jobs says happen at a time."""
        return Turn(self)

    def begin(self) -> None:
        """Waits for the turn."""
        self._send("turn")
        self._wait()
        self._has_turn = True

    def end(self) -> None:
        """Gives it back."""
        self._has_turn = False
        self._send("over")

    def done(self, state: State, taken: Sequence[str]) -> None:
        """The stage's last words: `taken` are the --build-arg that it asked for."""
        path = f"{self._directory}/stage-{self._index}.json"
        with open(f"{path}.new", "wb") as file:
            file.write(state.to_json().encode())
        os.rename(f"{path}.new", path)
        self._send("done", taken=list(taken))

    def failed(self, error: CrateError) -> None:
        """Why there is no such stage."""
        shown = {"text": _fitting(error.message), "detail": _fitting(error.detail)}
        self._send("failed", **shown, hint=error.hint and _fitting(error.hint), status=error.exit_status)


def _fitting(text: str) -> str:
    """Begin and end of a text that is too long for a packet, in which a letter may take up to 12 bytes."""
    return text if len(json.dumps(text)) <= _TEXT else f"{text[: _TEXT // 24]} … {text[-_TEXT // 24 :]}"


class Turn:
    """One turn of a stage."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def __enter__(self) -> Self:
        self._reporter.begin()
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        if kind is None:
            self._reporter.end()


class Workers:
    """Builds stages: `build(index, reporter)` gives the state of one and the --build-arg it asked for."""

    def __init__(
        self,
        directory: str,
        wanted: Sequence[int],
        build: Callable[[int, Reporter], tuple[State, Sequence[str]]],
        display: Display,
        jobs: int,
    ) -> None:
        """`wanted`: the stages; `jobs`: how many of them do something at a time, 0 for all."""
        self._directory = directory
        self._build = build
        self._display = display
        self._free = jobs or len(wanted)
        self._queue: list[int] = []
        self._running: dict[int, int] = {}  # stage -> pid
        self._sockets: dict[int, socket.socket] = {}
        self._waiting: dict[int, list[int]] = {}  # stage -> those that need it
        self._done: set[int] = set()
        self._working: set[int] = set()
        self.taken: set[str] = set()
        self._wanted = list(wanted)

    def run(self) -> None:
        """Builds all. Raises what a stage failed with; all processes have ended then."""
        failure: CrateError | None = None
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what is under way is undone
        try:
            for index in self._wanted:
                self._start(index)
            while self._sockets and failure is None:
                failure = self._step()
        finally:
            self._end()
            signal.signal(signal.SIGTERM, before)
        if failure:
            raise failure

    def state(self, index: int) -> State:
        """What a stage has become."""
        with open(f"{self._directory}/stage-{index}.json", "rb") as file:
            return State.from_json(file.read())

    def _start(self, index: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        parent = os.getpid()

        def child() -> NoReturn:
            ours.close()
            for other in self._sockets.values():
                other.close()
            _stage(parent, self._build, index, Reporter(self._directory, index, theirs))

        self._running[index] = fork_child(child)
        theirs.close()
        self._sockets[index] = ours

    def _step(self) -> CrateError | None:
        poll = select.poll()
        by_fd = {end.fileno(): index for index, end in self._sockets.items()}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll(self._display.wait_ms()):
            failure = self._take(by_fd[fd])
            if failure:
                return failure
        self._display.refresh()
        return None

    def _take(self, index: int) -> CrateError | None:
        data = self._sockets[index].recv(_PACKET)
        if not data:
            return HostError("the process of a stage was killed", "look for an out-of-memory kill in dmesg")
        fields = json.loads(data)
        message = fields.pop("message")
        if message == "need":
            if fields["stage"] in self._done:
                self._sockets[index].send(b"ready")
            else:
                self._waiting.setdefault(fields["stage"], []).append(index)
        elif message == "turn":
            self._queue.append(index)
        elif message == "over":
            self._working.discard(index)
            self._free += 1
        elif message == "done":
            self._finish(index, fields["taken"])
        elif message == "failed":
            error = CrateError(fields["text"], fields["hint"], fields["status"])
            error.detail = fields["detail"]
            return error
        else:
            self._display.show(index, message, fields)
        while self._free and self._queue:
            self._free -= 1
            chosen = self._queue.pop(0)
            self._working.add(chosen)
            self._sockets[chosen].send(b"go")
        return None

    def _finish(self, index: int, taken: Sequence[str]) -> None:
        self.taken.update(taken)
        self._done.add(index)
        self._sockets.pop(index).close()
        os.waitpid(self._running.pop(index), 0)
        for other in self._waiting.pop(index, []):
            self._sockets[other].send(b"ready")

    def _end(self) -> None:
        """Lets every process that is left undo what it does, and ends it when that takes too long."""
        for pid in self._running.values():
            os.kill(pid, signal.SIGTERM)
        for end in self._sockets.values():
            end.close()
        deadline = time.monotonic() + _END_SECONDS
        while self._running:
            for index, pid in list(self._running.items()):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    del self._running[index]
                elif time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
            if self._running:
                time.sleep(0.005)


def _stage(
    parent: int, build: Callable[[int, Reporter], tuple[State, Sequence[str]]], index: int, reporter: Reporter
) -> NoReturn:
    """Process `crate:stage`: child of the build's, ends with 0 when it has said its last words, with 1 otherwise."""
    status = 1
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        set_name("crate:stage")
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        state, taken = build(index, reporter)
        reporter.done(state, taken)
        status = 0
    except CrateError as error:
        reporter.failed(error)
    except OSError as error:
        reporter.failed(HostError(f"cannot build: {error}"))
    except KeyboardInterrupt:
        pass
    except Exception as error:
        from traceback import print_exc

        if "--debug" in sys.argv or "-D" in sys.argv:
            print_exc()
        reporter.failed(HostError(f"unexpected {type(error).__name__}: {error}", "a bug in crate: see it with --debug"))
    os._exit(status)
