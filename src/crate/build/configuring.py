"""Instructions that change the configuration of an image: what each does to it, and what the history says of it.

Configuration and history are those that BuildKit writes. RUN, COPY, ADD and the directory of WORKDIR are not here.
"""

from __future__ import annotations

from posixpath import join, normpath
from typing import TYPE_CHECKING

from crate.build.language import instructions as kinds
from crate.build.language.dockerfile_error import Fault
from crate.errors import UsageError
from crate.linux.signals import parse_signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.build.arguments import Scope
    from crate.build.language.instructions import Instruction
    from crate.build.state import State

DEFAULT_SHELL = ["/bin/sh", "-c"]


def configure(state: State, instruction: Instruction, scope: Scope, *, has_command: bool) -> str:
    """Changes the state's configuration; gives `created_by`. `has_command`: this stage has had a CMD.

    Raises UsageError for what only its expanded form shows to be wrong.
    """
    config = state.config
    if isinstance(instruction, kinds.Env):
        for name, value in instruction.pairs:
            set_variable(config, name, value)
        scope.set(instruction.pairs)
        return "ENV" + _pairs(instruction.pairs)
    if isinstance(instruction, kinds.Label):
        config["Labels"] = {**(config.get("Labels") or {}), **dict(instruction.pairs)}
        return "LABEL" + _pairs(instruction.pairs)
    if isinstance(instruction, kinds.Arg):
        found = scope.declare(instruction)
        return "ARG" + "".join(f" {name}" if value is None else f" {name}={value}" for name, value in found)
    if isinstance(instruction, kinds.Maintainer):
        state.author = instruction.author
        return f"MAINTAINER {instruction.author}"
    if isinstance(instruction, kinds.Cmd):
        config["Cmd"] = instruction.command.argv(_shell(state)) if instruction.command.words else []
        return f"CMD {_quoted(config['Cmd'])}"
    if isinstance(instruction, kinds.Entrypoint):
        config["Entrypoint"] = instruction.command.argv(_shell(state)) if instruction.command.words else []
        if not has_command:
            config.pop("Cmd", None)  # that of the base image was meant for another program
        return f"ENTRYPOINT {_quoted(config['Entrypoint'])}"
    return _configure_rest(state, instruction)


def _configure_rest(state: State, instruction: Instruction) -> str:
    config = state.config
    if isinstance(instruction, kinds.Expose):
        ports = exposed_ports(instruction.ports)
        config["ExposedPorts"] = {**(config.get("ExposedPorts") or {}), **{port: {} for port in ports}}
        return f"EXPOSE [{' '.join(ports)}]"
    if isinstance(instruction, kinds.Volume):
        if not all(instruction.paths):
            raise UsageError("VOLUME specified can not be an empty string")
        config["Volumes"] = {**(config.get("Volumes") or {}), **{path: {} for path in instruction.paths}}
        return f"VOLUME [{' '.join(instruction.paths)}]"
    if isinstance(instruction, kinds.User):
        config["User"] = instruction.user
        return f"USER {instruction.user}"
    if isinstance(instruction, kinds.Workdir):
        config["WorkingDir"] = working_directory(state, instruction.path)
        return f"WORKDIR {config['WorkingDir']}"
    if isinstance(instruction, kinds.StopSignal):
        if parse_signal(instruction.signal) is None:
            raise UsageError(f"invalid signal: {instruction.signal}", "STOPSIGNAL takes a name such as SIGTERM")
        config["StopSignal"] = instruction.signal
        return f"STOPSIGNAL {instruction.signal}"
    if isinstance(instruction, kinds.HealthCheck):
        return _health(config, instruction)
    if isinstance(instruction, kinds.Shell):
        config["Shell"] = list(instruction.words)
        return f"SHELL [{' '.join(instruction.words)}]"
    if isinstance(instruction, kinds.OnBuild):
        config["OnBuild"] = [*(config.get("OnBuild") or ()), instruction.trigger]
        return f"ONBUILD {instruction.trigger}"
    raise UsageError(f"unknown instruction: {instruction.keyword}")


def exposed_ports(words: Sequence[str]) -> list[str]:
    """`port/protocol` for each word `[host:]port[-port][/protocol]`, sorted. Raises Fault."""
    found = set()
    for word in words:
        numbers, _, protocol = word.rpartition(":")[2].partition("/")
        first, dash, last = numbers.partition("-")
        last = last if dash else first
        protocol = protocol.lower() or "tcp"
        if not all(one.isascii() and one.isdigit() and len(one) < 6 for one in (first, last)):
            raise Fault(f"invalid containerPort: {numbers or word}", word)
        if not 0 <= int(first) <= int(last) < 65536:
            raise Fault(f"invalid port range: {numbers}", word)
        if protocol not in ("tcp", "udp", "sctp"):
            raise Fault(f"invalid proto: {protocol}", word)
        found |= {(number, protocol) for number in range(int(first), int(last) + 1)}
    return [f"{number}/{protocol}" for number, protocol in sorted(found)]


def _health(config: dict[str, object], check: kinds.HealthCheck) -> str:
    numbers = {
        "Interval": check.interval_ns,
        "Timeout": check.timeout_ns,
        "StartPeriod": check.start_period_ns,
        "StartInterval": check.start_interval_ns,
        "Retries": check.retries,
    }
    config["Healthcheck"] = {"Test": list(check.test), **{name: number for name, number in numbers.items() if number}}
    times = " ".join(
        f'"{_duration(numbers[name])}"' for name in ("Interval", "Timeout", "StartPeriod", "StartInterval")
    )
    return f"HEALTHCHECK &{{{_quoted(check.test)} {times} '\\x{check.retries:02x}'}}"


def set_variable(config: dict[str, object], name: str, value: str) -> None:
    """Sets one variable of `Env`, in its place where it is there already."""
    entries = list(config.get("Env") or ())  # type: ignore[call-overload]
    for at, entry in enumerate(entries):
        if entry.partition("=")[0] == name:
            entries[at] = f"{name}={value}"
            break
    else:
        entries.append(f"{name}={value}")
    config["Env"] = entries


def environment(config: dict[str, object]) -> dict[str, str]:
    """`Env` as pairs."""
    entries: list[str] = list(config.get("Env") or ())  # type: ignore[call-overload]
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}


def working_directory(state: State, path: str) -> str:
    """Where WORKDIR leads from the one before."""
    return "/" + normpath(join("/", state.config.get("WorkingDir") or "/", path)).lstrip("/")


def _shell(state: State) -> list[str]:
    return list(state.config.get("Shell") or DEFAULT_SHELL)


def run_created_by(argv: Sequence[str], arguments: dict[str, str]) -> str:
    """What the history says of a RUN: the ARGs in force come first, counted."""
    shown = [f"|{len(arguments)}", *(f"{name}={value}" for name, value in arguments.items())] if arguments else []
    return " ".join(["RUN", *shown, *argv]) + " # buildkit"


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    return "".join(f" {name}={value}" for name, value in pairs)


def _quoted(words: Sequence[str]) -> str:
    """Go's %q of a list of strings."""
    return "[" + " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words) + "]"


def _duration(nanoseconds: int) -> str:
    """Go's form of a duration, in whole seconds and below."""
    seconds = nanoseconds / 1e9
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{rest:g}s"
    if hours:
        return f"{hours}h{minutes}m{shown}"
    return f"{minutes}m{shown}" if minutes else shown
