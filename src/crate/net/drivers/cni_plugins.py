"""Runs one CNI plugin: the environment and the exit that the CNI specification describes (its sections 2 and 5)."""

from __future__ import annotations

import os

from crate.errors import HostError
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypedDict

    class Call(TypedDict):
        """What all plugins of a network are told of one container; `netns` is empty when it is gone."""

        network: str
        container: str
        netns: str
        interface: str
        arguments: str
        directories: str  # separated by colons


#: names of the specification for the codes of its section 5
_CODES = {
    1: "incompatible CNI version",
    2: "unsupported field in the configuration",
    3: "container unknown or does not exist",
    4: "invalid environment variables",
    5: "I/O failure",
    6: "failed to decode content",
    7: "invalid network configuration",
    11: "try again later",
    50: "plugin not available",
    51: "plugin not available, existing containers may have limited connectivity",
}
_TIMEOUT_SECONDS = 60


def find(kind: str, directories: str) -> str:
    """The path of a plugin. HostError when no directory has it."""
    if "/" in kind:
        raise HostError(f"invalid CNI plugin {kind}: the type of a plugin is no path")
    for directory in directories.split(":"):
        path = f"{directory}/{kind}"
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    raise HostError(
        f"cannot find the CNI plugin {kind} in {directories.replace(':', ', ')}",
        "install it (Debian: containernetworking-plugins), or set network.cni_plugin_directories",
    )


def run(call: Call, command: str, configuration: dict[str, Any]) -> dict[str, Any] | None:
    """Its result; None where it prints none. HostError with the code and the message that it gives."""
    import subprocess

    kind = configuration["type"]
    path = find(kind, call["directories"])
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": call["container"],
        "CNI_NETNS": call["netns"],
        "CNI_IFNAME": call["interface"],
        "CNI_ARGS": call["arguments"],
        "CNI_PATH": call["directories"],
    }
    try:
        done = subprocess.run(
            [path],
            input=json.dumps(configuration).encode(),
            env=environment,
            cwd="/",
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise HostError(_text(call, command, kind, f"no end in {_TIMEOUT_SECONDS} s")) from None
    except OSError as error:
        raise HostError(_text(call, command, kind, os.strerror(error.errno or 0))) from None
    try:
        answer = json.loads(done.stdout.decode(errors="replace")) if done.stdout.strip() else None
    except ValueError:
        answer = None
    if done.returncode == 0:
        return answer if isinstance(answer, dict) else None
    raise HostError(_text(call, command, kind, _failure(answer, done.stderr, done.returncode)))


def _failure(answer: Any, complaint: bytes, status: int) -> str:
    if isinstance(answer, dict) and "code" in answer:
        message, details = (" ".join(str(answer.get(key) or "").split()) for key in ("msg", "details"))
        name = _CODES.get(answer["code"], "")
        words = ": ".join(word for word in (message or name, details) if word)
        return f"code {answer['code']}: {words}" if words else f"code {answer['code']}"
    lines = complaint.decode(errors="replace").strip().splitlines()
    return f"exit status {status}" + (f": {lines[-1]}" if lines else "")


def _text(call: Call, command: str, kind: str, failure: str) -> str:
    verb = "connect to" if command == "ADD" else "disconnect from"
    return f"cannot {verb} network {call['network']}: CNI plugin {kind}: {failure}"
