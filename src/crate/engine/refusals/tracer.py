"""The process that sees every system call of a container end: crate:tracer, beside the monitor.

    monitor                          crate:tracer                     init, then the program
      | -- clone3 ---------------------------------------------------> | mounts, pivot
      | -- fork, the pid -----------> | -- PTRACE_SEIZE -------------> |
      | <- one byte, or the error --- |                                | waits for its "start"
      | -- start ----------------------------------------------------> | execve
      |                               | <- each entry and exit ------- |
      | <- its end, the report ------ |

Until the program's own execve nothing is looked at: what init does is not the program's doing. Signals, stops and ends
are passed on as they come. The kernel kills the container when this process dies (PTRACE_O_EXITKILL), so that nobody
runs on half traced.

`exec --diagnose`: crate:exec has one for the process that enters, forked before its own children are born in the
container's pid namespace.
"""

from __future__ import annotations

import _signal
import _socket
import errno
import os

from crate.engine.refusals import calls, netlink
from crate.engine.refusals.calls import Call
from crate.engine.refusals.report import Report
from crate.engine.refusals.rules import CODES, Judge
from crate.engine.refusals.tracee import Tracee
from crate.errors import HostError
from crate.linux import ptrace
from crate.linux.process import fork_child, set_name, start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from crate.engine.refusals.rules import Refusal

_OPTIONS = (
    ptrace.O_TRACESYSGOOD | ptrace.O_TRACEFORK | ptrace.O_TRACEVFORK | ptrace.O_TRACECLONE | ptrace.O_TRACEEXEC
    | ptrace.O_EXITKILL
)  # fmt: skip
_STOPS = (_signal.SIGSTOP, _signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU)
_SYSCALL_STOP = _signal.SIGTRAP | ptrace.SYSCALL_BIT
#: what a container left outside of its pid namespace has this long to end, after its first process
_LEFT_SECONDS = 3
_OPENS = frozenset(("open", "openat", "openat2"))
_LOOKED_AT = _OPENS | netlink.RECEIVES
_FORKS = frozenset(("clone", "fork", "vfork"))
#: more than all tables have; a hostile program makes up numbers without end
_NAMES_MAX = 4096


class _TimeIsOver(BaseException):
    """The first process has ended, others go on. No error of what is looked at when the time is over."""


class Tracing:
    """A crate:tracer, as its parent has it."""

    def __init__(self, judge: Judge, report: Report, *, is_init: bool) -> None:
        """Starts it. `is_init`: whether it will be given the first process of a container, or one that enters later."""
        self._socket, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)

        def child() -> NoReturn:
            _run(judge, report, theirs, is_init)

        self.pid = fork_child(child)
        theirs.close()

    def seize(self, pid: int) -> bool:
        """Gives it a process that has just been born; False if that has ended. HostError: refused."""
        try:
            self._socket.send(b"%d" % pid)
            answer = self._socket.recv(1)
        except OSError:
            answer = b""
        if answer == b"\0":
            return True
        os.waitpid(self.pid, 0)
        if not start_time(pid):
            return False  # it has ended already, and left word why
        reason = os.strerror(answer[0]) if answer else "its tracer was killed"
        raise HostError(
            f"cannot diagnose the container: {reason}",
            "the kernel must allow it: sysctl kernel.yama.ptrace_scope below 3; an ordinary user cannot trace one "
            "in the user namespace of another one",
        )

    def await_report(self) -> bytes:
        """The report, when the process that it was given has ended (for one that entered); b"" if it was killed."""
        pieces = []
        while piece := self._socket.recv(1 << 16):
            pieces.append(piece)
        return b"".join(pieces)


def _run(judge: Judge, report: Report, socket: _socket.socket, is_init: bool) -> NoReturn:
    """Process `crate:tracer`: child of the monitor, or of crate:exec, in the namespaces that this one began with.

    Ends with the last process that it traces: of the container, or of those that descend from one that entered.
    """
    set_name("crate:tracer")
    fd = socket.fileno()
    os.closerange(3, fd)
    os.closerange(fd + 1, 1 << 20)
    words = socket.recv(32)
    if not words:
        os._exit(0)  # nothing was born
    pid = int(words)
    try:
        ptrace.seize(pid, _OPTIONS)
    except OSError as error:
        socket.send(bytes([error.errno or errno.EPERM]))
        os._exit(1)
    socket.send(b"\0")
    Tracer(pid, judge, report, None if is_init else socket).serve()
    if is_init:
        report.write(ended=True)
    os._exit(0)


class Tracer:
    """The threads of a container, stop by stop."""

    def __init__(self, root: int, judge: Judge, report: Report, waiting: _socket.socket | None) -> None:
        """`waiting`, where the root is none of a pid namespace: who waits there for the report until it has ended."""
        self._root = root
        self._waiting = waiting
        self._judge = judge
        self._report = report
        self._started = False
        #: thread -> the call that it is in: architecture, number, instruction pointer, arguments
        self._calls: dict[int, tuple[int, int, int, tuple[int, ...]]] = {}
        #: architecture and number -> name
        self._names: dict[tuple[int, int], str] = {}
        #: thread -> a refused clone3, until it is known whether the thread falls back to clone
        self._held: dict[int, Refusal] = {}

    def serve(self) -> None:
        """Goes on until no thread is left."""
        _signal.signal(_signal.SIGALRM, _give_up)
        try:
            while True:
                thread, status = os.waitpid(-1, ptrace.WALL)
                if os.WIFSTOPPED(status):
                    try:
                        self._stopped(thread, os.WSTOPSIG(status), status >> 16)
                    except ProcessLookupError:
                        pass  # killed meanwhile: its end comes next
                else:
                    self._ended(thread)
        except (ChildProcessError, _TimeIsOver):
            pass

    def _ended(self, thread: int) -> None:
        self._calls.pop(thread, None)
        self._add(self._held.pop(thread, None))
        if thread != self._root:
            return
        if self._waiting is None:
            _signal.alarm(_LEFT_SECONDS)
            return
        # What it leaves in the container goes on, with nobody to read of it.
        self._started = False
        try:
            self._waiting.sendall(self._report.text(ended=True).encode())
        except OSError:
            pass  # crate:exec was killed
        self._waiting.close()

    def _stopped(self, thread: int, signal: int, event: int) -> None:
        if signal == _SYSCALL_STOP:
            self._at_call(thread)
        elif event == ptrace.EVENT_STOP and signal in _STOPS:
            ptrace.listen(thread)
            return
        elif event == ptrace.EVENT_EXEC:
            self._executed(thread)
        elif not event:
            ptrace.resume(thread, self._passed_on(thread, signal), to_syscall=self._started)
            return
        ptrace.resume(thread, to_syscall=self._started)

    def _passed_on(self, thread: int, signal: int) -> int:
        """The signal; none for the SIGSTOP that the first process of a pid namespace gets from within, and ignores.

        The kernel drops it at once, except where there is a tracer.
        """
        if signal == _signal.SIGSTOP and thread == self._root and not self._waiting and ptrace.signal_sender(thread):
            return 0
        return signal

    def _executed(self, thread: int) -> None:
        former = ptrace.event_message(thread)
        self._calls.pop(former, None)
        self._held.pop(former, None)
        self._calls.pop(thread, None)
        if thread == self._root:
            self._started = True
        if self._started:
            self._add(self._judge.executed(Tracee(thread)))

    def _at_call(self, thread: int) -> None:
        op, architecture, pointer, number, arguments, result = ptrace.syscall_info(thread)
        if op == ptrace.SYSCALL_INFO_ENTRY:
            self._calls[thread] = architecture, number, pointer, arguments
            return
        entry = self._calls.pop(thread, None)
        if entry is None or op != ptrace.SYSCALL_INFO_EXIT:
            return
        architecture, number, pointer, arguments = entry
        key = architecture, number
        name = self._names.get(key)
        if name is None:
            name = calls.name_of(architecture, number)
            if len(self._names) < _NAMES_MAX:
                self._names[key] = name
        if -result not in CODES and name not in _LOOKED_AT and result != number and not self._held:
            return  # most calls: this function is what a diagnosis costs
        try:
            self._returned(thread, Call(name, number, architecture, pointer, arguments), result)
        except Exception:
            pass  # killed while it was looked at; whatever else it shows must cost a line of the report, not its life

    def _returned(self, thread: int, call: Call, result: int) -> None:
        held = self._held.pop(thread, None)
        if held and call.name not in _FORKS:
            self._add(held)
        if result == call.number:  # what the kernel leaves there for a handler of SIGSYS
            self._add(self._judge.signalled(call))
        if -result in CODES:
            refusal = self._judge.judge(Tracee(thread), call, -result)
            if refusal and call.name == "clone3" and -result == errno.ENOSYS:
                self._held[thread] = refusal  # libraries fall back to clone, as the profile means it
            else:
                self._add(refusal)
        elif result >= 0 and call.name in _OPENS:
            self._add(self._judge.masked(call, Tracee(thread).link(f"fd/{result}")))
        elif result > 0 and call.name in netlink.RECEIVES:
            self._add(self._judge.answered(Tracee(thread), call, result))

    def _add(self, refusal: Refusal | None) -> None:
        if refusal and self._started:
            self._report.add(refusal)


def _give_up(*_: object) -> NoReturn:
    raise _TimeIsOver
