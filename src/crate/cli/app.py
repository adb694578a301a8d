"""The way of a command line: fast parser or Typer, the command's `main`, and the one place that prints errors."""

from __future__ import annotations

import os
import sys

from crate import errors, hotcore, late_site
from crate.cli import fast, output
from crate.errors import CrateError, HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_HOT = (
    "container.run", "container.create", "container.start", "container.stop", "container.kill", "container.rm",
    "container.exec", "container.logs", "container.ps", "container.wait", "container.inspect", "system.inspect",
    "image.images", "image.build", "container.shell",
)  # fmt: skip

_debug = False
_ran = ""
_globals: dict[str, Any] = {}
errors.show_notice = output.warn


def was_hot() -> bool:
    """Whether a hot command ran, and imported nothing but the standard library and crate."""
    return _ran in _HOT and late_site.is_waiting()


def main(arguments: list[str]) -> int:
    """Runs one command line (without the program's name) and returns the exit status."""
    global _debug
    _debug = "--debug" in arguments or "-D" in arguments
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141
    except Exception as error:
        return report(error)


def _dispatch(arguments: list[str]) -> int:
    global _ran, _globals
    request = fast.parse(arguments)
    if request is None:
        import gc

        from crate.cli import application

        gc.enable()
        parsed = application.parse(arguments)
        if parsed is None:
            return 0
        run, options = parsed
    else:
        module, options, words = request
        if not module:
            print_help(words)
            return 0
        _ran = module
        if module in _HOT:
            hotcore.load(module)
        run = load(module)
    given = options["globals"]
    if given:
        _globals = given
        check_globals(given)
        if given.get("log_level") or given.get("debug"):
            from crate.cli import diagnostics

            _ran = ""  # what such a command imports is not what the next one needs
            return diagnostics.run(run, options, arguments)
    return run(options)


def load(module: str) -> Callable[[dict[str, Any]], int]:
    """The `main` of a command file."""
    name = f"crate.cli.{module}"
    __import__(name)
    main: Callable[[dict[str, Any]], int] = sys.modules[name].main
    return main


def print_help(words: str) -> None:
    """Prints the help of a command, a group or, for no words, of crate itself."""
    from crate.cli import helptext

    output.write(helptext.text(words))


def check_globals(given: dict[str, Any]) -> None:
    """Refuses what asks for a daemon elsewhere; what only podman's parts need is accepted and has no effect."""
    for key in ("remote", "url", "connection", "identity", "host", "tls", "tlsverify"):
        if given.get(key):
            raise UsageError(f"--{key} is not for crate: it has no daemon to connect to", f"leave --{key} away")
    if given.get("context") not in (None, "", "default"):
        raise UsageError(f"no context {given['context']!r}: crate has no daemon to connect to", "leave --context away")
    if given.get("noout"):
        null = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(null, 1)
        os.close(null)


def report(error: BaseException) -> int:
    """Prints one line for an error and returns its exit status; with --debug also where it comes from."""
    if _debug:
        import traceback

        output.write("".join(traceback.format_exception(error)), 2)
    if isinstance(error, CrateError):
        text, status = str(error), error.exit_status
    elif isinstance(error, OSError) and error.strerror:
        text, status = _os_error(error), 125
    elif isinstance(error, ImportError):
        text, status = f"cannot load a module: {error}", 125
    elif isinstance(error, MemoryError):
        text, status = "out of memory", 125
    else:
        text = f"unexpected {type(error).__name__}: {error} (hint: this is a bug in crate, see it with crate --debug)"
        status = 125
    if isinstance(error, (HostError, OSError)):
        text = _with_diagnosis(error, text)
    lines = [f"Error: {output.one_line(text)}"]
    if isinstance(error, CrateError) and error.detail:
        lines += map(output.one_line, error.detail.split("\n"))
    try:
        output.write("\n".join([*lines, ""]), 2)
    except OSError:
        pass  # nobody reads it; the status still tells
    return status


def _with_diagnosis(error: BaseException, text: str) -> str:
    """The line with what the doctor finds about it, where that is something."""
    global _ran
    _ran = ""  # what such a command imports is not what the next one needs
    from crate.engine.doctor import diagnosis

    found = diagnosis.hint(error, _globals)
    if not found:
        return text
    return f"{text[:-1]}; {found})" if text.endswith(")") and "(hint: " in text else f"{text} (hint: {found})"


def _os_error(error: OSError) -> str:
    """`mount: Operation not permitted: /proc`, from what `linux` and the interpreter put into an OSError."""
    names = [
        os.fsdecode(name) if isinstance(name, bytes) else str(name)
        for name in (error.filename, error.filename2)
        if name is not None
    ]
    return ": ".join([str(error.strerror), *names])
