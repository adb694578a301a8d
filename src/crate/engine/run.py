"""`run`: create, start and, unless detached, stay with the container."""

from __future__ import annotations

import os

from crate import hotcore
from crate.engine import start
from crate.engine.launch import fork_starter
from crate.errors import CrateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from crate.engine.context import Engine


def run(engine: Engine, options: dict[str, Any], line: Callable[[str], None]) -> int:
    """The exit status of the container's command; 0 for a detached one.

    `line` gets the id of one of which nothing is shown: detached, or attached to its input alone, as docker has it.
    """
    starter = fork_starter(engine)
    hotcore.load("create")
    from crate.engine.create import prepare

    container, root_mount_fd = prepare(engine, options, launches=True)
    detached = bool(options.get("detach"))
    hello = {} if detached else _hello(options)
    if container.record["tty"] and not detached:
        start.add_terminal(engine, hello)
    try:
        socket, pidfd = start.begin(engine, container, hello, root_mount_fd, starter)
    except CrateError:
        raise
    except BaseException as error:
        from crate.engine.create import abandon

        abandon(engine, container, error)
        raise
    silent = not (hello.get("stdout") or hello.get("stderr"))
    if silent:
        line(container.id)
    if silent and not hello.get("stdin"):
        socket.close()
        os.close(pidfd)
        return 0
    proxy = options.get("sig_proxy")
    keys = options.get("detach_keys")
    return start.stay(container, socket, pidfd, hello, keys, proxy is None or bool(proxy), engine)


def _hello(options: dict[str, Any]) -> dict[str, Any]:
    """Which streams the caller attaches to: all that there are, or those that --attach names."""
    interactive = bool(options.get("interactive"))
    named = [stream.lower() for stream in options.get("attach") or []]
    if not named:
        return {"stdout": True, "stderr": True, "stdin": interactive, "stdin_once": interactive}
    stdin = interactive and "stdin" in named
    return {"stdout": "stdout" in named, "stderr": "stderr" in named, "stdin": stdin, "stdin_once": stdin}
