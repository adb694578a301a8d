"""Instructions of a Dockerfile that change an image's config, as `commit --change` and `import --change` take them."""

from __future__ import annotations

from posixpath import join, normpath

from crate.errors import UsageError
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_SHELL = ["/bin/sh", "-c"]


def apply(config: dict[str, Any], instructions: Iterable[str]) -> None:
    """Changes the `config` of an image config (image-spec config.md). UsageError in podman's words.

    Written `CMD ls -l` as in a Dockerfile, or `CMD=ls` as podman takes it too.
    """
    for text in instructions:
        stripped = text.strip()
        end = next((at for at, letter in enumerate(stripped) if letter in " =\t"), len(stripped))
        name, value = stripped[:end].upper(), stripped[end + 1 :].strip()
        if end == len(stripped):
            raise _invalid(text, "must be formatted as KEY VALUE")
        if name not in _APPLIERS:
            raise _invalid(text, f"invalid instruction {name}")
        if not value:
            raise _invalid(text, f"must provide a value to {name}")
        _APPLIERS[name](config, text, value)


def _invalid(text: str, reason: str) -> UsageError:
    return UsageError(f'invalid change "{text}" - {reason}')


def _strings(value: str) -> list[str] | None:
    """The JSON form of a command or list; None when it is not that."""
    if not value.startswith("["):
        return None
    try:
        found = json.loads(value)
    except ValueError:
        return None
    return found if all(isinstance(item, str) for item in found) else None


def _command(config: dict[str, Any], text: str, value: str) -> None:
    words = _strings(value)
    config["Cmd"] = [*_SHELL, value] if words is None else words


def _entrypoint(config: dict[str, Any], text: str, value: str) -> None:
    words = _strings(value)
    config["Entrypoint"] = [*_SHELL, value] if words is None else words


def pairs(text: str, value: str) -> list[tuple[str, str]]:
    """`A=1 B="two words"`, or `A all the rest`."""
    if "=" not in value.split(maxsplit=1)[0]:
        name, space, rest = value.partition(" ")
        if not space:
            raise _invalid(text, "must be formatted as KEY=VALUE")
        return [(name, rest.strip())]
    import shlex

    try:
        words = shlex.split(value)
    except ValueError as error:
        raise _invalid(text, str(error).lower()) from None
    found = [word.partition("=") for word in words]
    if not all(name and equals for name, equals, _ in found):
        raise _invalid(text, "must be formatted as KEY=VALUE")
    return [(name, rest) for name, _, rest in found]


def _environment(config: dict[str, Any], text: str, value: str) -> None:
    for name, rest in pairs(text, value):
        kept = [entry for entry in config.get("Env") or () if not entry.startswith(f"{name}=")]
        config["Env"] = [*kept, f"{name}={rest}"]


def _label(config: dict[str, Any], text: str, value: str) -> None:
    config["Labels"] = {**(config.get("Labels") or {}), **dict(pairs(text, value))}


def _expose(config: dict[str, Any], text: str, value: str) -> None:
    ports = dict(config.get("ExposedPorts") or {})
    for word in value.split():
        number, _, protocol = word.partition("/")
        first, dash, last = number.partition("-")
        last = last if dash else first
        if not (first.isdigit() and last.isdigit() and 0 < int(first) <= int(last) < 65536):
            raise _invalid(text, f"invalid port {word}")
        if protocol not in ("", "tcp", "udp", "sctp"):
            raise _invalid(text, f"unknown protocol {protocol}")
        for port in range(int(first), int(last) + 1):
            ports[f"{port}/{protocol or 'tcp'}"] = {}
    config["ExposedPorts"] = ports


def _volume(config: dict[str, Any], text: str, value: str) -> None:
    paths = _strings(value)
    found = value.split() if paths is None else paths
    config["Volumes"] = {**(config.get("Volumes") or {}), **{path: {} for path in found}}


def _onbuild(config: dict[str, Any], text: str, value: str) -> None:
    config["OnBuild"] = [*(config.get("OnBuild") or ()), value]


def _stop_signal(config: dict[str, Any], text: str, value: str) -> None:
    from crate.linux.signals import parse_signal

    if parse_signal(value) is None:
        raise _invalid(text, f"invalid signal: {value}")
    config["StopSignal"] = value


def _user(config: dict[str, Any], text: str, value: str) -> None:
    config["User"] = value


def _directory(config: dict[str, Any], text: str, value: str) -> None:
    config["WorkingDir"] = normpath(join(config.get("WorkingDir") or "/", value))


_APPLIERS = {
    "CMD": _command,
    "ENTRYPOINT": _entrypoint,
    "ENV": _environment,
    "EXPOSE": _expose,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _directory,
}
