"""Credential helpers: the programs `docker-credential-NAME`, as docker/docker-credential-helpers has them.

A secret passes on standard input and output alone, never as an argument.
"""

from __future__ import annotations

import os

from crate.errors import RegistryError
from crate.oci import json
from crate.registry.failure import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SECONDS = 30


def get(name: str, server: str, origin: str) -> tuple[str, str] | None:
    """User and secret for a server, None when the helper has none; `origin` is the file that names the helper.

    The user `<token>` stands for an identity token. Raises RegistryError.
    """
    answer = _ask(name, "get", server.encode(), server, origin)
    if answer is None:
        return None
    try:
        document = json.loads(answer)
        return str(document["Username"]), str(document["Secret"])
    except (ValueError, KeyError, TypeError):
        raise RegistryError(
            f"cannot get credentials for {server}: {_program(name)}: its answer is not understood"
        ) from None


def store(name: str, server: str, user: str, secret: str, origin: str) -> None:
    """Has the helper keep credentials. Raises RegistryError."""
    told: Any = {"ServerURL": server, "Username": user, "Secret": secret}
    _ask(name, "store", json.dumps(told).encode(), server, origin)


def erase(name: str, server: str, origin: str) -> None:
    """Has the helper forget credentials, if it has some. Raises RegistryError."""
    _ask(name, "erase", server.encode(), server, origin)


def _program(name: str) -> str:
    return f"docker-credential-{name}"


def _ask(name: str, verb: str, told: bytes, server: str, origin: str) -> str | None:
    """What the helper answers; None when it says that it has none."""
    import subprocess

    if not name or "/" in name or name.startswith(".") or not name.isprintable():
        raise RegistryError(f'cannot read credentials {origin}: invalid helper name "{name}"')
    program = _program(name)
    failed = f"cannot {verb} credentials for {server}: {program}"
    try:
        done = subprocess.run([program, verb], input=told, capture_output=True, timeout=_SECONDS, check=False)
    except FileNotFoundError:
        raise RegistryError(f"{failed} is not installed", origin) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        from shutil import which

        if isinstance(error, PermissionError) and not which(program):  # a directory of the path that is another user's
            raise RegistryError(f"{failed} is not installed", origin) from None
        reason = "it does not answer" if isinstance(error, subprocess.TimeoutExpired) else os.strerror(error.errno or 0)
        raise RegistryError(f"{failed}: {reason}") from None
    answer = done.stdout.decode(errors="replace").strip()
    if done.returncode:
        # The protocol has no status for "none": helpers say so in these words (credentials/error.go).
        if "credentials not found" in answer.lower():
            return None
        raise RegistryError(f"{failed}: {printable(answer) or 'it failed'}")
    return answer
