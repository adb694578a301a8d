"""`--mount type=image`: the files of an image within a container, as detached mounts for its start."""

from __future__ import annotations

import os

from crate.runtime.mounts import MountOptions, apply_attributes
from crate.storage.rootfs import mount_layers, mount_rootfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine


def open_all(engine: Engine, container: Container, spec: dict[str, Any]) -> dict[int, int]:
    """Place in spec.mounts -> descriptor. What is written to a writable one lies in the container's directory."""
    found: dict[int, int] = {}
    try:
        for entry in container.record["image_mounts"]:
            index = int(entry["index"])
            try:
                os.unlink(f"{container.paths.run_directory}/unmounted-{entry['image']}")  # of files/mounting.py
            except FileNotFoundError:
                pass
            found[index] = _open(engine, container, entry)
            apply_attributes(found[index], MountOptions(spec["mounts"][index]["options"]), False)
    except BaseException:
        for fd in found.values():
            os.close(fd)
        raise
    return found


def _open(engine: Engine, container: Container, entry: dict[str, Any]) -> int:
    if not entry["writable"]:
        return mount_layers(engine.roots, entry["layers"], container.record.get("ids"))
    directory = f"{container.paths.directory}/image-{entry['index']}"
    for path in (directory, f"{directory}/upper", f"{directory}/work"):
        try:
            os.mkdir(path, 0o700 if path == directory else 0o755)
        except FileExistsError:
            pass
    return mount_rootfs(engine.roots, directory, entry["layers"], volatile=True, ids=container.record.get("ids"))
