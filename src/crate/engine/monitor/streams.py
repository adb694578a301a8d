"""The standard streams of a container between its pipes or pty, its log, and the clients that are attached."""

from __future__ import annotations

import _socket
import fcntl
import os
import select
import time
from struct import pack, unpack

from crate.engine.monitor import wire
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.logs.lines import LogLines

_TIOCSWINSZ = 0x5414
#: A client this many bytes behind holds up the container, or misses what comes (docs/decisions/0090).
_BEHIND = 1 << 20
#: A caller that is stopped holds its container up no longer than this.
_PATIENCE_SECONDS = 10.0
#: how often it is looked whether such a one is stopped
LOOK_SECONDS = 1.0
_ENDS_TYPED = 5
_FOLLOWERS_SECONDS = 2.0
#: What a pipe holds at most, unless root has raised fs.pipe-max-size (pipe(7)).
_PIPE_MAX = 1 << 20


class Client:
    """A connected caller: what it wants to see, and what it was not able to take yet.

    Who started the container gets every byte of it, as through a pipe: the container waits while it is behind, unless
    it is stopped. Whoever came later (`late` in its hello) holds nothing up: it misses what it is too slow for.
    """

    def __init__(
        self,
        socket: _socket.socket,
        hello: dict[str, Any] | None,
        pending: list[bytes] | None = None,
        skipped: int = 0,
    ) -> None:
        socket.setblocking(False)
        self.socket = socket
        self.hello = hello
        self.pending = pending or []
        self.pending_bytes = sum(map(len, self.pending))
        #: bytes that it missed and has not been told of yet; while there are some, it misses more
        self.skipped = skipped
        self._stopped_since = 0.0
        self._is_waited_for = bool(hello and not hello.get("late"))

    def wants(self, stream: bytes) -> bool:
        """Whether it asked for this stream."""
        return bool(self.hello and self.hello.get("stdout" if stream == wire.STDOUT else "stderr"))

    def holds(self) -> bool:
        """Whether the container's output has to wait for it."""
        if self.pending_bytes <= _BEHIND or self.skipped:
            return False
        if self.is_owed():
            self._stopped_since, self._is_waited_for = 0.0, True
            return True
        if not self.hello or self.hello.get("late"):
            return False
        self._stopped_since = self._stopped_since or time.monotonic()
        self._is_waited_for = time.monotonic() - self._stopped_since < _PATIENCE_SECONDS
        return self._is_waited_for

    def is_owed(self) -> bool:
        """Whether every byte is waited for."""
        return bool(self.hello and not self.hello.get("late")) and not self._is_stopped()

    def _is_stopped(self) -> bool:
        """Whether its process is (SIGSTOP, a debugger): such a one would hold the container up for ever."""
        pid, _, _ = unpack("=3i", self.socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12))
        try:
            fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return os.read(fd, 4096).rpartition(b") ")[2][:1] in (b"T", b"t")
        finally:
            os.close(fd)

    def show(self, packet: bytes) -> bool:
        """Sends what the container wrote, keeps it for later, or counts it as missed; False when the client is gone."""
        if self.skipped or (self.pending_bytes > _BEHIND and not self._is_waited_for):
            self.skipped += len(packet) - 1
            return True
        return self.send(packet)

    def send(self, packet: bytes) -> bool:
        """Sends, or keeps for later; False when the client is gone."""
        if self.pending:
            self.pending.append(packet)
            self.pending_bytes += len(packet)
            return True
        try:
            self.socket.send(packet, _socket.MSG_NOSIGNAL)
        except BlockingIOError:
            self.pending.append(packet)
            self.pending_bytes += len(packet)
        except OSError:
            return False
        return True

    def flush(self) -> bool:
        """Sends what waits, as far as it goes; False when the client is gone."""
        while self.pending:
            try:
                self.socket.send(self.pending[0], _socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return True
            except OSError:
                return False
            self.pending_bytes -= len(self.pending.pop(0))
        return not self.skipped or self._tell_skipped()

    def _tell_skipped(self) -> bool:
        packet, self.skipped = wire.SKIPPED + b"%d" % self.skipped, 0
        return self.send(packet)

    def tell(self, packet: bytes) -> bool:
        """Sends what is no output, after what it missed; False when the client is gone."""
        return (not self.skipped or self._tell_skipped()) and self.send(packet)

    def part(self) -> None:
        """The end for one that takes nothing: the last packet and what it missed go into room kept for them."""
        last = self.pending.pop()
        for packet in self.pending:
            self.skipped += int(packet[1:]) if packet[:1] == wire.SKIPPED else len(packet) - 1
        self.pending.clear()
        self.socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, 1 << 20)  # the kernel makes it twice what it was
        self.tell(last)


class Streams:
    """All descriptors that the monitor moves bytes between.

    `output` maps a descriptor to its stream; with a terminal there is one, the pty's master, which also takes stdin.
    """

    def __init__(self, log: LogLines | None, output: dict[int, bytes], stdin_fd: int, terminal: bool) -> None:
        self.log = log
        self.output = output
        self.stdin_fd = stdin_fd
        self.terminal = terminal
        self.stdin_pending: list[bytes] = []
        self.stdin_ends = False
        self._midline = False
        #: how often the end of the input is still to be typed to a terminal
        self.ends_to_type = 0
        self._end_typed_at = 0.0
        self.clients: list[Client] = []
        #: something is to be looked at again after LOOK_SECONDS, without an event
        self.looks = False

    def interests(self, poll: select.poll) -> None:
        """Registers with a fresh poll object whatever can move now."""
        held = any(client.holds() for client in self.clients)
        if self.ends_to_type and time.monotonic() - self._end_typed_at >= LOOK_SECONDS:
            self.ends_to_type -= 1
            self._type_end()
        self.looks = held or self.ends_to_type > 0
        if not held:
            for fd in self.output:
                poll.register(fd, select.POLLIN)
        if self.stdin_pending and self.stdin_fd >= 0:
            events = select.POLLOUT | (select.POLLIN if self.stdin_fd in self.output and not held else 0)
            poll.register(self.stdin_fd, events)
        # A container that does not read its stdin holds up whoever sends it, not this process's memory.
        receive = 0 if sum(map(len, self.stdin_pending)) > _BEHIND else select.POLLIN
        for client in self.clients:
            poll.register(client.socket.fileno(), receive | (select.POLLOUT if client.pending else 0))

    def read_output(self, fd: int) -> bool:
        """Moves what is there from the container to log and clients; False at the end of the stream."""
        try:
            data = os.read(fd, 2 * wire.CHUNK)  # a pipe's whole content
        except BlockingIOError:
            return True
        except OSError:  # EIO: the last slave of a pty was closed
            data = b""
        if not data:
            self.close_output(fd)
            return False
        stream = self.output[fd]
        if self.log:
            self.log.write("stdout" if stream == wire.STDOUT else "stderr", data)
        for client in list(self.clients):
            if client.wants(stream):
                for start in range(0, len(data), wire.CHUNK):
                    if not client.show(stream + data[start : start + wire.CHUNK]):
                        self.drop(client)
                        break
        return True

    def close_output(self, fd: int) -> None:
        """Forgets an output that has ended."""
        del self.output[fd]
        if fd == self.stdin_fd:
            self.stdin_fd = -1
        os.close(fd)

    def drain(self) -> None:
        """Reads what the outputs held when their process ended; a survivor that holds one open may go on writing."""
        for fd in list(self.output):
            os.set_blocking(fd, False)
            for _ in range(0, _PIPE_MAX, wire.CHUNK):
                poll = select.poll()
                poll.register(fd, select.POLLIN)
                if not poll.poll(0) or not self.read_output(fd):
                    break
        if self.log:
            self.log.finish()

    def receive(self, client: Client, event: int) -> bytes:
        """Serves one client's socket; gives a packet that is not about streams, or nothing."""
        if event & select.POLLOUT and not client.flush():
            self.drop(client)
            return b""
        if not event & (select.POLLIN | select.POLLHUP | select.POLLERR):
            return b""
        try:
            packet = client.socket.recv(wire.CHUNK + 1)
        except BlockingIOError:
            return b""
        except OSError:
            packet = b""
        kind = packet[:1]
        if kind == wire.STDIN:
            self._midline = packet[-1:] not in (b"\n", b"\r")
            self.take_stdin(packet[1:])
        elif kind == wire.STDIN_END:
            if client.hello and client.hello.get("stdin_once"):
                if self.terminal:
                    self.ends_to_type = _ENDS_TYPED
                else:
                    self.end_stdin()
        elif not packet or kind == wire.DETACH:
            if packet:
                client.hello = None  # who detaches may come back to this stdin
            self.drop(client)
        else:
            return packet
        return b""

    def pump(self, pidfd: int) -> None:
        """Moves bytes until the process that `pidfd` means has ended."""
        while True:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            self.interests(poll)
            for fd, event in poll.poll(LOOK_SECONDS * 1000 if self.looks else None):
                if fd == pidfd:
                    return
                if fd in self.output and event & (select.POLLIN | select.POLLHUP):
                    self.read_output(fd)
                if fd == self.stdin_fd and event & (select.POLLOUT | select.POLLERR):
                    self.write_stdin()
                for client in [client for client in self.clients if client.socket.fileno() == fd]:
                    packet = self.receive(client, event)
                    if packet[:1] == wire.RESIZE and self.terminal:
                        self.resize(packet[1:])

    def take_stdin(self, data: bytes) -> None:
        """Queues bytes for the container's stdin, and writes what fits."""
        if self.stdin_fd >= 0 and not self.stdin_ends:
            self.stdin_pending.append(data)
            self.write_stdin()

    def _type_end(self) -> None:
        """What was piped in has ended: ctrl-d is how a terminal says so, twice where a line was begun (script(1)).

        A program that sets up its terminal only then reads a NUL in its place, so it is typed again a few times.
        """
        self.take_stdin(b"\x04\x04" if self._midline else b"\x04")
        self._midline, self._end_typed_at = False, time.monotonic()

    def end_stdin(self) -> None:
        """Closes the container's stdin once what waits was written; a terminal stays."""
        if not self.terminal:
            self.stdin_ends = True
            self.write_stdin()

    def write_stdin(self) -> None:
        """Writes what waits for the container's stdin."""
        while self.stdin_pending and self.stdin_fd >= 0:
            try:
                written = os.write(self.stdin_fd, self.stdin_pending[0])
            except BlockingIOError:
                return
            except OSError:  # the container closed its stdin
                self.stdin_pending.clear()
                self.stdin_ends = not self.terminal
                break
            if written < len(self.stdin_pending[0]):
                self.stdin_pending[0] = self.stdin_pending[0][written:]
            else:
                del self.stdin_pending[0]
        if self.stdin_ends and self.stdin_fd >= 0:
            os.close(self.stdin_fd)
            self.stdin_fd = -1

    def resize(self, size: bytes) -> None:
        """Gives the terminal the size `ROWS COLUMNS` (TIOCSWINSZ of ioctl_tty(2))."""
        rows, columns = map(int, size.split())
        for fd in self.output:
            fcntl.ioctl(fd, _TIOCSWINSZ, pack("=4H", rows & 0xFFFF, columns & 0xFFFF, 0, 0))

    def drop(self, client: Client) -> None:
        """Forgets a client that is gone; the stdin it was the source of ends (docker's StdinOnce)."""
        if client in self.clients:
            self.clients.remove(client)
            client.socket.close()
            if client.hello and client.hello.get("stdin_once"):
                self.end_stdin()

    def tell(self, kind: bytes, fields: dict[str, Any]) -> None:
        """Sends one message to every client."""
        packet = kind + json.dumps(fields).encode()
        for client in list(self.clients):
            if not client.tell(packet):
                self.drop(client)

    def tell_diagnosis(self, report: dict[str, Any]) -> None:
        """Sends the report of `--diagnose`: one message a refusal, since a packet is bounded, and one that ends it."""
        for refusal in report["refusals"]:
            self.tell(wire.REFUSAL, refusal)
        self.tell(wire.DIAGNOSIS, {"more": report["more"], "ended": report["ended"]})

    def flush_all(self) -> None:
        """Waits until every client has everything or is gone; no longer for one that is stopped, or came later."""
        stuck: dict[Client, float] = {}
        while waiting := [client for client in self.clients if client.pending]:
            poll = select.poll()
            for client in waiting:
                poll.register(client.socket.fileno(), select.POLLOUT)
            poll.poll(LOOK_SECONDS * 1000)
            for client in waiting:
                before = len(client.pending)
                if not client.flush():
                    self.drop(client)
                elif len(client.pending) < before or client.is_owed():
                    stuck.pop(client, None)
                elif time.monotonic() - stuck.setdefault(client, time.monotonic()) > _PATIENCE_SECONDS:
                    client.part()
                    self.drop(client)

    def await_followers(self) -> None:
        """Waits, not long, until those that read the log have all of its files open: it is to be removed now."""
        until = time.monotonic() + _FOLLOWERS_SECONDS
        while following := [c for c in self.clients if c.hello and c.hello.get("follows")]:
            poll = select.poll()
            for client in following:
                poll.register(client.socket.fileno(), select.POLLIN)
            events = poll.poll(max(0, (until - time.monotonic()) * 1000))
            if not events:
                return
            for client in following:
                if any(fd == client.socket.fileno() for fd, _ in events):
                    self.receive(client, select.POLLIN)
