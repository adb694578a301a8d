"""The files of a volume as a tar archive: `volume export` writes it, `volume import` takes one in.

Containers may use the volume meanwhile: it is walked and filled by descriptors beneath its directory, and no link in it
is followed out of it (CVE-2023-0778).
"""

from __future__ import annotations

import os

from crate.errors import ImageError, StateError, UsageError
from crate.storage import journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.context import Engine


def _open(engine: Engine, text: str, verb: str) -> tuple[dict[str, Any], int]:
    """The record and the directory of a volume. NotFoundError; UsageError where each container mounts its own."""
    from crate.engine import volumes

    record = volumes.find(engine, text)
    kind = record["options"].get("type")
    if kind:
        hint = f"crate cp of a container that has it can {verb} what that one sees"
        raise UsageError(f"volume {record['name']} is a {kind}, which each of its containers mounts for itself", hint)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    return record, os.open(record["mountpoint"], flags)


def export(engine: Engine, text: str, fd: int) -> None:
    """Writes all that is in the volume to a descriptor. NotFoundError, UsageError, OSError."""
    from crate.storage.durable import write_all
    from crate.storage.tree.archive import TreeArchive

    record, data_fd = _open(engine, text, "export")
    try:
        archive = TreeArchive(lambda data: write_all(fd, data))
        archive.add_tree(data_fd, "", "", itself=True)
        archive.finish()
    finally:
        os.close(data_fd)
    journal.record(engine.roots, "volume", "export", name=record["name"])


def bring(engine: Engine, text: str, fd: int, label: str) -> None:
    """Unpacks an archive, compressed or not, over what is in the volume. Raises as `export`; StateError."""
    from crate.ns.single_id import maps_one_id
    from crate.storage.durable import sync_file_system
    from crate.storage.inflate import inflated
    from crate.storage.tar.reader import TarReader
    from crate.storage.tree.writer import TreeWriter

    record, data_fd = _open(engine, text, "import")
    rootless = engine.roots.rootless
    try:
        owner = (0, 0) if rootless and maps_one_id() else None
        writer = TreeWriter(data_fd, whiteouts=False, rootless=rootless, owner=owner, records=owner is not None)
        writer.unpack(TarReader(inflated(fd)))
    except ImageError as error:
        raise StateError(f"cannot import {label} into volume {record['name']}: {error.message}", error.hint) from None
    finally:
        os.close(data_fd)
    sync_file_system(record["mountpoint"])
    journal.record(engine.roots, "volume", "import", name=record["name"])
