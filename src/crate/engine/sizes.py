"""How much disk a container takes: its own files, and those of its image with them."""

from __future__ import annotations

import os

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
    """The bytes of all regular files beneath a directory; a file with several names counts once."""
    total, seen, waiting = 0, set(), [path]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue  # removed while we look
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if status.st_nlink > 1:
                    if status.st_ino in seen:
                        continue
                    seen.add(status.st_ino)
                total += status.st_size
    return total
