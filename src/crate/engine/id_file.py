"""--cidfile and --pod-id-file: the file with an object's id, made before the object: without the one not the other."""

from __future__ import annotations

import os

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Made = TypeVar("Made")


def write_with(path: str, kind: str, make: Callable[[], Made], id_of: Callable[[Made], str]) -> Made:
    """What `make` makes, with its id in the new file `path`. `kind` as in `container ID file`. UsageError."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        raise UsageError(f"{kind} ID file found: {path}", "remove it, or name another one") from None
    except OSError as error:
        raise UsageError(f"cannot write {kind} ID file {path}: {error.strerror}") from None
    try:
        made = make()
        os.write(fd, id_of(made).encode())
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(fd)
    return made
