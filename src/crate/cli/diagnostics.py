"""What `--log-level` and `--debug` show on standard error of a command's way, in podman's form of lines; cold."""

from __future__ import annotations

import sys
import time

from crate.cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

_LEVELS = {"trace": 0, "debug": 1, "info": 2, "warn": 3, "warning": 3, "error": 4, "fatal": 5, "panic": 6}

_SECRETS = ("creds", "password")


class Log:
    """Lines `time="…" level=debug msg="…"` at or above a level."""

    def __init__(self, level: str) -> None:
        self._least = _LEVELS[level]

    def __call__(self, level: str, message: str) -> None:
        if _LEVELS[level] >= self._least:
            moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            quoted = message.replace("\\", "\\\\").replace('"', '\\"')
            output.warn(f'time="{moment}" level={level} msg="{quoted}"')


def run(command: Callable[[dict[str, Any]], int], options: dict[str, Any], words: Sequence[str]) -> int:
    """Runs a command whose command line has one of the two options; 1 for a level that is none, as podman."""
    level = str(options["globals"].get("log_level") or "warn").lower()
    if level not in _LEVELS:
        output.write(f'Log Level "{output.one_line(level)}" is not supported, choose from: {", ".join(_LEVELS)}\n', 2)
        return 1
    if options["globals"].get("debug"):
        if options["globals"].get("log_level"):
            output.write("Setting --log-level and --debug is not allowed\n", 2)
            return 1
        level = "debug"
    log = Log(level)
    output.warnings = _LEVELS[level] <= _LEVELS["warn"]
    name = command.__module__.removeprefix("crate.cli.")
    log("info", f"crate filtering at log level {level}")
    secrets = [str(options[key]) for key in _SECRETS if options.get(key)]
    log("debug", f"Called {name}({' '.join(['crate', *(_hidden(word, secrets) for word in words)])})")
    for key, value in sorted(options.items()):
        if value is not None and key not in ("globals", *_SECRETS):
            log("debug", f"Option {key} is {value!r}")
    began, known = time.monotonic(), set(sys.modules)
    try:
        status = command(options)
    finally:
        log("trace", f"Loaded {' '.join(sorted(set(sys.modules) - known))}")
        log("debug", f"Ended {name} after {time.monotonic() - began:.3f} s")
    return status


def _hidden(word: str, secrets: Sequence[str]) -> str:
    """The word, unless it is or ends with a secret: `--creds=me:secret`."""
    secret = next((one for one in secrets if word.endswith(one)), "")
    return f"{word.removesuffix(secret)}***" if secret else word
