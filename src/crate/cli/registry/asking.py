"""Who logs in, and with which password: from options, standard input or the terminal."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def check(options: dict[str, Any]) -> None:
    """Raises UsageError for options that contradict each other, in podman's words."""
    from crate.errors import UsageError

    if options["password_stdin"]:
        if options["password"] is not None:
            raise UsageError("Can't specify both --password-stdin and --password")
        if not options["username"]:
            raise UsageError("Must provide --username with --password-stdin")


def given_password(options: dict[str, Any]) -> str | None:
    """The password of the options, None where it has to be asked for."""
    from crate.cli import output

    if options["password_stdin"]:
        return sys.stdin.buffer.read(1 << 20).decode(errors="surrogateescape").rstrip("\r\n")
    if options["password"] is not None:
        output.warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
    given: str | None = options["password"]
    return given


def user(known: str) -> str:
    """Asks for the name; an empty line means the one that is known. UsageError."""
    from crate.cli import output
    from crate.errors import UsageError

    output.write(f"Username ({known}): " if known else "Username: ")
    name = sys.stdin.readline().strip() or known
    if not name:
        raise UsageError("no username given", "crate login --username NAME --password-stdin REGISTRY")
    return name


def password() -> str:
    """Asks for the password, without an echo. UsageError where nobody can be asked."""
    from getpass import getpass

    from crate.errors import UsageError

    if not os.isatty(0):
        raise UsageError("cannot ask for the password: standard input is no terminal", "give it by --password-stdin")
    return getpass("Password: ")
