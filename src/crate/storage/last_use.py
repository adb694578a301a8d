"""When something of the store was used last: a file's time of modification, which a use sets. Hot: one utime(2).

image     images/records/<id>.json     a container or a build is made of it; it is pulled, loaded or made
volume    volumes/<name>/volume.json   a container is made with it
build     cache/build/…                crate.storage.build_cache
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.storage.roots import Roots


def image_used(roots: Roots, image_id: str) -> None:
    """Notes that an image is used now."""
    _touch(f"{roots.graphroot}/images/records/{image_id}.json")


def volume_used(roots: Roots, name: str) -> None:
    """Notes that a volume is used now."""
    _touch(f"{roots.graphroot}/volumes/{name}/volume.json")


def of_image(roots: Roots, image_id: str) -> float:
    """Seconds since the epoch; 0 where it is gone."""
    return _time(f"{roots.graphroot}/images/records/{image_id}.json")


def of_volume(roots: Roots, name: str) -> float:
    """Seconds since the epoch, of the last container or the last change of its directory; 0 where it is gone."""
    directory = f"{roots.graphroot}/volumes/{name}"
    return max(_time(f"{directory}/volume.json"), _time(f"{directory}/_data"))


def _touch(path: str) -> None:
    try:
        os.utime(path)
    except OSError:
        pass  # removed at this moment, or a store that is mounted read-only


def _time(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
