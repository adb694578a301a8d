"""Hooks of the runtime-spec: programs of the host (or of the container) that are told the state on their stdin."""

from __future__ import annotations

import _signal
import os
import select

from crate.linux.process import fork_child, pidfd_open
from crate.oci import json
from crate.runtime.sync import SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def run_hooks(spec: dict[str, Any], kind: str, state: dict[str, Any]) -> None:
    """Runs the hooks of one kind in order; the first that fails raises, with the last line of its stderr."""
    hooks = (spec.get("hooks") or {}).get(kind) or []
    if not hooks:
        return
    text = json.dumps(state).encode()
    for hook in hooks:
        _run(hook, kind, text)


def _run(hook: dict[str, Any], kind: str, state: bytes) -> None:
    path = hook["path"]
    # Files, not pipes: neither has a hook to read its state, nor does it wait for a reader of what it says.
    told_fd, said_fd = (os.memfd_create(f"hook-{name}", os.MFD_CLOEXEC) for name in ("state", "output"))
    os.write(told_fd, state)
    os.lseek(told_fd, 0, os.SEEK_SET)

    def child() -> NoReturn:
        os.setpgid(0, 0)  # a hook that takes too long is ended with what it has started
        _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
        os.dup2(told_fd, 0)
        os.dup2(said_fd, 1)
        os.dup2(said_fd, 2)
        environment = dict(entry.partition("=")[::2] for entry in hook.get("env") or [])
        try:
            os.execve(path, hook.get("args") or [path], environment)
        except OSError as error:
            os.write(2, os.strerror(error.errno or 0).encode())
        os._exit(127)

    pid = fork_child(child)
    os.close(told_fd)
    timed_out = _wait(pid, hook.get("timeout"))
    _, status = os.waitpid(pid, 0)
    size = os.fstat(said_fd).st_size
    said = os.pread(said_fd, 8192, max(0, size - 8192)).decode(errors="replace").strip().splitlines()
    os.close(said_fd)
    if timed_out:
        raise SetupError(f"{kind} hook {path} took longer than its {hook['timeout']} s")
    if status:
        code = os.waitstatus_to_exitcode(status)
        raise SetupError(f"{kind} hook {path} ended with status {code}{': ' + said[-1] if said else ''}")


def _wait(pid: int, timeout_seconds: int | None) -> bool:
    if not timeout_seconds:
        return False
    pidfd = pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    ended = bool(poll.poll(timeout_seconds * 1000))
    os.close(pidfd)
    if not ended:
        os.killpg(pid, _signal.SIGKILL)
    return not ended
