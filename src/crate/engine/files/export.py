"""`export`: the whole root file system of a container, without its volumes, as a tar archive."""

from __future__ import annotations

from crate.engine.files.view import View
from crate.engine.user_namespaces import shift_back
from crate.storage import journal
from crate.storage.durable import write_all
from crate.storage.tree.archive import TreeArchive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.engine.containers import Container
    from crate.engine.context import Engine


def export(engine: Engine, container: Container, fd: int) -> None:
    """Writes the archive to a descriptor. StateError, OSError."""
    with View(engine, container, mounts=False) as root_fd:
        archive = TreeArchive(lambda data: write_all(fd, data), shift=shift_back(container.record))
        archive.add_tree(root_fd, "", "")
        archive.finish()
    journal.of_container(engine.roots, "export", container.record)
