"""The process `crate:unpack`: reads a tar archive from its input and writes files; see crate.storage.unpack."""

from __future__ import annotations

import os
import sys
from _signal import SIG_IGN, SIGINT, signal

from crate.errors import CrateError, HostError
from crate.ns.single_id import maps_one_id
from crate.oci import json
from crate.storage.tar.reader import TarReader
from crate.storage.tree.writer import TreeWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn


def main() -> NoReturn:
    """Process `crate:unpack`: a child of whoever unpacks, in the same namespaces; talks on stdin and stdout.

    Its arguments: the directory, then any of `whiteouts`, `rootless`. It ends at the end of its input, always with
    status 0: an error is told as JSON. The terminal's interrupt is the caller's business.
    """
    signal(SIGINT, SIG_IGN)
    _set_name("crate:unpack")
    answer: dict[str, Any]
    try:
        answer = _unpack(sys.argv[1], sys.argv[2:])
    except CrateError as error:
        answer = {"error": type(error).__name__, "arguments": [error.message, error.hint]}
    except MemoryError:
        answer = {"error": "HostError", "arguments": ["cannot unpack the layer: out of memory"]}
    except Exception:
        from traceback import format_exc

        answer = {"error": "", "arguments": [f"crate:unpack failed\n{format_exc()}"]}
    os.write(1, json.dumps(answer).encode())
    os._exit(0)


def _unpack(target: str, flags: Sequence[str]) -> dict[str, Any]:
    try:
        root_fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(f"cannot unpack into {target}: {os.strerror(error.errno or 0)}") from None
    rootless = "rootless" in flags
    owner = (os.geteuid(), os.getegid()) if rootless and maps_one_id() else None
    writer = TreeWriter(
        root_fd, whiteouts="whiteouts" in flags, rootless=rootless, owner=owner, records=owner is not None
    )
    unpacked = writer.unpack(TarReader(lambda count: os.read(0, count)))
    return {
        "size": unpacked.size,
        "entries": unpacked.entries,
        "made": [os.fsdecode(path) for path in unpacked.made],
        "whiteouts": [os.fsdecode(path) for path in unpacked.whiteouts],
        "links": [[os.fsdecode(target), os.fsdecode(name)] for target, name in unpacked.links],
    }


def _set_name(name: str) -> None:
    try:
        fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return
    os.write(fd, name.encode())
    os.close(fd)
