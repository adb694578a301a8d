"""The errors that crate expects; only `cli/app.py` prints them.

    CrateError                125   crate failed
    ├── UsageError            125   wrong option, argument or value
    ├── NotFoundError         125   a container, image, network or volume that is not there
    ├── NameInUseError        125   a name, port, address or path that is taken
    ├── StateError            125   the object exists, but its state does not allow the verb
    ├── ImageError            125   a corrupt, hostile or unsupported image, layer or archive
    │   └── DigestError       125   content that does not match its digest
    ├── RegistryError         125   a registry that refuses, fails or is not there
    ├── HostError             125   the host lacks an ability: a package, a sysctl, a right, space
    │   └── KernelError       125   a system call failed: carries call, object and errno
    └── CommandError          126   the container's command exists but cannot be invoked
        └── CommandNotFound   127   the container's command was not found

A message is lower case and without a full stop: verb, object, path, cause. A hint is something the reader can do.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: shows one line to the user of a command that goes on; `cli/app.py` sets it
show_notice: Callable[[str], object] | None = None


def notice(text: str) -> None:
    """Shows a line while the command goes on, where there is somebody to see it."""
    if show_notice:
        show_notice(text)


class CrateError(Exception):
    """An expected failure: what happened, what to do, and the exit status that tells it."""

    exit_status = 125
    #: lines that are shown below the message: a place in a file, the last output of a program
    detail = ""

    def __init__(self, message: str, hint: str | None = None, exit_status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if exit_status is not None:
            self.exit_status = exit_status

    def __str__(self) -> str:
        return f"{self.message} (hint: {self.hint})" if self.hint else self.message


class UsageError(CrateError):
    """A wrong option, argument or value."""


class NotFoundError(CrateError):
    """The named container, image, network or volume does not exist."""


class NameInUseError(CrateError):
    """The name, port, address or path is taken."""


class StateError(CrateError):
    """The state of the object does not allow this verb."""


class ImageError(CrateError):
    """An image, layer or archive that is corrupt, hostile or of an unknown form."""


class DigestError(ImageError):
    """Content that does not match the digest it was asked for by."""


class RegistryError(CrateError):
    """A registry refused, failed or could not be reached."""


class HostError(CrateError):
    """The host lacks something: a package, a sysctl, a right, space."""


class KernelError(HostError):
    """A system call failed where crate knows what it was for."""

    def __init__(self, action: str, error: OSError, hint: str | None = None) -> None:
        super().__init__(f"cannot {action}: {os.strerror(error.errno or 0)}", hint)
        self.errno = error.errno or 0


class CommandError(CrateError):
    """The container's command exists but cannot be invoked."""

    exit_status = 126


class CommandNotFound(CommandError):
    """The container's command was not found."""

    exit_status = 127
