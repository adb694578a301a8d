"""The caller of a running container: its streams and signals, by the monitor's socket, to the end or a detach."""

from __future__ import annotations

import _signal
import _socket
import fcntl
import os
import select
import termios
from struct import unpack

from crate.engine.monitor import wire
from crate.errors import StateError
from crate.linux import process
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine

#: signals that --sig-proxy does not forward: they are about this process (docker forwards all others)
_OWN_SIGNALS = (_signal.SIGCHLD, _signal.SIGPIPE, _signal.SIGKILL, _signal.SIGSTOP, _signal.SIGWINCH)
#: signals that end this process and can be caught: first it gives its terminal back
_ENDINGS = (
    _signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGABRT, _signal.SIGUSR1, _signal.SIGUSR2,
    _signal.SIGALRM, _signal.SIGTERM, _signal.SIGXCPU, _signal.SIGVTALRM, _signal.SIGPROF, _signal.SIGIO,
    _signal.SIGPWR, _signal.SIGSYS,
)  # fmt: skip
#: signals after which a container is not restarted, whatever its policy
_ENDING_FOR_GOOD = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGQUIT)
DETACH_KEYS = b"\x10\x11"  # ctrl-p ctrl-q


class Detached(Exception):
    """The user typed the detach keys."""


class Relay:
    """Moves bytes between this process and a monitor."""

    def __init__(
        self,
        socket: _socket.socket,
        pidfd: int,
        *,
        stdin: bool,
        terminal: bool,
        detach_keys: bytes,
        proxy_signals: bool,
        redraw: bool = False,
    ) -> None:
        self.socket = socket
        self.stdin = stdin
        self.terminal = terminal
        self.detach_keys = detach_keys
        self.proxy_signals = proxy_signals
        self.pidfd = pidfd
        self._redraw = redraw
        self._typed = b""
        self._unsent: list[bytes] = []
        self._saved: list[Any] | None = None
        #: what --diagnose found: {"refusals", "more", "ended"}
        self.diagnosis: dict[str, Any] | None = None
        self._refusals: list[dict[str, Any]] = []
        #: bytes of output that the monitor did not keep for this process
        self.skipped = 0

    def run(self) -> dict[str, Any] | None:
        """Serves until the container has ended (its exit record) or this caller detached (None)."""
        wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        _signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        handlers: dict[int, Any] = {}
        try:
            self._catch_signals(handlers)
            self._raw_terminal()
            if self.terminal:
                self._send_size(self._redraw)
            return self._loop(wake_read)
        except Detached:
            try:
                self.socket.send(wire.DETACH, _socket.MSG_NOSIGNAL)
            except OSError:
                pass  # it has just ended
            return None
        finally:
            self._restore_terminal(termios.TCSADRAIN)
            _signal.set_wakeup_fd(-1)
            for number, handler in handlers.items():
                _signal.signal(number, handler)
            os.close(wake_read)
            os.close(wake_write)

    def _catch_signals(self, handlers: dict[int, Any]) -> None:
        wanted = set(_signal.valid_signals()) - set(_OWN_SIGNALS) if self.proxy_signals else set()
        if self.terminal:
            wanted.add(_signal.SIGWINCH)
            wanted.discard(_signal.SIGHUP)  # the terminal is gone, and this process goes with it
        for number in wanted:
            # The Go runtime's SIGURG is not ours to forward, and stop signals from a terminal stop this process.
            if number in (_signal.SIGURG, _signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU):
                continue
            try:
                handlers[number] = _signal.signal(number, lambda *_: None)
            except (OSError, ValueError):
                continue
        if self._owns_terminal():
            for number in _ENDINGS:
                if number not in wanted and _signal.getsignal(number) != _signal.SIG_IGN:
                    handlers[number] = _signal.signal(number, self._end_by)
            handlers[_signal.SIGTSTP] = _signal.signal(_signal.SIGTSTP, self._stop)

    def _owns_terminal(self) -> bool:
        return self.terminal and self.stdin and os.isatty(0)

    def _end_by(self, number: int, _frame: object) -> None:
        """Ends this process by a signal, its terminal as it was."""
        self._restore_terminal(termios.TCSANOW)
        _signal.signal(number, _signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _stop(self, _number: int, _frame: object) -> None:
        """Stops this process (kill -TSTP: a raw terminal's ctrl-z is the container's), its terminal as it was."""
        self._restore_terminal(termios.TCSANOW)
        os.kill(os.getpid(), _signal.SIGSTOP)
        self._raw_terminal()
        self._send_size(redraw=True)

    def _restore_terminal(self, when: int) -> None:
        saved, self._saved = self._saved, None
        if saved is not None:
            try:
                termios.tcsetattr(0, when, saved)
            except termios.error:
                pass  # it is gone

    def _raw_terminal(self) -> None:
        """cfmakeraw(3)."""
        if not self._owns_terminal():
            return
        try:
            saved, raw = termios.tcgetattr(0), termios.tcgetattr(0)
        except termios.error:
            return
        raw[0] &= ~(
            termios.IGNBRK
            | termios.BRKINT
            | termios.PARMRK
            | termios.ISTRIP
            | termios.INLCR
            | termios.IGNCR
            | termios.ICRNL
            | termios.IXON
        )
        raw[1] &= ~termios.OPOST
        raw[2] = raw[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        raw[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
        self._saved = saved
        try:
            termios.tcsetattr(0, termios.TCSADRAIN, raw)
        except termios.error:
            self._saved = None

    def _loop(self, wake_fd: int) -> dict[str, Any] | None:
        stdin_open = self.stdin
        while True:
            poll = select.poll()
            poll.register(wake_fd, select.POLLIN)
            # While the container does not take its stdin, none is read; output and signals go on.
            poll.register(self.socket.fileno(), select.POLLIN | (select.POLLOUT if self._unsent else 0))
            if stdin_open and not self._unsent:
                poll.register(0, select.POLLIN)
            for fd, event in poll.poll():
                if fd == wake_fd:
                    for number in os.read(wake_fd, 256):
                        self._forward(number)
                elif fd != self.socket.fileno():
                    stdin_open = self._read_stdin()
                else:
                    if event & select.POLLOUT:
                        packets, self._unsent = self._unsent, []
                        for packet in packets:
                            self._send(packet)
                    if event & (select.POLLIN | select.POLLHUP):
                        ended = self._receive()
                        if ended is not None:
                            return ended

    def _receive(self) -> dict[str, Any] | None:
        packet = wire.receive(self.socket)
        kind, data = packet[:1], packet[1:]
        if kind in (wire.STDOUT, wire.STDERR):
            _write(1 if kind == wire.STDOUT else 2, data)
        elif kind == wire.SKIPPED:
            self.skipped += int(data)
        elif kind == wire.RESTARTED:
            self._follow(json.loads(data))
        elif kind == wire.REFUSAL:
            self._refusals.append(json.loads(data))
        elif kind == wire.DIAGNOSIS:
            self.diagnosis = {"refusals": self._refusals, **json.loads(data)}
        elif kind == wire.ENDED:
            return json.loads(data)  # type: ignore[no-any-return]
        elif not kind:
            return {"exit_code": 137, "error": "the container's monitor was killed, and the container with it"}
        return None

    def _follow(self, started: dict[str, Any]) -> None:
        """The container was restarted: signals go to its new init."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        try:
            pidfd = process.pidfd_open(started["pid"])
        except OSError:
            return  # it has ended again
        if process.start_time(started["pid"]) == started["start_time"]:
            self.pidfd = pidfd
        else:
            os.close(pidfd)

    def _forward(self, number: int) -> None:
        if number == _signal.SIGWINCH:
            if self.terminal:
                self._send_size()
        elif self.proxy_signals:
            if number in _ENDING_FOR_GOOD:
                self._send(wire.CANCEL)
            try:
                process.pidfd_send_signal(self.pidfd, number)
            except OSError:
                pass  # it has just ended, which the socket tells

    def _read_stdin(self) -> bool:
        try:
            data = os.read(0, wire.CHUNK)
        except OSError:
            data = b""
        if not data:
            if self._typed:
                self._send(wire.STDIN + self._typed)  # no more keys come: it was not the beginning of them
                self._typed = b""
            self._send(wire.STDIN_END)
            return False
        if self.terminal and self.detach_keys:
            data = self._without_detach_keys(data)
        if data:
            self._send(wire.STDIN + data)
        return True

    def _without_detach_keys(self, data: bytes) -> bytes:
        """Holds back what may be the beginning of the detach keys; raises Detached when they are complete."""
        keys, passed = self.detach_keys, b""
        for byte in data:
            self._typed += bytes([byte])
            if self._typed == keys:
                raise Detached
            while self._typed and not keys.startswith(self._typed):
                passed += self._typed[:1]
                self._typed = self._typed[1:]
        return passed

    def _send(self, packet: bytes) -> None:
        if self._unsent and packet[:1] in (wire.STDIN, wire.STDIN_END):
            self._unsent.append(packet)
            return
        try:
            self.socket.send(packet, _socket.MSG_NOSIGNAL | _socket.MSG_DONTWAIT)
        except BlockingIOError:
            if packet[:1] in (wire.STDIN, wire.STDIN_END):
                self._unsent.append(packet)
        except OSError:
            pass  # the monitor is gone, which the next receive tells

    def _send_size(self, redraw: bool = False) -> None:
        """`redraw`: another size first, at whose change a program draws its screen again, as docker does it."""
        size = window_size()
        if size and redraw:
            self._send(wire.RESIZE + b"%d %d" % (size[0] + 1, size[1]))
        if size:
            self._send(wire.RESIZE + b"%d %d" % (size[0], size[1]))


def attach(engine: Engine, container: Container, options: dict[str, Any]) -> int:
    """Joins a container that runs: the exit status of its command, or 0 after the detach keys. StateError."""
    from crate.engine import start

    keys = options.get("detach_keys")
    if keys is not None:
        parse_detach_keys(keys)
    status = container.state(engine)["status"]
    if status == "paused":
        raise StateError("you cannot attach to a paused container", f"crate unpause {container.name}")
    if status != "running":
        raise StateError("you can only attach to running containers", f"crate start {container.name}")
    record = container.record
    stdin = bool(record["interactive"]) and not options.get("no_stdin")
    # docker's StdinOnce: what was created to be attached to loses its stdin with whoever was; a detached one keeps it.
    hello = {"stdout": True, "stderr": True, "stdin": stdin, "stdin_once": stdin and "stdin" in record["attach"]}
    if record["tty"]:
        start.add_terminal(engine, hello)
    socket, pidfd = start.join(engine, container, hello)
    proxy = options.get("sig_proxy")
    return start.stay(
        container, socket, pidfd, hello, keys, proxy is None or bool(proxy), engine, engine.warn or _silent
    )


def _silent(_text: str) -> None:
    """Who gave no way to show warnings."""


def window_size() -> list[int] | None:
    """Rows and columns of this process's terminal (TIOCGWINSZ of ioctl_tty(2)); None where there is none."""
    for fd in (1, 0, 2):
        try:
            rows, columns, _, _ = unpack("=4H", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8))
        except OSError:
            continue
        if rows and columns:
            return [rows, columns]
    return None


def warn_without_terminal(engine: Engine) -> None:
    """Says in podman's words, where docker refuses, that what is typed does not come from a terminal."""
    if engine.warn and not os.isatty(0):
        engine.warn("The input device is not a TTY. The --tty and --interactive flags might not work properly")


def _write(fd: int, data: bytes) -> None:
    """All of it: to a file that blocks, or to one that a caller made non-blocking."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()
        except BrokenPipeError:
            raise  # nobody reads any more: this command ends as one that SIGPIPE ends (141), the container goes on
        except OSError:
            return  # a full disk, a descriptor that the caller had closed: the log has it


def parse_detach_keys(text: str) -> bytes:
    """docker's syntax: single characters and `ctrl-X`, separated by commas; an empty text disables detaching."""
    from crate.errors import UsageError

    keys = b""
    for part in text.split(",") if text else []:
        if len(part) == 1:
            keys += part.encode()
        elif part.startswith("ctrl-") and len(part) == 6 and ("a" <= part[5] <= "z" or part[5] in "@[\\]^_"):
            keys += bytes([ord(part[5].upper()) & 0x1F])
        else:
            raise UsageError(f"invalid detach keys: {text}", "single characters or ctrl-a to ctrl-z, @ [ \\ ] ^ _")
    return keys
