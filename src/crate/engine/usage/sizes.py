"""How much disk a container takes: its own files, and those of its image with them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.engine.containers import Container
    from crate.engine.context import Engine


def of(engine: Engine, container: Container) -> tuple[int, int]:
    """(bytes of the files that the container wrote, bytes with the image's), as docker counts: what the files hold."""
    from crate.errors import CrateError
    from crate.storage import layers

    own = tree_bytes(container.paths.upper)
    try:
        return own, own + layers.size(engine.roots, container.record["layers"])
    except CrateError:
        return own, own  # the image was removed by force


def tree_bytes(path: str) -> int:
    """The bytes of all regular files beneath a directory, of a hostile neighbour's too; 0 where there is none."""
    from crate.storage.changes import usage

    try:
        return usage(path)[0]
    except OSError:
        return 0  # removed while we look
