"""Pulling an image for a caller that forks afterwards: in a child process, so that this one stays small and single."""

from __future__ import annotations

import os

from crate.engine.offspring import failure
from crate.errors import HostError, UsageError
from crate.linux.process import fork_child, set_name
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from crate.engine.context import Engine


def pull_apart(engine: Engine, options: dict[str, Any]) -> str:
    """Pulls the image of the options in the way that the engine's opener gave it, and gives its id.

    Raises what the pull failed with.

    requests and rich would stay in this process, 30 MB that every fork copies page tables for, and threads that
    forbid the fork altogether.
    """
    if engine.pull is None:
        raise UsageError(f"{options['image']}: image not known", f"crate pull {options['image']}")
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)

    def child() -> NoReturn:
        os.close(read_fd)
        _pull(engine, options, write_fd)

    pid = fork_child(child)
    os.close(write_fd)
    told = b""
    while data := os.read(read_fd, 65536):
        told += data
    os.close(read_fd)
    _, status = os.waitpid(pid, 0)
    if told:
        answer = json.loads(told)
        if "id" in answer:
            return str(answer["id"])
        raise failure(answer)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == 2:
        raise KeyboardInterrupt
    raise HostError(f"the pull of {options['image']} was killed", "look for an out-of-memory kill in dmesg")


def _pull(engine: Engine, options: dict[str, Any], write_fd: int) -> NoReturn:
    """Process `crate:pull`: in the caller's place on its terminal; tells an error on its pipe, ends with 0 or 1."""
    from crate.errors import CrateError

    assert engine.pull
    set_name("crate:pull")
    try:
        fields: dict[str, Any] = {"id": engine.pull(engine, options)}
    except CrateError as error:
        fields = {"status": error.exit_status, "message": error.message, "hint": error.hint}
    except KeyboardInterrupt:
        import _signal

        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        os.kill(os.getpid(), _signal.SIGINT)
        raise
    except Exception as error:
        fields = {"status": 125, "message": f"unexpected {type(error).__name__}: {error}", "hint": "a bug in crate"}
    os.write(write_fd, json.dumps(fields).encode())
    os._exit(0)
