"""What a command does in a child process, so that this one stays in the namespaces that it was started in."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn


def call(act: Callable[[], Any]) -> Any:
    """What `act` gives, a JSON value, called in a child; an error is printed there, and ends this process too."""
    from crate.cli import app
    from crate.linux.process import fork_child
    from crate.oci import json
    from crate.storage.durable import write_all

    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)

    def child() -> NoReturn:
        try:
            write_all(write_fd, json.dumps(act()).encode())
        except Exception as error:
            os._exit(app.report(error))
        os._exit(0)

    pid = fork_child(child)
    os.close(write_fd)
    with open(read_fd, "rb") as told:
        text = told.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise SystemExit(status)
    return json.loads(text)


def own_words(given: Mapping[str, Any]) -> list[str]:
    """The words that start this very program again, with the global options that it was given."""
    words = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
    for key, value in given.items():
        name = f"--{key.replace('_', '-')}"
        values = value if isinstance(value, list) else [value]
        words += [f"{name}={str(one).lower() if isinstance(one, bool) else one}" for one in values]
    return words
