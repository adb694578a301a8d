"""`diff`: what a container changed in its image's files, what an image changed in its parent's, and between any two."""

from __future__ import annotations

import os

from crate.engine.files.view import View
from crate.errors import NotFoundError
from crate.storage import changes
from crate.storage.rootfs import mount_layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.storage.image_record import ImageRecord

    Changes = list[tuple[str, str]]

#: what every engine puts into containers, whether they have it from their image or not (podman's list)
_INIT_FILES = (
    *("/dev", "/etc/hostname", "/etc/hosts", "/etc/mtab", "/etc/resolv.conf", "/proc", "/run", "/run/.containerenv"),
    *("/run/notify", "/run/podman-init", "/run/secrets", "/sys"),
)
_KINDS = ("container", "image")


def mount_points(spec: dict[str, Any]) -> set[str]:
    """The paths in a container's files that are there to be mounted upon."""
    return {*_INIT_FILES, *(entry["destination"].rstrip("/") for entry in spec.get("mounts") or ())}


def diff(engine: Engine, name: str, other: str = "", *, kinds: tuple[str, ...] = _KINDS) -> Changes:
    """(A, C or D, path) of a container or image, against its image or parent, or against `other`, a third one.

    NotFoundError in podman's words.
    """
    found = _find(engine, name, kinds)
    if other:
        with _tree(engine, found) as tree_fd, _tree(engine, _find(engine, other, _KINDS)) as base_fd:
            return changes.tree_changes(tree_fd, base_fd)
    if isinstance(found, dict):
        return changes.layer_changes(engine.roots, found["layers"])
    own = mount_points(found.spec())
    return changes.changes(engine.roots, found.paths.directory, found.record["layers"], own)


def _find(engine: Engine, name: str, kinds: tuple[str, ...]) -> Container | ImageRecord:
    from crate.engine import containers
    from crate.image import local

    if "container" in kinds:
        try:
            return containers.find(engine, name)
        except NotFoundError:
            pass
    image = local.find(engine.roots, name) if "image" in kinds else None
    if image is None:
        raise NotFoundError(f"{name} not found: layer not known")
    return image


class _ImageTree:
    """As a View: the files of an image."""

    def __init__(self, engine: Engine, image: ImageRecord) -> None:
        self._fd = mount_layers(engine.roots, image["layers"])

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *exception: object) -> None:
        os.close(self._fd)


def _tree(engine: Engine, found: Container | ImageRecord) -> View | _ImageTree:
    return _ImageTree(engine, found) if isinstance(found, dict) else View(engine, found, mounts=False)
